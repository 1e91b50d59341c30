using Miroir.Core;
using Miroir.Stores.Sqlite;
using NUnit.Framework;
using static Miroir.Stores.Tests.NodeCalls;

namespace Miroir.Stores.Tests;

/// <summary>Shard files that are not what was written last are left, kept, and replaced by what is filled anew.</summary>
public sealed class SqliteNodeStoreQuarantineTests
{
    private readonly List<string> _log = [];
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void Create()
    {
        _folder = new TemporaryFolder();
        _log.Clear();
    }

    [TearDown]
    public void Delete() => _folder.Dispose();

    private string File0 => Path.Combine(_folder.Path, "shards", "movies", "1-0.db");

    [Test]
    public async Task AnOlderCopyOfAFileIsKnownForOne()
    {
        await Session("a");
        File.Copy(File0, _folder.File("copy.db"));
        await Session("b");
        File.Copy(_folder.File("copy.db"), File0, overwrite: true);
        await AssertQuarantined("older copy");
    }

    [Test]
    public async Task ACopyOfTheVeryFirstStateIsKnownForOne()
    {
        await using (var store = Open())
            await store.MakeShard(0);
        File.Copy(File0, _folder.File("copy.db"));
        await Session("a");
        File.Copy(_folder.File("copy.db"), File0, overwrite: true);
        await AssertQuarantined("older copy");
    }

    [Test]
    public async Task ACopyMadeBeforeTheLastStampOfALongSessionIsKnownForOne()
    {
        await using (var store = Open(new() { RestampInterval = TimeSpan.FromMilliseconds(1) }))
        {
            await store.MakeShard(0);
            await store.PutAll(0, 1, Live("a", 1, "{}"));
            using (var source = Stores.Sqlite.Native.Database.Open(File0))
                source.Execute($"VACUUM INTO '{_folder.File("copy.db")}'");
            for (var clock = 2; clock < 30; clock++)
            {
                await Task.Delay(2);
                await store.PutAll(0, 1, Live("a", clock, "{}"));
            }
        }

        File.Copy(_folder.File("copy.db"), File0, overwrite: true);
        await AssertQuarantined("older copy");
    }

    [Test]
    public async Task TheFileItselfIsTakenAnyNumberOfTimes()
    {
        for (var session = 0; session < 4; session++)
            await Session($"{session}");
        await using var store = Open();
        Assert.That((await store.ReadOne(0, 1, "2")).IsFound);
        Assert.That((await store.Stores(CancellationToken.None)).Single().Health, Is.EqualTo(StoreHealth.Serving));
    }

    [Test]
    public async Task GarbageIsSetAside([Values(0, 100, 4096, 9000)] int bytes)
    {
        await Session("a");
        File.WriteAllBytes(File0, [.. Enumerable.Repeat((byte)'?', bytes)]);
        await AssertQuarantined("");
    }

    [Test]
    public async Task ATruncatedFileIsSetAside()
    {
        await Session("a", "b", "c");
        using (var file = File.OpenWrite(File0))
            file.SetLength(4096);
        await AssertQuarantined("");
    }

    [Test]
    public async Task AFileThatIsGoneIsReported()
    {
        await Session("a");
        File.Delete(File0);
        await AssertQuarantined("is gone", isKept: false);
    }

    [Test]
    public async Task DamageThatIsMetWhileItRunsIsAnsweredAndSetAside()
    {
        // Bodies on many pages, of which the cache of a connection keeps few.
        var documents = Enumerable
            .Range(0, 3000)
            .Select(i => Live($"{i}", 1, $"{{\"pad\":\"{new string('x', 900)}\"}}"));
        await using (var filled = Open())
        {
            await filled.MakeShard(0);
            await filled.PutAll(0, 1, documents);
        }

        await using var store = Open(new() { CacheBudgetMiB = 1 });
        Assert.That((await store.ReadOne(0, 1, "7")).IsFound);
        using (var file = File.OpenWrite(File0))
        {
            file.Position = 3 * 4096;
            file.Write(new byte[file.Length - 3 * 4096]);
        }

        var scan = new ScanCommand(Stamp(0, 1), Shard(0), HashRange.Full, null, 3000, 1 << 30, true);
        var met = await store.ScanPage(scan, CancellationToken.None) as ScanReply.ScanRefused;
        Assert.That(met?.Item.Code, Is.EqualTo(RefusalCode.Corrupt));
        await AssertAnswersNothing(store);
    }

    [Test]
    public async Task ABarrierIsNotConfirmedByAFileThatNobodyHasLookedAt()
    {
        await Session("a");
        File.Copy(File0, _folder.File("copy.db"));
        await Session("b");
        File.Copy(_folder.File("copy.db"), File0, overwrite: true);
        await using var store = Open();
        var raised = await store.RaiseBarriers(
            [new BarrierCommand(Stamp(0, 2), Shard(0), null)],
            CancellationToken.None
        );
        Assert.That(raised.Single().IsConfirmedNotServing, $"{raised.Single()}");
    }

    [Test]
    public async Task AQuarantinedStoreIsFilledAsAnotherIncarnation()
    {
        await Session("a");
        File.WriteAllText(File0, new string('?', 9000));
        await using (var store = Open())
            await store.Stores(CancellationToken.None);
        Guid incarnation;
        await using (var store = Open())
        {
            var made = await store.BeginFill(MakeCommand(), CancellationToken.None);
            Assert.That(made.IsMade, $"{made}");
            incarnation = ((MakeReply.Made)made).Incarnation;
            await AssertHealth(store, StoreHealth.Filling);
            Assert.That(
                (await store.PutAll(0, 1, Live("a", 1, "{}"))).Single().IsNotServing,
                "a client's is not taken"
            );
            var copied = Live("a", 1, "{}").WithOrigin(Origin.Migration);
            Assert.That((await store.PutAll(0, 1, copied)).Single().IsApplied);
        }

        await using (var store = Open())
        {
            await AssertHealth(store, StoreHealth.Filling);
            Assert.That(await store.EndFill(Shard(0), Guid.NewGuid(), CancellationToken.None), Is.False);
            Assert.That(await store.EndFill(Shard(0), incarnation, CancellationToken.None), Is.True);
            Assert.That((await store.ReadOne(0, 1, "a")).IsFound);
        }

        await using var last = Open();
        await AssertHealth(last, StoreHealth.Serving);
        var raised = await last.RaiseBarriers([new BarrierCommand(Stamp(0, 2), Shard(0), null)], default);
        Assert.That(raised.Single(), Is.EqualTo(BarrierReply.NewConfirmed(incarnation)));
    }

    private static MakeCommand MakeCommand() => new(Stamp(0, 1), Shard(0), HashRange.Full, 0, 1);

    private SqliteNodeStore Open(SqliteNodeStoreOptions? options = null) =>
        SqliteNodeStore.Open(_folder.Path, (options ?? new()) with { Log = _log.Add });

    /// <summary>Opens the node, makes its store where there is none, puts, and closes.</summary>
    private async Task Session(params string[] keys)
    {
        await using var store = Open();
        await store.MakeShard(0);
        var replies = await store.PutAll(0, 1, keys.Select(key => Live(key, 1, "{}")));
        Assert.That(replies.Select(reply => reply.IsApplied), Is.All.True);
    }

    /// <summary>Opened again, and once more, the node opens, and says and does nothing with its store.</summary>
    private async Task AssertQuarantined(string why, bool isKept = true)
    {
        for (var open = 0; open < 2; open++)
        {
            await using var store = Open();
            await AssertHealth(store, StoreHealth.Quarantined);
            await AssertAnswersNothing(store);
        }

        Assert.That(_log, Has.One.Contains("quarantined"), string.Join('\n', _log));
        Assert.That(_log.Single(line => line.Contains("quarantined")), Does.Contain(why));
        Assert.That(File0, Does.Not.Exist);
        var kept = Directory.GetFiles(Path.GetDirectoryName(File0)!, "*.quarantined-*");
        Assert.That(kept, isKept ? Is.Not.Empty : Is.Empty);
    }

    private static async Task AssertHealth(SqliteNodeStore store, StoreHealth health)
    {
        var status = (await store.Stores(CancellationToken.None)).Single();
        Assert.That((status.Store, status.Health), Is.EqualTo((Shard(0), health)));
    }

    private static async Task AssertAnswersNothing(SqliteNodeStore store)
    {
        await AssertHealth(store, StoreHealth.Quarantined);
        var scan = new ScanCommand(Stamp(0, 1), Shard(0), HashRange.Full, null, 10, 1000, true);
        var digests = new DigestCommand(Stamp(0, 1), Shard(0), [HashRange.Full]);
        var raise = new BarrierCommand(Stamp(0, 1), Shard(0), null);
        Assert.That((await store.PutAll(0, 1, Live("z", 1, "{}"))).Single().IsNotServing);
        Assert.That((await store.ReadOne(0, 1, "a")).IsReadNotServing);
        Assert.That((await store.ScanPage(scan, default)).IsScanNotServing);
        Assert.That((await store.ScanFilling(scan, default)).IsScanNotServing);
        Assert.That((await store.Digests(digests, default)).IsDigestNotServing);
        Assert.That((await store.Scrub(new ScrubCommand(Stamp(0, 1), Shard(0), 0, 1), default)).IsScrubNotServing);
        Assert.That((await store.RaiseBarriers([raise], default)).Single().IsConfirmedNotServing);
        Assert.That((await store.Make(MakeCommand(), default)).IsMakeRefused);
    }
}
