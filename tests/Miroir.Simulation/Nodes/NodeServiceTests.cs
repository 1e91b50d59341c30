using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Nodes;
using Miroir.Stores.Memory;
using NUnit.Framework;

namespace Miroir.Simulation.Nodes;

public sealed class NodeServiceTests
{
    [Test]
    public async Task AScanStreamsEveryPageInOrder()
    {
        var group = new NodeGroup(1);
        await NodeGroup.Put(
            group.Stores[0],
            NodeGroup.SourceShard,
            Enumerable.Range(0, 100).Select(i => NodeGroup.DocumentOf(i, 1))
        );
        var scan = new ScanCommand(
            new RouteStamp(NodeGroup.SourceShard, 1),
            NodeGroup.SourceShard,
            HashRange.Full,
            null,
            9,
            1 << 20,
            true
        );
        var keys = new List<Key>();
        var pages = 0;
        await foreach (var reply in group.Get("s0", "").Scan(scan, CancellationToken.None))
        {
            keys.AddRange(((ScanReply.Page)reply).Item.Entries.Select(entry => entry.Key));
            pages++;
        }

        Assert.That(pages, Is.EqualTo(12));
        Assert.That(keys, Is.EqualTo(Enumerable.Range(0, 100).Select(i => Key.Of($"k{i}")).Order()));
    }

    [Test]
    public async Task AScanThatIsRefusedEndsThere()
    {
        var group = new NodeGroup(1);
        var scan = new ScanCommand(
            new RouteStamp(NodeGroup.SourceShard, 1),
            NodeGroup.TargetShard,
            HashRange.Full,
            null,
            9,
            1,
            true
        );
        var replies = new List<ScanReply>();
        await foreach (var reply in group.Get("s0", "").Scan(scan, CancellationToken.None))
        {
            replies.Add(reply);
        }

        Assert.That(replies.Single().IsScanNotServing);
    }

    [Test]
    public async Task BeyondItsBoundsANodeRefusesAndThenGoesOn()
    {
        var entropy = new SeededEntropy(1);
        var store = new FaultyNodeStore(
            new MemoryNodeStore(entropy),
            new FaultPlan { DelayCall = 1, MaxDelay = TimeSpan.FromDays(1) },
            entropy,
            TimeProvider.System
        );
        var options = new NodeOptions("n", "test") { MaxConcurrentPuts = 1, MaxWaiting = 1 };
        var node = new NodeService(options, store, new NodeGroup(0), TimeProvider.System, entropy, _ => { });
        var put = new PutCommand(
            new RouteStamp(NodeGroup.SourceShard, 1),
            NodeGroup.SourceShard,
            NodeGroup.DocumentOf(1, 1)
        );
        using var first = new CancellationTokenSource();
        using var second = new CancellationTokenSource();
        var running = node.Put([put], first.Token);
        var waiting = node.Put([put], second.Token);
        var refused = await node.Put([put, put], CancellationToken.None);
        Assert.That(refused, Has.Length.EqualTo(2));
        Assert.That(
            refused.Select(reply => (reply as PutReply.Refused)?.Item.Code),
            Is.All.EqualTo(RefusalCode.Overloaded)
        );

        second.Cancel();
        await Assert.ThatAsync(() => waiting, Throws.InstanceOf<OperationCanceledException>());
        first.Cancel();
        await Assert.ThatAsync(() => running, Throws.InstanceOf<OperationCanceledException>());
        store.Plan = FaultPlan.None;
        Assert.That((await node.Put([put], CancellationToken.None)).Single().IsNotServing);
    }

    [Test]
    public async Task AStoreThatThrowsLeavesTheOutcomeUnknown()
    {
        var group = new NodeGroup(1);
        await group.Stores[0].DisposeAsync();
        var put = new PutCommand(
            new RouteStamp(NodeGroup.SourceShard, 1),
            NodeGroup.SourceShard,
            NodeGroup.DocumentOf(1, 1)
        );
        await Assert.ThatAsync(
            () => group.Get("s0", "").Put([put], CancellationToken.None),
            Throws.InstanceOf<UnreachableException>().With.Message.Contains("s0")
        );
    }

    [Test]
    public async Task StatusTellsTheStoresAndThisStart()
    {
        var group = new NodeGroup(1);
        var status = await group.Target.Status(CancellationToken.None);
        Assert.That((status.Name, status.Version, status.LastError), Is.EqualTo(("t", "test", "")));
        Assert.That(status.Stores.Single().Incarnation, Is.EqualTo(group.TargetIncarnation));
        Assert.That(status.Incarnation, Is.Not.EqualTo(Guid.Empty));
    }
}
