using System.Text;
using Miroir.Stores.Sqlite.Native;
using NUnit.Framework;

namespace Miroir.Stores.Tests;

public sealed class SqliteErrorTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    private Database Open(DatabaseOptions? options = null) => Database.Open(_folder.File("a.db"), options);

    [Test]
    public void ErrorsCarryTheFileAndTheSql()
    {
        using var database = Open();
        var error = Assert.Throws<SqliteException>(() => database.Prepare("SELECT something FROM nowhere"))!;
        Assert.That(error.Code, Is.EqualTo(SqliteResult.Error));
        Assert.That(error.Sql, Is.EqualTo("SELECT something FROM nowhere"));
        Assert.That(error.File, Is.EqualTo(_folder.File("a.db")));
        Assert.That(
            error.Message,
            Does.Contain("no such table: nowhere").And.Contain(error.Sql).And.Contain(error.File)
        );
    }

    [Test]
    public void AConstraintHasItsExtendedCode()
    {
        using var database = Open();
        database.Execute("CREATE TABLE t(n INTEGER PRIMARY KEY) WITHOUT ROWID");
        using var insert = database.Prepare("INSERT INTO t VALUES(?1)");
        insert.Bind(1, 1).Execute();
        var error = Assert.Throws<SqliteException>(() => insert.Execute())!;
        Assert.That(error.Code, Is.EqualTo(SqliteResult.Constraint));
        Assert.That(error.ExtendedCode, Is.EqualTo(1555), "SQLITE_CONSTRAINT_PRIMARYKEY");
        // The statement goes on being of use.
        insert.Bind(1, 2).Execute();
        Assert.That(database.QueryInt64("SELECT count(*) FROM t"), Is.EqualTo(2));
    }

    [Test]
    public void AFullDiskLeavesWhatWasCommitted()
    {
        var full = new DatabaseOptions { MaxPageCount = 20 };
        using (var database = Open(full))
        {
            database.Execute("CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB)");
            using var insert = database.Prepare("INSERT INTO t(b) VALUES(?1)");
            insert.BindBlob(1, Encoding.UTF8.GetBytes("kept")).Execute();

            var error = Assert.Throws<SqliteException>(() =>
            {
                database.BeginImmediate();
                for (var i = 0; i < 100; i++)
                    insert.BindBlob(1, new byte[4000]).Execute();
            })!;
            Assert.That(error.IsFull, Is.True);
            Assert.That(error.IsBusy || error.IsCorrupt || error.IsIoError, Is.False);
            Assert.That(error.Sql, Is.EqualTo(insert.Sql));
            database.Rollback();
            Assert.That(database.InTransaction, Is.False);
            Assert.That(database.QueryInt64("SELECT count(*) FROM t"), Is.EqualTo(1));
            // What fits is still taken.
            insert.BindBlob(1, Encoding.UTF8.GetBytes("small")).Execute();
        }

        using var again = Open();
        Assert.That(again.QueryText("SELECT group_concat(b) FROM t"), Is.EqualTo("kept,small"));
        Assert.That(again.QueryText("PRAGMA integrity_check"), Is.EqualTo("ok"));
    }

    [Test]
    public void AHeldWriteLockIsBusy()
    {
        using var first = Open();
        first.Execute("CREATE TABLE t(n INTEGER)");
        using var second = Open(new() { BusyTimeoutMs = 0 });
        first.BeginImmediate();
        var error = Assert.Throws<SqliteException>(second.BeginImmediate)!;
        Assert.That(error.IsBusy, Is.True);
        first.Rollback();
        second.BeginImmediate();
        second.Commit();
    }

    [Test]
    public void AFileThatIsNoDatabaseIsCorrupt()
    {
        File.WriteAllText(_folder.File("a.db"), string.Concat(Enumerable.Repeat("not a database ", 1000)));
        var error = Assert.Throws<SqliteException>(() => Open())!;
        Assert.That(error.IsCorrupt, Is.True);
    }

    [Test]
    public void ADamagedPageIsCorrupt()
    {
        using (var database = Open())
            database.Execute("CREATE TABLE t(n INTEGER); INSERT INTO t VALUES(1)");
        using (var file = File.OpenWrite(_folder.File("a.db")))
        {
            file.Position = 4096;
            file.Write(Enumerable.Repeat((byte)0xA5, 4096).ToArray());
        }

        using var again = Open();
        var error = Assert.Throws<SqliteException>(() => again.QueryInt64("SELECT n FROM t"))!;
        Assert.That(error.IsCorrupt, Is.True);
    }

    [TestCase(DatabaseAccess.Existing)]
    [TestCase(DatabaseAccess.ReadOnly)]
    public void AnAbsentFileIsNotMade(DatabaseAccess access)
    {
        var error = Assert.Throws<SqliteException>(() => Open(new() { Access = access }))!;
        Assert.That(error.Code, Is.EqualTo(SqliteResult.CannotOpen));
        Assert.That(error.IsIoError, Is.True);
        Assert.That(error.Sql, Is.Null);
        Assert.That(_folder.File("a.db"), Does.Not.Exist);
    }

    [Test]
    public void AReadOnlyConnectionRefusesWrites()
    {
        using var writer = Open();
        writer.Execute("CREATE TABLE t(n INTEGER)");
        using var reader = Open(new() { Access = DatabaseAccess.ReadOnly });
        var error = Assert.Throws<SqliteException>(() => reader.Execute("INSERT INTO t VALUES(1)"))!;
        Assert.That(error.Code, Is.EqualTo(SqliteResult.ReadOnly));
    }

    [Test]
    public void ARunningStatementCanBeInterruptedFromAnotherThread()
    {
        using var database = Open();
        using var endless = database.Prepare(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
        );
        Assert.That(endless.Step(), Is.True);
        var other = new Thread(database.Interrupt);
        other.Start();
        other.Join();
        var error = Assert.Throws<SqliteException>(endless.Execute)!;
        Assert.That(error.IsInterrupted, Is.True);
    }

    [Test]
    public void MistakesOfTheCallerAreNamed()
    {
        using var database = Open();
        using var select = database.Prepare("SELECT ?1");
        Assert.Throws<InvalidOperationException>(() => select.Int64(0));
        Assert.Throws<SqliteException>(() => select.Bind(2, 1));
        Assert.That(select.Step(), Is.True);
        Assert.Throws<ArgumentOutOfRangeException>(() => select.Int64(1));
        Assert.Throws<ArgumentException>(() => database.Prepare("SELECT 1; SELECT 2"));
        Assert.Throws<ArgumentException>(() => database.Prepare(" -- nothing"));
        Assert.Throws<ArgumentException>(() => Database.Open(" "));
        Assert.Throws<ArgumentOutOfRangeException>(() => Open(new() { PageSizeBytes = 1000 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => Open(new() { MaxPageCount = 0 }));
    }

    [Test]
    public void ADisposedConnectionTakesItsStatementsAlong()
    {
        var database = Open();
        var select = database.Prepare("SELECT 1");
        database.Dispose();
        Assert.Throws<ObjectDisposedException>(() => select.Step());
        Assert.Throws<ObjectDisposedException>(() => database.Execute("SELECT 1"));
        Assert.Throws<ObjectDisposedException>(database.Interrupt);
        Assert.DoesNotThrow(select.Dispose);
        Assert.DoesNotThrow(database.Dispose);
    }
}
