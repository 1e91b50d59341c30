using FsCheck;
using FsCheck.Fluent;
using Miroir.Core;
using Miroir.Ports;
using NUnit.Framework;
using Config = FsCheck.Config;

namespace Miroir.Stores.Tests.Conformance;

/// <summary>What every <see cref="INodeStore"/> must do. Inherit it, say how a store is opened, and it is held to it.</summary>
public abstract class NodeStoreConformance
{
    private string root = "";
    private int opened;

    /// <summary>
    /// A store on what `directory` holds: what an earlier store, since disposed, left there, or nothing. The directory
    /// need not exist yet.
    /// </summary>
    protected abstract Task<INodeStore> OpenAsync(string directory, IEntropy entropy);

    /// <summary>How many changes the opened stores keep in a log; they keep them however old they are.</summary>
    protected virtual long MaxChanges => long.MaxValue;

    private protected ChangeRetention Retention => ChangeRetention.Unlimited with { MaxChanges = MaxChanges };

    /// <summary>Random runs to try: fewer where a store is slow to open.</summary>
    protected virtual int Runs => 300;

    [OneTimeSetUp]
    public void NameTheRoot() => root = Path.Combine(Path.GetTempPath(), $"miroir-{Guid.NewGuid():n}");

    [OneTimeTearDown]
    public void RemoveTheRoot()
    {
        if (Directory.Exists(root))
        {
            Directory.Delete(root, recursive: true);
        }
    }

    [Test]
    public void EveryRunAnswersAsTheReferenceDoes() =>
        Check.One(
            FsCheck.Config.QuickThrowOnFailure.WithMaxTest(Runs),
            Prop.ForAll(StoreOperations.Runs, operations => RunAsync(operations).GetAwaiter().GetResult())
        );

    [Test]
    public async Task APutIsSupersededByVersionAlone()
    {
        await using var store = await Fresh();
        Assert.That(await PutOne(store, 3, "a", 5, "{\"n\":5}"), Is.EqualTo(PutReply.NewApplied(false)));
        Assert.That(await PutOne(store, 3, "a", 4, "{\"n\":4}"), Is.EqualTo(Superseded(5)), "older");
        Assert.That(await PutOne(store, 4, "a", 5, "{\"n\":9}"), Is.EqualTo(Superseded(5)), "the same, epoch or not");
        Assert.That(await BodyOf(store, 4, "a"), Is.EqualTo("{\"n\":5}"));
        Assert.That(await PutOne(store, 4, "a", 6, null), Is.EqualTo(PutReply.NewApplied(true)), "a delete is a put");
        Assert.That(await PutOne(store, 4, "a", 5, "{\"n\":5}"), Is.EqualTo(Superseded(6)), "no resurrection");
        Assert.That(await PutOne(store, 4, "a", 7, "{\"n\":7}"), Is.EqualTo(PutReply.NewApplied(false)));
    }

    [Test]
    public async Task TermsComeBeforeClocks()
    {
        await using var store = await Fresh();
        var late = Document.Live(
            Key.Of("a"),
            new DocumentVersion(1, long.MaxValue),
            Utf8("{}"),
            Guid.Empty,
            Origin.Client
        );
        var newer = Document.Live(Key.Of("a"), new DocumentVersion(2, 1), Utf8("{}"), Guid.Empty, Origin.Client);
        var commands = new[] { late, newer, late }.Select(document => new PutCommand(Stamp(3), Whole, document));
        var replies = await store.Put([.. commands], CancellationToken.None);
        Assert.That(replies[1], Is.EqualTo(PutReply.NewApplied(true)));
        Assert.That(replies[2], Is.EqualTo(PutReply.NewSuperseded(new DocumentVersion(2, 1))));
    }

    [Test]
    public async Task ABarrierOutlivesDropAndReboot()
    {
        var directory = NewDirectory();
        var entropy = new SeededEntropy(7);
        var first = await OpenAsync(directory, entropy);
        await Make(first, 3);
        var dropped = await first.Drop(new DropCommand(Stamp(9), Whole, Guid.Empty, 0), CancellationToken.None);
        Assert.That(dropped.IsDropped);
        await first.DisposeAsync();

        await using var second = await OpenAsync(directory, entropy);
        var made = await second.Make(new MakeCommand(Stamp(8), Whole, HashRange.Full, 0, 1), CancellationToken.None);
        Assert.That(made, Is.EqualTo(MakeReply.NewMakeStaleEpoch(9)));
        Assert.That((await PutOne(second, 8, "a", 1, "{}") as PutReply.StaleEpoch)?.Epoch, Is.EqualTo(9));
        Assert.That((await PutOne(second, 9, "a", 1, "{}")).IsNotServing, "gone is not empty");
    }

    [Test]
    public async Task ALateMakingWipesNothing()
    {
        await using var store = await Fresh();
        await PutOne(store, 3, "a", 1, "{\"n\":1}");
        var before = (await store.Stores(CancellationToken.None)).Single();
        var again = await store.Make(new MakeCommand(Stamp(4), Whole, HashRange.Full, 77, 2), CancellationToken.None);
        Assert.That(again, Is.EqualTo(MakeReply.NewMade(before.Incarnation)));
        Assert.That(await BodyOf(store, 4, "a"), Is.EqualTo("{\"n\":1}"));
        Assert.That((await store.Stores(CancellationToken.None)).Single().Migration, Is.EqualTo(before.Migration));
    }

    [Test]
    public async Task AStoreMadeAgainIsAnotherIncarnation()
    {
        await using var store = await Fresh();
        var before = (await store.Stores(CancellationToken.None)).Single().Incarnation;
        await store.Drop(new DropCommand(Stamp(3), Whole, before, 0), CancellationToken.None);
        await Make(store, 3);
        var after = (await store.Stores(CancellationToken.None)).Single().Incarnation;
        Assert.That(after, Is.Not.EqualTo(before));
        var late = await store.Drop(new DropCommand(Stamp(3), Whole, before, 0), CancellationToken.None);
        Assert.That(late.IsNotTheSame, "a drop of the one that was leaves this one alone");
    }

    [Test]
    public async Task WhereThereIsNoStoreNothingIsAbsent()
    {
        await using var store = await Fresh();
        await store.Drop(new DropCommand(Stamp(3), Whole, Guid.Empty, 0), CancellationToken.None);
        var read = await store.Read([new ReadCommand(Stamp(3), Whole, Key.Of("a"))], CancellationToken.None);
        Assert.That(read.Single().IsReadNotServing, $"{read.Single()}");
        Assert.That((await store.ScanPage(ScanOf(3), CancellationToken.None)).IsScanNotServing);
        Assert.That((await PutOne(store, 3, "a", 1, "{}")).IsNotServing);
        var raised = await store.RaiseBarriers([new BarrierCommand(Stamp(3), Whole, null)], CancellationToken.None);
        Assert.That(raised.Single().IsConfirmedNotServing);
    }

    [Test]
    public async Task EachOperationIsRefusedBelowTheBarrier()
    {
        await using var store = await Fresh();
        var route = StoreUniverse.Told(2, 6);
        var raised = await store.RaiseBarriers([new BarrierCommand(Stamp(6), Whole, route)], CancellationToken.None);
        Assert.That(raised.Single().IsConfirmed);

        var put = await PutOne(store, 5, "a", 1, "{}") as PutReply.StaleEpoch;
        var read = await store.Read([new ReadCommand(Stamp(5), Whole, Key.Of("a"))], CancellationToken.None);
        var scan = await store.ScanPage(ScanOf(5), CancellationToken.None);
        var make = await store.Make(new MakeCommand(Stamp(5), Whole, HashRange.Full, 0, 1), CancellationToken.None);
        var drop = await store.Drop(new DropCommand(Stamp(5), Whole, Guid.Empty, 0), CancellationToken.None);
        var raise = await store.RaiseBarriers([new BarrierCommand(Stamp(5), Whole, null)], CancellationToken.None);
        var live = Document.Live(Key.Of("a"), new DocumentVersion(1, 1), Utf8("{}"), Guid.Empty, Origin.AntiEntropy);
        var heal = await store.Heal([new HealCommand(Stamp(5), Whole, live, Digest.Zero)], CancellationToken.None);
        var incarnation = ((BarrierReply.Confirmed)raised.Single()).Incarnation;
        var purge = await store.Purge(
            new PurgeCommand(Stamp(5), Whole, incarnation, new DocumentVersion(2, 0)),
            CancellationToken.None
        );
        Assert.Multiple(() =>
        {
            Assert.That((heal.Single() as HealReply.HealStaleEpoch)?.Epoch, Is.EqualTo(6));
            Assert.That((purge as PurgeReply.PurgeStaleEpoch)?.Epoch, Is.EqualTo(6));
            Assert.That((put?.Epoch, put?.Route?.Value.Epoch), Is.EqualTo(((long?)6L, (long?)6L)));
            Assert.That((read.Single() as ReadReply.ReadStaleEpoch)?.Epoch, Is.EqualTo(6));
            Assert.That((scan as ScanReply.ScanStaleEpoch)?.Epoch, Is.EqualTo(6));
            Assert.That(make, Is.EqualTo(MakeReply.NewMakeStaleEpoch(6)));
            Assert.That(drop, Is.EqualTo(DropReply.NewDropStaleEpoch(6)));
            Assert.That(raise.Single(), Is.EqualTo(BarrierReply.NewBarrierAbove(6)));
        });
    }

    [Test]
    public async Task AHealReplacesOnlyTheVersionThatItIsOf()
    {
        await using var store = await Fresh();
        await PutOne(store, 3, "a", 2, "{}");
        var older = Document.Live(Key.Of("a"), new DocumentVersion(1, 1), Utf8("[]"), Guid.Empty, Origin.AntiEntropy);
        var heal = new HealCommand(Stamp(3), Whole, older, Digest.OfBody("{}"u8));
        Assert.That(
            await store.Heal([heal], CancellationToken.None),
            Is.EqualTo(new[] { HealReply.NewNothingToHeal(new DocumentVersion(1, 2)) })
        );
        Assert.That(await BodyOf(store, 3, "a"), Is.EqualTo("{}"));
    }

    [Test]
    public async Task APurgeIsOfTheIncarnationThatWasCompared()
    {
        await using var store = await Fresh();
        await PutOne(store, 3, "a", 1, null);
        var other = new PurgeCommand(Stamp(3), Whole, new Guid(1, 2, 3, new byte[8]), new DocumentVersion(2, 0));
        Assert.That((await store.Purge(other, CancellationToken.None)).IsPurgeNotServing, "of another incarnation");
        Assert.That((await PageOf(store, HashRange.Full)).Entries, Has.Length.EqualTo(1));
    }

    [Test]
    public async Task WhatIsBeingFilledAnswersNothing()
    {
        await using var store = await Fresh();
        await store.Drop(new DropCommand(Stamp(3), Whole, Guid.Empty, 0), CancellationToken.None);
        var fill = new MakeCommand(Stamp(3), Whole, HashRange.Full, 0, 1);
        Assert.That((await store.BeginFill(fill, CancellationToken.None)).IsMade);
        var read = await store.Read([new ReadCommand(Stamp(3), Whole, Key.Of("a"))], CancellationToken.None);
        Assert.That(read.Single().IsReadNotServing, $"while it is filled it says {read.Single()}");
        Assert.That((await PutOne(store, 3, "a", 1, "{}")).IsNotServing);
    }

    [Test]
    public async Task ARouteHasItsOwnBarrier()
    {
        await using var store = await Fresh();
        await PutOne(store, 9, "a", 1, "{}");
        var other = new RouteStamp(new ShardId("books", 1, 0), 1);
        var live = Document.Live(Key.Of("a"), new DocumentVersion(1, 2), Utf8("{}"), Guid.Empty, Origin.Migration);
        var reply = await store.Put([new PutCommand(other, Whole, live)], CancellationToken.None);
        Assert.That(reply.Single(), Is.EqualTo(PutReply.NewApplied(true)), "the old route is at 1, in whatever store");
    }

    [Test]
    public async Task AnyNewerRequestRaisesTheBarrier()
    {
        await using var store = await Fresh();
        await store.ScanPage(ScanOf(4), CancellationToken.None);
        Assert.That((await PutOne(store, 3, "a", 1, "{}")).IsStaleEpoch, "after a scan");
        await store.Read([new ReadCommand(Stamp(5), Whole, Key.Of("a"))], CancellationToken.None);
        Assert.That((await PutOne(store, 4, "a", 1, "{}")).IsStaleEpoch, "after a read");
        await PutOne(store, 6, "a", 1, "{}");
        Assert.That((await PutOne(store, 5, "a", 1, "{}")).IsStaleEpoch, "after a put");
        await Make(store, 7);
        Assert.That((await PutOne(store, 6, "a", 1, "{}")).IsStaleEpoch, "after a making");
        await store.Drop(new DropCommand(Stamp(8), Whole, new Guid(1, 2, 3, new byte[8]), 0), CancellationToken.None);
        Assert.That((await PutOne(store, 7, "a", 1, "{}")).IsStaleEpoch, "after a dropping that left all alone");
    }

    [Test]
    public async Task HashesAreOrderedUnsigned()
    {
        await using var store = await Fresh();
        var keys = Enumerable.Range(0, 64).Select(i => Key.Of($"document-{i}")).ToArray();
        Assert.That(
            keys.Any(key => key.Hash >= 1UL << 63) && keys.Any(key => key.Hash < 1UL << 63),
            "both halves are tried"
        );
        foreach (var key in keys)
        {
            await PutOne(store, 3, key.Text, 1, "{}");
        }

        var page = await PageOf(store, HashRange.Full);
        Assert.That(page.Entries.Select(entry => entry.Key.Hash), Is.EqualTo(keys.Select(key => key.Hash).Order()));
        var high = await PageOf(store, new HashRange(1UL << 63, 0));
        Assert.That(high.Entries, Has.Length.EqualTo(keys.Count(key => key.Hash >= 1UL << 63)));
    }

    [Test]
    public async Task TombstonesAreScannedWithEmptyBodies()
    {
        await using var store = await Fresh();
        await PutOne(store, 3, "a", 1, "{}");
        await PutOne(store, 3, "a", 2, null);
        await PutOne(store, 3, "b", 1, null);
        var page = await PageOf(store, HashRange.Full);
        Assert.That(page.Entries.Select(entry => entry.IsTombstone), Is.EqualTo(new[] { true, true }));
        Assert.That(page.Bodies.Select(body => body.Length), Is.EqualTo(new[] { 0, 0 }));
        var status = (await store.Stores(CancellationToken.None)).Single();
        Assert.That((status.Documents, status.Tombstones), Is.EqualTo((0, 2)));
    }

    [Test]
    public async Task KeysAreBytes()
    {
        await using var store = await Fresh();
        string[] keys =
        [
            "straße",
            "strasse",
            "STRASSE",
            "é",
            "e\u0301",
            "a",
            "a ",
            "A",
            "\u0001",
            "01",
            "1",
            "i",
            "İ",
            "ı",
        ];
        foreach (var (key, i) in keys.Select((key, i) => (key, i)))
        {
            Assert.That(await PutOne(store, 3, key, 1, $"{{\"n\":{i}}}"), Is.EqualTo(PutReply.NewApplied(false)));
        }

        foreach (var (key, i) in keys.Select((key, i) => (key, i)))
        {
            Assert.That(await BodyOf(store, 3, key), Is.EqualTo($"{{\"n\":{i}}}"));
        }
    }

    [Test]
    public async Task ALongestKeyAndALargeBodyComeBackWhole()
    {
        await using var store = await Fresh();
        var key = new string('k', Key.MaxLength);
        var body = $"{{\"text\":\"{new string('x', 3_000_000)}\"}}";
        await PutOne(store, 3, key, 1, body);
        await PutOne(store, 3, "other", 1, body);
        Assert.That(await BodyOf(store, 3, key), Is.EqualTo(body));
        var small = new ScanCommand(Stamp(3), Whole, HashRange.Full, null, 100, 1000, true);
        var page = ((ScanReply.Page)await store.ScanPage(small, CancellationToken.None)).Item;
        Assert.That(
            (page.Entries.Length, page.IsLast),
            Is.EqualTo((1, false)),
            "one document may be larger than a page"
        );
    }

    [Test]
    public async Task APageOfNothingIsRefused()
    {
        await using var store = await Fresh();
        var none = new ScanCommand(Stamp(3), Whole, HashRange.Full, null, 0, 1000, true);
        Assert.That((await store.ScanPage(none, CancellationToken.None)).IsScanRefused);
    }

    private static ShardId Whole => StoreUniverse.Shard(2);

    private static RouteStamp Stamp(long epoch) => new(Whole, epoch);

    private static ScanCommand ScanOf(long epoch) =>
        new(Stamp(epoch), Whole, HashRange.Full, null, 1000, 1 << 20, true);

    private static ReadOnlyMemory<byte> Utf8(string text) => System.Text.Encoding.UTF8.GetBytes(text);

    private static PutReply Superseded(long clock) => PutReply.NewSuperseded(new DocumentVersion(1, clock));

    private string NewDirectory() => Path.Combine(root, $"{Interlocked.Increment(ref opened)}");

    /// <summary>A new store with one empty shard of the whole hash space, made at epoch 3.</summary>
    private async Task<INodeStore> Fresh()
    {
        var store = await OpenAsync(NewDirectory(), new SeededEntropy(opened));
        await Make(store, 3);
        return store;
    }

    private static async Task Make(INodeStore store, long epoch)
    {
        var reply = await store.Make(
            new MakeCommand(Stamp(epoch), Whole, HashRange.Full, 5, 1),
            CancellationToken.None
        );
        Assert.That(reply.IsMade, $"{reply}");
    }

    private static async Task<PutReply> PutOne(INodeStore store, long epoch, string key, long clock, string? body)
    {
        var version = new DocumentVersion(1, clock);
        var document = body is null
            ? Document.Tombstone(Key.Of(key), version, Guid.Empty, Origin.Client)
            : Document.Live(Key.Of(key), version, Utf8(body), Guid.Empty, Origin.Client);
        return (await store.Put([new PutCommand(Stamp(epoch), Whole, document)], CancellationToken.None)).Single();
    }

    private static async Task<string> BodyOf(INodeStore store, long epoch, string key)
    {
        var replies = await store.Read([new ReadCommand(Stamp(epoch), Whole, Key.Of(key))], CancellationToken.None);
        return replies.Single() is ReadReply.Found found
            ? System.Text.Encoding.UTF8.GetString(found.Item.Body.Span)
            : $"{replies.Single()}";
    }

    private static async Task<ScanPage> PageOf(INodeStore store, HashRange range)
    {
        var command = new ScanCommand(Stamp(3), Whole, range, null, 1000, 1 << 20, true);
        return ((ScanReply.Page)await store.ScanPage(command, CancellationToken.None)).Item;
    }

    private async Task RunAsync(StoreOperation[] operations)
    {
        var directory = NewDirectory();
        var entropy = new SeededEntropy(opened);
        await using var run = new ConformanceRun(() => OpenAsync(directory, entropy), MaxChanges);
        await run.Apply(new StoreOperation.Make(0, 1, 0, 0));
        await run.Apply(new StoreOperation.Make(2, 1, 2, 1));
        foreach (var operation in operations)
        {
            await run.Apply(operation);
        }

        await run.CompareAll();
        await run.Apply(new StoreOperation.Reboot());
        await run.CompareAll();
    }
}
