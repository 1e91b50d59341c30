using System.Reflection;
using NUnit.Framework;

namespace Miroir.Stores.Tests;

public sealed class RoomsTests
{
    [TestCase("Miroir.Runtime")]
    [TestCase("miroir")]
    public void StoresDoNotReference(string forbidden)
    {
        var references = Assembly.Load("Miroir.Stores").GetReferencedAssemblies().Select(name => name.Name);
        Assert.That(references, Does.Not.Contain(forbidden));
    }

    [Test]
    public void TheFallbackSqliteLibraryIsBesideTheProgram()
    {
        var library = Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native", "libe_sqlite3.so");
        Assert.That(library, Does.Exist);
    }
}
