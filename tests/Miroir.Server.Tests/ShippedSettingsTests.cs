using System.Text.Json;
using NUnit.Framework;

namespace Miroir.Server.Tests;

/// <summary>What the runtime is told about the `miroir` program when it starts.</summary>
public sealed class ShippedSettingsTests
{
    [TestCase("System.GC.Server", false)]
    [TestCase("System.GC.Concurrent", true)]
    [TestCase("System.Globalization.Invariant", true)]
    [TestCase("System.Runtime.TieredPGO", true)]
    public void RuntimeSetting(string name, bool expected)
    {
        var file = Path.Combine(AppContext.BaseDirectory, "miroir.runtimeconfig.json");
        using var settings = JsonDocument.Parse(File.ReadAllBytes(file));
        var properties = settings.RootElement.GetProperty("runtimeOptions").GetProperty("configProperties");
        Assert.That(properties.GetProperty(name).GetBoolean(), Is.EqualTo(expected));
    }
}
