using System.Reflection;
using NUnit.Framework;

namespace Miroir.Simulation;

/// <summary>Runtime has no socket and no file, and never sees Stores: else it could not be simulated.</summary>
public sealed class RoomsTests
{
    [TestCase("Miroir.Stores")]
    [TestCase("miroir")]
    [TestCase("System.Net.Sockets")]
    [TestCase("System.Net.Http")]
    [TestCase("System.Diagnostics.Process")]
    public void RuntimeDoesNotReference(string forbidden)
    {
        var references = Assembly.Load("Miroir.Runtime").GetReferencedAssemblies().Select(name => name.Name);
        Assert.That(references, Does.Not.Contain(forbidden));
    }
}
