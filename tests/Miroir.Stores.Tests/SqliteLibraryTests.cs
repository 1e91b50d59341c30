using System.Reflection;
using System.Runtime.Loader;
using Miroir.Stores.Sqlite.Native;
using NUnit.Framework;

namespace Miroir.Stores.Tests;

public sealed class SqliteLibraryTests
{
    [Test]
    public void TheSystemsLibraryComesFirstAndTheBundledOneLast()
    {
        var candidates = SqliteLibrary.Candidates(null).ToList();
        Assert.That(
            candidates,
            Is.EqualTo(SqliteLibrary.Candidates("system").Concat(SqliteLibrary.Candidates("bundled")))
        );
        Assert.That(SqliteLibrary.Candidates("/opt/some.so"), Is.EqualTo(new[] { "/opt/some.so" }));
    }

    [Test]
    public void TheBundledLibraryRunsTheBindingToo()
    {
        // The library is chosen once for each load of the assembly: a second load chooses anew.
        using var folder = new TemporaryFolder();
        var file = folder.File("a.db");
        var before = Environment.GetEnvironmentVariable(SqliteLibrary.EnvironmentVariable);
        Environment.SetEnvironmentVariable(SqliteLibrary.EnvironmentVariable, "bundled");
        try
        {
            var (name, count) = RunInASecondLoad(file);
            Assert.That(Path.GetFileName(name), Does.Contain("e_sqlite3"));
            Assert.That(File.Exists(name), Is.True);
            Assert.That(count, Is.EqualTo(2L));
        }
        finally
        {
            Environment.SetEnvironmentVariable(SqliteLibrary.EnvironmentVariable, before);
        }

        // Both libraries read and write the same file.
        using var database = Database.Open(file, new() { Access = DatabaseAccess.Existing });
        Assert.That(database.QueryInt64("SELECT sum(n) FROM t"), Is.EqualTo(3));
    }

    [Test]
    public void ALibraryThatCantBeHadIsNamedWithWhatToDo()
    {
        using var folder = new TemporaryFolder();
        var absent = folder.File("absent.so");
        var error = Assert.Throws<DllNotFoundException>(() => SqliteLibrary.Load(absent))!;
        Assert.That(
            error.Message,
            Does.Contain(absent)
                .And.Contain("no such file")
                .And.Contain(SqliteLibrary.EnvironmentVariable)
                .And.Contain("libsqlite3-0")
        );
    }

    [Test]
    public void ALibraryThatIsNotSqliteIsRefused()
    {
        using var folder = new TemporaryFolder();
        var text = folder.File("text.so");
        File.WriteAllText(text, "no library");
        Assert.Throws<DllNotFoundException>(() => SqliteLibrary.Load(text));

        if (!OperatingSystem.IsLinux())
            Assert.Ignore("Names a Linux library; the refusal itself is the same code everywhere.");
        var error = Assert.Throws<DllNotFoundException>(() => SqliteLibrary.Load("libdl.so.2"))!;
        Assert.That(error.Message, Does.Contain("libdl.so.2: loads, but is not SQLite"));
    }

    [Test]
    public void TheVersionIsReported()
    {
        using var folder = new TemporaryFolder();
        using var database = Database.Open(folder.File("a.db"));
        Assert.That(database.QueryText("SELECT sqlite_version()"), Is.EqualTo(SqliteLibrary.Version));
    }

    private static (string Name, long Count) RunInASecondLoad(string file)
    {
        var path = typeof(Database).Assembly.Location;
        var context = new AssemblyLoadContext("second load of Miroir.Stores");
        var assembly = context.LoadFromAssemblyPath(path);
        var databaseType = assembly.GetType(typeof(Database).FullName!, throwOnError: true)!;
        Assert.That(databaseType, Is.Not.EqualTo(typeof(Database)));

        using var database = (IDisposable)Call(databaseType, "Open", null, file, null)!;
        Call(databaseType, "Execute", database, "CREATE TABLE t(n INTEGER); INSERT INTO t VALUES(1), (2)");
        var count = (long)Call(databaseType, "QueryInt64", database, "SELECT count(*) FROM t")!;
        var library = assembly.GetType(typeof(SqliteLibrary).FullName!, throwOnError: true)!;
        return ((string)library.GetProperty(nameof(SqliteLibrary.Name))!.GetValue(null)!, count);
    }

    private static object? Call(Type type, string method, object? target, params object?[] arguments) =>
        type.GetMethod(method, BindingFlags.Public | BindingFlags.Static | BindingFlags.Instance)!
            .Invoke(target, BindingFlags.DoNotWrapExceptions, null, arguments, null);
}
