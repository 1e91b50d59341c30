using Miroir.Core;
using Miroir.Ports;
using Miroir.Stores.Memory;
using NUnit.Framework;

namespace Miroir.Stores.Tests;

public sealed class FaultyNodeStoreTests
{
    private static readonly ShardId Old = new("books", 1, 0);
    private static readonly ShardId New = new("books", 2, 0);

    [Test]
    public async Task OnlyStoresMadeForAMigrationRefuse()
    {
        var store = await Open(new FaultPlan { RefusePut = 1, OnlyMigrationStores = true });
        var replies = await store.Put([PutTo(Old, "a"), PutTo(New, "a"), PutTo(Old, "b")], CancellationToken.None);
        Assert.That(replies[0].IsApplied && replies[2].IsApplied, "answers keep the order of the commands");
        Assert.That((replies[1] as PutReply.Refused)?.Item.Code, Is.EqualTo(RefusalCode.Injected));
        Assert.That(store.RefusedPuts, Is.EqualTo(1));
        var failed = (await store.Stores(CancellationToken.None)).Select(status => (status.Store, status.FailedPuts));
        Assert.That(failed, Is.EquivalentTo(new[] { (Old, 0L), (New, 1L) }));
    }

    [Test]
    public async Task AboutAsManyAreRefusedAsAskedAndTheOthersApplied()
    {
        var store = await Open(new FaultPlan { RefusePut = 0.1 });
        var commands = Enumerable.Range(0, 10_000).Select(i => PutTo(Old, $"{i}")).ToArray();
        var replies = await store.Put(commands, CancellationToken.None);
        var refused = replies.Count(reply => reply.IsRefused);
        Assert.That(refused, Is.InRange(800, 1200));
        Assert.That(store.RefusedPuts, Is.EqualTo(refused));
        Assert.That(
            (await store.Stores(CancellationToken.None)).Sum(status => status.Tombstones),
            Is.EqualTo(commands.Length - refused)
        );
    }

    [Test]
    public async Task ALostReplyLeavesThePutApplied()
    {
        var store = await Open(new FaultPlan { LosePutReply = 1 });
        await Assert.ThrowsAsync<UnreachableException>(() => store.Put([PutTo(Old, "a")], CancellationToken.None));
        Assert.That(store.LostReplies, Is.EqualTo(1));
        store.Plan = FaultPlan.None;
        Assert.That((await store.Put([PutTo(Old, "a")], CancellationToken.None)).Single().IsSuperseded);
    }

    [Test]
    public async Task AHeldPutReachesTheStoreWhenItIsReleasedThoughItsCallerIsGone()
    {
        var store = await Open(FaultPlan.None);
        var release = new TaskCompletionSource();
        using var caller = new CancellationTokenSource();
        store.Plan = new FaultPlan { Held = new HeldPut(Key.Of("a"), release.Task) };

        var held = store.Put([PutTo(Old, "a"), PutTo(Old, "b")], caller.Token);
        Assert.That(held.IsCompleted, Is.False);
        Assert.That((await store.Put([PutTo(Old, "b")], CancellationToken.None)).Single().IsSuperseded, "b is there");
        Assert.That((await store.Put([PutTo(Old, "a")], CancellationToken.None)).Single().IsRefused, "a waits");
        await caller.CancelAsync();
        await store.RaiseBarriers([new BarrierCommand(new RouteStamp(Old, 2), Old, null)], CancellationToken.None);
        release.SetResult();

        var replies = await held;
        Assert.That(replies[0].IsStaleEpoch && replies[1].IsApplied, "the route of a ended meanwhile");
        Assert.That((store.Held, store.RefusedLate), Is.EqualTo((1L, 1L)));
        Assert.That((await store.Put([PutTo(Old, "a", 2)], CancellationToken.None)).Single().IsApplied);
    }

    private static async Task<FaultyNodeStore> Open(FaultPlan plan)
    {
        var entropy = new SeededEntropy(11);
        var store = new FaultyNodeStore(new MemoryNodeStore(entropy), plan, entropy, TimeProvider.System);
        await store.Make(new MakeCommand(new RouteStamp(Old, 1), Old, HashRange.Full, 0, 1), CancellationToken.None);
        await store.Make(new MakeCommand(new RouteStamp(Old, 1), New, HashRange.Full, 4, 1), CancellationToken.None);
        return store;
    }

    private static PutCommand PutTo(ShardId store, string key, long epoch = 1) =>
        new(
            new RouteStamp(Old, epoch),
            store,
            Document.Tombstone(Key.Of(key), new DocumentVersion(1, 1), Guid.Empty, Origin.Client)
        );
}
