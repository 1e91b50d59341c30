using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Miroir.Stores.Sqlite.Native;
using NUnit.Framework;

namespace Miroir.Stores.Tests;

public sealed class DatabaseTests
{
    private TemporaryFolder _folder = null!;
    private Database _database = null!;

    [SetUp]
    public void Open()
    {
        _folder = new TemporaryFolder();
        _database = Database.Open(_folder.File("a.db"));
    }

    [TearDown]
    public void Close()
    {
        _database.Dispose();
        _folder.Dispose();
    }

    private static IEnumerable<byte[]> Awkward =>
        [
            [],
            [0],
            [0, 0],
            [1, 0, 2],
            [0xFF, 0xFE],
            new byte[100_000],
        ];

    [Test]
    public void BytesComeBackAsTheyWent()
    {
        _database.Execute("CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB)");
        using var insert = _database.Prepare("INSERT INTO t(b) VALUES(?1)");
        using var select = _database.Prepare("SELECT b, typeof(b), length(b) FROM t WHERE id = ?1");

        bool RoundTrips(byte[] value)
        {
            insert.BindBlob(1, value).Execute();
            Assert.That(select.Bind(1, _database.LastInsertRowId).Step(), Is.True);
            var same =
                select.Type(0) == SqliteType.Blob
                && select.Blob(0).SequenceEqual(value)
                && select.Text(1).SequenceEqual("blob"u8)
                && select.Int64(2) == value.Length;
            select.Reset();
            return same;
        }

        Assert.That(Awkward, Has.All.Matches<byte[]>(value => RoundTrips(value!)));
        _database.BeginImmediate();
        Check.QuickThrowOnFailure(Prop.ForAll<byte[]>(value => RoundTrips(value ?? [])));
        _database.Commit();
    }

    [Test]
    public void TextComesBackAsItWent()
    {
        _database.Execute("CREATE TABLE t(id INTEGER PRIMARY KEY, s TEXT)");
        using var insert = _database.Prepare("INSERT INTO t(s) VALUES(?1)");
        using var select = _database.Prepare("SELECT s FROM t WHERE id = ?1");

        bool RoundTrips(string value)
        {
            var utf8 = Encoding.UTF8.GetBytes(value);
            insert.BindText(1, utf8).Execute();
            Assert.That(select.Bind(1, _database.LastInsertRowId).Step(), Is.True);
            var same =
                select.Type(0) == SqliteType.Text
                && select.Text(0).SequenceEqual(utf8)
                && select.Blob(0).SequenceEqual(utf8);
            select.Reset();
            return same;
        }

        string[] awkward = ["", "\0", "a\0b", "\u00e9\U0001F600", "'; DROP TABLE t; --", new('x', 70_000)];
        Assert.That(awkward, Has.All.Matches<string>(value => RoundTrips(value!)));
        _database.BeginImmediate();
        Check.QuickThrowOnFailure(Prop.ForAll<string>(value => RoundTrips(value ?? "")));
        _database.Commit();
    }

    [Test]
    public void IntegersComeBackAsTheyWent()
    {
        using var select = _database.Prepare("SELECT ?1, typeof(?1)");

        bool RoundTrips(long value)
        {
            Assert.That(select.Bind(1, value).Step(), Is.True);
            var same = select.Int64(0) == value && select.Text(1).SequenceEqual("integer"u8);
            select.Reset();
            return same;
        }

        long[] extremes = [long.MinValue, long.MinValue + 1, -1, 0, 1, int.MaxValue, long.MaxValue];
        Assert.That(extremes, Has.All.Matches<long>(RoundTrips));
        Check.QuickThrowOnFailure(Prop.ForAll<long>(RoundTrips));
    }

    [Test]
    public void TextIsOrderedByItsBytes()
    {
        _database.Execute("CREATE TABLE t(k TEXT PRIMARY KEY) WITHOUT ROWID");
        using var insert = _database.Prepare("INSERT OR IGNORE INTO t VALUES(?1)");
        using var select = _database.Prepare("SELECT k FROM t ORDER BY k");

        Check.QuickThrowOnFailure(
            Prop.ForAll<NonNull<string>[]>(values =>
            {
                var keys = values.Select(value => Encoding.UTF8.GetBytes(value.Get)).ToList();
                _database.BeginImmediate();
                _database.Execute("DELETE FROM t");
                keys.ForEach(key => insert.BindText(1, key).Execute());
                var stored = new List<byte[]>();
                while (select.Step())
                    stored.Add(select.Text(0).ToArray());
                _database.Commit();

                keys.Sort((a, b) => a.AsSpan().SequenceCompareTo(b));
                var expected = keys.Select(Convert.ToHexString).Distinct();
                return stored.Select(Convert.ToHexString).SequenceEqual(expected);
            })
        );
    }

    [Test]
    public void NullIsNotAnEmptyValue()
    {
        using var select = _database.Prepare("SELECT ?1, ?2, ?3");
        Assert.That(select.BindNull(1).BindBlob(2, []).BindText(3, []).Step(), Is.True);
        Assert.That(
            new[] { select.Type(0), select.Type(1), select.Type(2) },
            Is.EqualTo(new[] { SqliteType.Null, SqliteType.Blob, SqliteType.Text })
        );
        Assert.That(select.Int64(0), Is.Zero);
        Assert.That(select.Blob(0).Length, Is.Zero);
    }

    [Test]
    public void CommittedRowsAreThereAfterReopeningAndOthersAreNot()
    {
        _database.Execute("CREATE TABLE t(n INTEGER)");
        _database.BeginImmediate();
        _database.Execute("INSERT INTO t VALUES(1), (2)");
        Assert.That(_database.InTransaction, Is.True);
        _database.Commit();
        _database.BeginImmediate();
        _database.Execute("INSERT INTO t VALUES(3)");
        _database.Rollback();
        _database.BeginImmediate();
        _database.Execute("INSERT INTO t VALUES(4)");
        _database.Dispose();

        using var again = Database.Open(_folder.File("a.db"), new() { Access = DatabaseAccess.Existing });
        Assert.That(again.QueryInt64("SELECT sum(n) FROM t"), Is.EqualTo(3));
        Assert.That(again.QueryText("PRAGMA journal_mode"), Is.EqualTo("wal"));
        Assert.That(again.QueryInt64("PRAGMA synchronous"), Is.EqualTo(2));
        Assert.That(again.QueryText("PRAGMA integrity_check"), Is.EqualTo("ok"));
    }

    [Test]
    public void WhatWasCommittedIsInTheLogBeforeAnyCheckpoint()
    {
        _database.Execute("CREATE TABLE t(n INTEGER); INSERT INTO t VALUES(7)");
        // A copy of the files as they are, the connection still open, is what a killed process leaves.
        foreach (var suffix in new[] { "", "-wal" })
            File.Copy(_folder.File("a.db") + suffix, _folder.File("copy.db") + suffix);

        using var copy = Database.Open(_folder.File("copy.db"));
        Assert.That(copy.QueryInt64("SELECT n FROM t"), Is.EqualTo(7));
    }

    [Test]
    public void CheckpointsMoveTheLogIntoTheFile()
    {
        using var database = Database.Open(_folder.File("b.db"), new() { WalAutoCheckpointPages = 0 });
        database.Execute("CREATE TABLE t(b BLOB); INSERT INTO t VALUES(zeroblob(1000000))");
        Assert.That(new FileInfo(_folder.File("b.db-wal")).Length, Is.GreaterThan(1_000_000));
        var (log, copied) = database.CheckpointPassive();
        Assert.That(log, Is.GreaterThan(200));
        Assert.That(copied, Is.EqualTo(log));
        database.CheckpointTruncate();
        Assert.That(new FileInfo(_folder.File("b.db-wal")).Length, Is.Zero);
        Assert.That(new FileInfo(_folder.File("b.db")).Length, Is.GreaterThan(1_000_000));
    }

    [Test]
    public void PageSizeIsThatOfTheFirstOpening([Values(512, 4096, 16384, 65536)] int pageSizeBytes)
    {
        using (var database = Database.Open(_folder.File("b.db"), new() { PageSizeBytes = pageSizeBytes }))
            database.Execute("CREATE TABLE t(n INTEGER)");
        using var again = Database.Open(_folder.File("b.db"), new() { PageSizeBytes = 1024 });
        Assert.That(again.QueryInt64("PRAGMA page_size"), Is.EqualTo(pageSizeBytes));
    }

    [Test]
    public void AStatementRunsAgainAfterItsEndAndAfterAReset()
    {
        using var select = _database.Prepare("SELECT ?1 UNION ALL SELECT ?1 + 1");
        select.Bind(1, 5);
        Assert.That(select.Step(), Is.True);
        select.Reset();
        for (var run = 0; run < 2; run++)
        {
            Assert.That(select.Step(), Is.True);
            Assert.That(select.Int64(0), Is.EqualTo(5));
            Assert.That(select.Step(), Is.True);
            Assert.That(select.Int64(0), Is.EqualTo(6));
            Assert.That(select.Step(), Is.False);
        }
    }

    [Test]
    public void RunningAStatementAllocatesNothing()
    {
        _database.Execute("CREATE TABLE t(k BLOB PRIMARY KEY, v TEXT) WITHOUT ROWID");
        using var insert = _database.Prepare("INSERT OR REPLACE INTO t VALUES(?1, ?2)");
        using var select = _database.Prepare("SELECT k, v FROM t");
        Span<byte> key = stackalloc byte[8];
        var total = 0;

        long Run(Span<byte> scratch)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            _database.BeginImmediate();
            for (var i = 0; i < 100; i++)
            {
                BitConverter.TryWriteBytes(scratch, (long)i);
                insert.BindBlob(1, scratch).BindText(2, "{}"u8).Execute();
            }
            while (select.Step())
                total += select.Blob(0).Length + select.Text(1).Length;
            _database.Commit();
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Run(key);
        Assert.That(Run(key), Is.Zero);
        Assert.That(total, Is.EqualTo(2 * 100 * 10));
    }
}
