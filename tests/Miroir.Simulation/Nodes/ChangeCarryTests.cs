using FsCheck;
using FsCheck.Fluent;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Nodes;
using Miroir.Stores.Memory;
using NUnit.Framework;

namespace Miroir.Simulation.Nodes;

/// <summary>What a target takes over of its sources' change logs, so that the feed goes on without a gap.</summary>
public sealed class ChangeCarryTests
{
    private static readonly Gen<(int Key, int Clock)[]> Puts = Gen.Choose(0, 60)
        .SelectMany(size =>
            (from key in Gen.Choose(0, 39) from clock in Gen.Choose(0, 29) select (key, clock)).ArrayOf(size)
        );

    private static readonly Arbitrary<((int, int)[][] Sources, ReconcileMode Mode, double Fault)> Worlds = Arb.From(
        from count in Gen.Choose(1, 3)
        from sources in Puts.ArrayOf(count)
        from mode in Gen.Elements(ReconcileMode.Delta, ReconcileMode.Rebuild, ReconcileMode.ChangeLog)
        from fault in Gen.Elements(0.0, 0.1)
        select (sources, mode, fault)
    );

    [Test]
    public void TheTargetsLogHasWhatAnySourcesHas() =>
        Check.One(
            FsCheck.Config.QuickThrowOnFailure.WithMaxTest(80),
            Prop.ForAll(Worlds, world => CarriesAll(world.Sources, world.Mode, world.Fault).GetAwaiter().GetResult())
        );

    [Test]
    public async Task ACopyCarriesNothing()
    {
        var group = new NodeGroup(1);
        await NodeGroup.Put(group.Stores[0], NodeGroup.SourceShard, NodeGroup.DocumentOf(1, 1));
        await group.Complete(group.Copy());
        Assert.That((await LogOf(group.TargetStore, NodeGroup.TargetShard)).Changes, Is.Empty);
    }

    [Test]
    public async Task OnlyTheRangeThatIsTakenOver()
    {
        var group = new NodeGroup(1);
        var documents = Enumerable.Range(0, 100).Select(key => NodeGroup.DocumentOf(key, 1)).ToArray();
        await NodeGroup.Put(group.Stores[0], NodeGroup.SourceShard, documents);
        var half = new HashRange(0, 1UL << 63);
        await group.Complete(group.From(ReconcileMode.Delta, half));
        var carried = await LogOf(group.TargetStore, NodeGroup.TargetShard);
        Assert.That(
            carried.Changes.Select(change => change.Key.Text),
            Is.EquivalentTo(documents.Where(d => half.Contains(d.Key)).Select(d => d.Key.Text))
        );
    }

    [Test]
    public async Task TheHighestFloorIsCarriedToo()
    {
        var group = new NodeGroup(2);
        await NodeGroup.Put(
            group.Stores[0],
            NodeGroup.SourceShard,
            NodeGroup.DocumentOf(1, 1),
            NodeGroup.DocumentOf(2, 25)
        );
        var floor = new DocumentVersion(2, 3);
        await RaiseFloor(group.Stores[1], floor);

        await group.Complete(group.Delta());
        var carried = await LogOf(group.TargetStore, NodeGroup.TargetShard);
        Assert.That(carried.Floor, Is.EqualTo(floor));
        Assert.That(carried.Changes.Select(change => change.Key.Text), Has.Member("k2"));
    }

    /// <summary>Positions are in order within a shard only: the floor of one, in a high term, takes nothing of another's.</summary>
    [Test]
    public async Task TheFloorOfOneShardTakesNothingOfAnothers()
    {
        var (low, high) = (new HashRange(0, 1UL << 63), new HashRange(1UL << 63, 0));
        var group = new NodeGroup(2);
        var documents = Enumerable.Range(0, 100).Select(key => NodeGroup.DocumentOf(key, 1)).ToArray();
        await NodeGroup.Put(group.Stores[1], NodeGroup.SourceShard, documents);
        var floor = new DocumentVersion(7, 3);
        await RaiseFloor(group.Stores[0], floor);

        foreach (var (range, source) in new[] { (low, 0), (high, 1) })
        {
            var command = group.From(ReconcileMode.Delta, range);
            await group.Complete(command.From(null, [command.Sources[source]]));
        }

        Assert.That((await LogOf(group.TargetStore, NodeGroup.TargetShard, low)).Floor, Is.EqualTo(floor));
        var carried = await LogOf(group.TargetStore, NodeGroup.TargetShard, high);
        Assert.That(carried.Floor, Is.EqualTo(DocumentVersion.Zero));
        Assert.That(
            carried.Changes.Select(change => change.Key.Text),
            Is.EquivalentTo(documents.Where(d => high.Contains(d.Key)).Select(d => d.Key.Text))
        );
    }

    [Test]
    public async Task ASourceWithoutItsLogIsNamed()
    {
        var group = new NodeGroup(
            2,
            disturb: node => node.Name == "s1" ? new DisturbedNode(node) { OnChanges = _ => Mute() } : node
        );
        var reply = await group.Run(group.Delta());
        Assert.That(reply, Is.InstanceOf<ReconcileReply.SourceFailed>());
        Assert.That(((ReconcileReply.SourceFailed)reply).Node, Is.EqualTo("s1"));

        static ChangesReply Mute() =>
            ChangesReply.NewChangesRefused(new Refusal(RefusalCode.Corrupt, "the log can't be read"));
    }

    private static async Task<bool> CarriesAll((int Key, int Clock)[][] sources, ReconcileMode mode, double fault)
    {
        var group = new NodeGroup(sources.Length, new FaultPlan { RefusePut = fault });
        await group.Fill(sources);
        if (mode == ReconcileMode.Rebuild)
        {
            await group.LoseTarget();
        }

        await group.Complete(group.From(mode));
        // Again, from a store that serves: nothing changes.
        await group.Complete(group.From(ReconcileMode.ChangeLog));

        HashSet<string> expected = [];
        foreach (var store in group.Stores)
        {
            expected.UnionWith((await LogOf(store, NodeGroup.SourceShard)).Changes.Select(Line));
        }

        var carried = (await LogOf(group.TargetStore, NodeGroup.TargetShard)).Changes;
        Assert.That(carried.Select(Line), Is.EquivalentTo(expected));
        Assert.That(carried.Select(change => change.Position), Is.Ordered);
        return true;
    }

    private static async Task RaiseFloor(INodeStore store, DocumentVersion floor)
    {
        var (shard, stamp) = (NodeGroup.SourceShard, new RouteStamp(NodeGroup.SourceShard, 1));
        var raise = new LogChangesCommand(stamp, shard, [], floor, HashRange.Full);
        Assert.That((await store.LogChanges(raise, CancellationToken.None)).IsLogged);
    }

    private static string Line(Change change) => $"{change} {change.OperationId}";

    private static async Task<ChangesPage> LogOf(INodeStore store, ShardId id, HashRange? range = null)
    {
        // Under a route of its own, so that looking raises no barrier of theirs.
        var stamp = new RouteStamp(new ShardId("inspection", 1, 0), 1);
        var asked = new ChangesCommand(
            stamp,
            id,
            range ?? HashRange.Full,
            DocumentVersion.Zero,
            DocumentVersion.Highest,
            int.MaxValue
        );
        var reply = await store.Changes(asked, CancellationToken.None);
        return ((ChangesReply.Changes)reply).Item;
    }
}
