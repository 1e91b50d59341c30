using System.Diagnostics;
using Miroir.Core;
using Miroir.Stores.Sqlite;
using Miroir.Stores.Sqlite.Native;
using NUnit.Framework;
using static Miroir.Stores.Tests.NodeCalls;

namespace Miroir.Stores.Tests;

public sealed class SqliteNodeStoreFailureTests
{
    private static readonly string Kilobyte = $"{{\"text\":\"{new string('x', 1000)}\"}}";

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void Create() => _folder = new TemporaryFolder();

    [TearDown]
    public void Delete() => _folder.Dispose();

    [Test]
    public async Task AFullDiskRefusesAWholeTransactionAndHarmsNothingElse()
    {
        await using var store = SqliteNodeStore.Open(_folder.Path, new() { MaxPageCount = 60 });
        await store.MakeShard(0);
        await store.MakeShard(1);
        var stored = new List<string>();
        var refused = new List<string>();
        for (var batch = 0; refused.Count == 0; batch++)
        {
            Assert.That(batch, Is.LessThan(100), "60 pages don't hold a thousand documents");
            var keys = Enumerable.Range(0, 10).Select(i => $"{batch}-{i}").ToArray();
            var replies = await store.PutAll(0, 1, keys.Select(key => Live(key, 1, Kilobyte)));
            var codes = replies.Select(RefusalOf).Select(refusal => refusal?.Code).Distinct().ToArray();
            Assert.That(codes, Has.Length.EqualTo(1), "all or none of a transaction");
            (codes[0] == RefusalCode.DiskFull ? refused : stored).AddRange(keys);
            Assert.That(codes[0], Is.Null.Or.EqualTo(RefusalCode.DiskFull));
        }

        Assert.That(stored, Is.Not.Empty);
        Assert.That(await store.Keys(0, 1), Is.EquivalentTo(stored));
        Assert.That((await store.PutAll(1, 1, Live("a", 1, "{}"))).Single().IsApplied, "another store has room");
        var delete = Document.Tombstone(Key.Of(stored[0]), new DocumentVersion(1, 2), Guid.Empty, Origin.Client);
        Assert.That((await store.PutAll(0, 1, delete)).Single().IsApplied, "a delete needs none");
        var status = (await store.Stores(CancellationToken.None))[0];
        Assert.That(
            (status.Documents, status.Tombstones, status.FailedPuts),
            Is.EqualTo((stored.Count - 1, 1, refused.Count))
        );
    }

    [Test]
    public async Task ASecondStoreOnTheDirectoryIsRefusedUntilTheFirstIsClosed()
    {
        var first = SqliteNodeStore.Open(_folder.Path);
        Assert.That(
            () => SqliteNodeStore.Open(_folder.Path),
            Throws.InstanceOf<IOException>().With.Message.Contains("another process").And.Message.Contains(_folder.Path)
        );
        var nodeId = first.NodeId;
        await first.DisposeAsync();
        await using var second = SqliteNodeStore.Open(_folder.Path);
        Assert.That(second.NodeId, Is.EqualTo(nodeId));
    }

    [TestCase("Dropping")]
    [TestCase("Making")]
    public async Task WhatACrashLeftHalfDoneIsFinished(string state)
    {
        await using (var store = SqliteNodeStore.Open(_folder.Path))
        {
            await store.MakeShard(0, epoch: 5);
            await store.MakeShard(1, epoch: 5);
            await store.PutAll(0, 5, Live("a", 1, "{}"));
            await store.PutAll(1, 5, Live("a", 1, "{}"));
        }

        using (var node = Database.Open(_folder.File("node.db")))
            node.Execute($"UPDATE stores SET state = '{state}' WHERE shard = 0");
        Assert.That(FileOf(0), Does.Exist);

        await using var again = SqliteNodeStore.Open(_folder.Path);
        Assert.That(FileOf(0), Does.Not.Exist);
        Assert.That((await again.PutAll(0, 5, Live("b", 1, "{}"))).Single().IsNotServing);
        Assert.That((await again.PutAll(0, 4, Live("b", 1, "{}"))).Single().IsStaleEpoch, "the barrier stays");
        Assert.That((await again.ReadOne(1, 5, "a")).IsFound, "the other store is as it was");
        await again.MakeShard(0, epoch: 5);
        Assert.That((await again.ReadOne(0, 5, "a")).IsAbsent);
    }

    [Test]
    public async Task AStoreThatLostItsFileDoesNotServeUntilItIsFilledAsAnotherIncarnation()
    {
        Guid before;
        await using (var store = SqliteNodeStore.Open(_folder.Path))
            before = await store.MakeShard(0);
        File.Delete(FileOf(0));
        await using var again = SqliteNodeStore.Open(_folder.Path);
        Assert.That((await again.ReadOne(0, 1, "a")).IsReadNotServing);
        var make = new MakeCommand(Stamp(0, 1), Shard(0), HashRange.Full, 0, 1);
        Assert.That((await again.Make(make, CancellationToken.None)).IsMakeRefused, "a late making hides nothing");
        var filling = (MakeReply.Made)await again.BeginFill(make, CancellationToken.None);
        Assert.That(filling.Incarnation, Is.Not.EqualTo(before));
    }

    [Test]
    public async Task ADamagedFileIsRefusedAsCorruptAndOthersServe()
    {
        await using (var store = SqliteNodeStore.Open(_folder.Path))
        {
            await store.MakeShard(0);
            await store.MakeShard(1);
        }

        await File.WriteAllTextAsync(FileOf(0), new string('?', 10_000));
        await using var again = SqliteNodeStore.Open(_folder.Path);
        var put = (await again.PutAll(0, 1, Live("a", 1, "{}"))).Single();
        Assert.That(RefusalOf(put)?.Code, Is.EqualTo(RefusalCode.Corrupt), "who finds it out is told why");
        Assert.That((await again.ReadOne(0, 1, "a")).IsReadNotServing);
        Assert.That((await again.PutAll(1, 1, Live("a", 1, "{}"))).Single().IsApplied);
        Assert.That(await again.Stores(CancellationToken.None), Has.Length.EqualTo(2));
    }

    [Test]
    public async Task AFileOfANewerFormatIsRefusedAndSaysWhy()
    {
        await using (var store = SqliteNodeStore.Open(_folder.Path))
            await store.MakeShard(0);
        using (var shard = Database.Open(FileOf(0)))
            shard.Execute("UPDATE meta SET value = '9' WHERE name = 'format'");
        await using (var again = SqliteNodeStore.Open(_folder.Path))
        {
            var put = (await again.PutAll(0, 1, Live("a", 1, "{}"))).Single();
            Assert.That(RefusalOf(put)?.Message, Does.Contain("format 9").And.Contain("newer build"));
        }

        using (var node = Database.Open(_folder.File("node.db")))
            node.Execute("UPDATE meta SET value = '9' WHERE name = 'format'");
        Assert.That(
            () => SqliteNodeStore.Open(_folder.Path),
            Throws.TypeOf<InvalidDataException>().With.Message.Contains("format 9")
        );
    }

    [Test]
    public async Task AnotherStoresFileIsNotTakenForThisOne()
    {
        await using (var store = SqliteNodeStore.Open(_folder.Path))
        {
            await store.MakeShard(0);
            await store.MakeShard(1);
        }

        File.Copy(FileOf(0), FileOf(1), overwrite: true);
        await using var again = SqliteNodeStore.Open(_folder.Path);
        var put = (await again.PutAll(1, 1, Live("a", 1, "{}"))).Single();
        Assert.That(RefusalOf(put)?.Code, Is.EqualTo(RefusalCode.Corrupt));
    }

    [Test]
    public async Task ABadIndexNameIsNoPath([Values("", "../evil", "a/b", "a.b", "ü")] string index)
    {
        await using var store = SqliteNodeStore.Open(_folder.Path);
        var shard = new ShardId(index, 1, 0);
        var command = new MakeCommand(new RouteStamp(shard, 1), shard, HashRange.Full, 0, 1);
        Assert.That((await store.Make(command, CancellationToken.None)).IsMakeRefused);
    }

    [Test]
    public async Task DebiansShellShowsReadableDocuments()
    {
        await using (var store = SqliteNodeStore.Open(_folder.Path))
        {
            await store.MakeShard(0);
            await store.PutAll(0, 1, Live("tt0133093", 7, """{"title":"The Matrix"}"""));
        }

        var shell = new[] { "/usr/bin/sqlite3", "/usr/local/bin/sqlite3" }.FirstOrDefault(File.Exists);
        if (shell is null)
            Assert.Ignore("There is no sqlite3 shell here: install Debian's package sqlite3.");
        var start = new ProcessStartInfo(shell!, [FileOf(0), "SELECT * FROM documents"])
        {
            RedirectStandardOutput = true,
        };
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync();
        Assert.That(output.Trim(), Is.EqualTo("""tt0133093|{"title":"The Matrix"}|1.7|0"""));
    }

    private string FileOf(int shard) => Path.Combine(_folder.Path, "shards", "movies", $"1-{shard}.db");
}
