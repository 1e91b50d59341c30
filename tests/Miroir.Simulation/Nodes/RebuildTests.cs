using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Stores.Memory;
using NUnit.Framework;

namespace Miroir.Simulation.Nodes;

/// <summary>A replica that lost its store is made anew, filled from the others, and serves only then.</summary>
public sealed class RebuildTests
{
    private static readonly Gen<(int Key, int Clock)[]> Contents = Gen.Choose(0, 60)
        .SelectMany(size =>
            (from key in Gen.Choose(0, 39) from clock in Gen.Choose(0, 29) select (key, clock)).ArrayOf(size)
        );

    private static readonly Arbitrary<((int, int)[][] Sources, double Fault)> Worlds = Arb.From(
        from count in Gen.Choose(1, 3)
        from sources in Contents.ArrayOf(count)
        from fault in Gen.Elements(0.0, 0.1)
        select (sources, fault)
    );

    [Test]
    public void ARebuiltStoreHoldsTheMergeOfItsSources() =>
        Check.One(
            FsCheck.Config.QuickThrowOnFailure.WithMaxTest(80),
            Prop.ForAll(Worlds, world => RebuildOver(world.Sources, world.Fault).GetAwaiter().GetResult())
        );

    [Test]
    public async Task ItGoesOnWhereACrashCutItOff()
    {
        DisturbedNode? source = null;
        var isCut = true;
        var group = new NodeGroup(
            1,
            disturb: node =>
                source = new DisturbedNode(node)
                {
                    OnPage = (page, reply) =>
                        isCut && page > 20 ? throw new UnreachableException(node.Name, "cut off") : reply,
                }
        );
        await Fill(group, 300);
        await group.LoseTarget();
        Assert.That((await group.Run(group.Rebuild())).IsSourceFailed);
        var filled = (await Status(group)).Documents;
        Assert.That((await Status(group)).Health, Is.EqualTo(StoreHealth.Filling));
        Assert.That(filled, Is.GreaterThan(50));

        isCut = false;
        var before = source!.Pages;
        var progress = await group.Complete(group.Rebuild());
        Assert.That(progress.Copied + filled, Is.LessThanOrEqualTo(300), "nothing twice");
        // The rest with its bodies, all of it without: pages of 7.
        Assert.That(source.Pages - before, Is.LessThan(300 / 7 + (300 - (int)filled) / 7 + 6));
        await AssertEquals(group, Enumerable.Range(0, 300).Select(DocumentAt));
    }

    [Test]
    public async Task ItServesOnlyAtItsEndAsAnotherIncarnation()
    {
        NodeGroup? group = null;
        var health = new List<StoreHealth>();
        group = new NodeGroup(
            2,
            disturb: node => new DisturbedNode(node)
            {
                OnPage = (_, reply) =>
                {
                    health.Add(Status(group!).GetAwaiter().GetResult().Health);
                    var put = NodeGroup.Put(group!.TargetStore, NodeGroup.TargetShard, NodeGroup.DocumentOf(0, 3));
                    Assert.That(
                        put.GetAwaiter().GetResult().Single().IsNotServing,
                        "a client's put while it is filled"
                    );
                    return reply;
                },
            }
        );
        await Fill(group, 60);
        await group.LoseTarget();
        var progress = await group.Complete(group.Rebuild());
        Assert.That(health, Is.All.EqualTo(StoreHealth.Filling));
        Assert.That((await Status(group)).Health, Is.EqualTo(StoreHealth.Serving));
        Assert.That(progress.Incarnation, Is.EqualTo((await Status(group)).Incarnation));
        Assert.That(progress.Incarnation, Is.Not.EqualTo(group.TargetIncarnation));
        Assert.That(progress.Compared, Is.EqualTo(60));
    }

    [Test]
    public async Task AStoreThatServesIsNotMadeAnew()
    {
        var group = new NodeGroup(1);
        await NodeGroup.Put(group.TargetStore, NodeGroup.TargetShard, NodeGroup.DocumentOf(1, 1));
        var refused = await group.Run(group.Rebuild()) as ReconcileReply.ReconcileRefused;
        Assert.That(refused?.Item.Message, Does.Contain("nothing to rebuild"));
        Assert.That(await NodeGroup.Everything(group.TargetStore, NodeGroup.TargetShard), Has.Length.EqualTo(1));
    }

    [Test]
    public async Task ARottenBodyComesFromAnotherSource()
    {
        var group = new NodeGroup(2);
        await Fill(group, 100);
        group.Stores[0].Rot(NodeGroup.SourceShard, DocumentAt(33).Key, Encoding.UTF8.GetBytes("{}"));
        await group.LoseTarget();
        await group.Complete(group.Rebuild());
        await AssertEquals(group, Enumerable.Range(0, 100).Select(DocumentAt));
    }

    [Test]
    public async Task WithoutAnySourceThatAnswersItDoesNotServe()
    {
        var group = new NodeGroup(
            1,
            disturb: node => new DisturbedNode(node)
            {
                OnPage = (_, _) => throw new UnreachableException(node.Name, "cut off"),
            }
        );
        await Fill(group, 10);
        await group.LoseTarget();
        Assert.That((await group.Run(group.Rebuild())).IsSourceFailed);
        Assert.That((await Status(group)).Health, Is.EqualTo(StoreHealth.Filling));
    }

    private static async Task RebuildOver((int Key, int Clock)[][] sources, double fault)
    {
        var group = new NodeGroup(sources.Length);
        await group.Fill(sources);

        await group.LoseTarget();
        group.TargetStore.Plan = new FaultPlan { RefusePut = fault, LosePutReply = fault };
        var progress = await group.Complete(group.Rebuild());
        group.TargetStore.Plan = FaultPlan.None;
        var merge = sources
            .SelectMany(source => source)
            .GroupBy(at => at.Key)
            .Select(same => NodeGroup.DocumentOf(same.Key, same.Max(at => at.Clock)))
            .ToArray();
        Assert.That(progress.Compared, Is.EqualTo(merge.Length));
        await AssertEquals(group, merge);
    }

    private static Document DocumentAt(int key) => NodeGroup.DocumentOf(key, key % 20);

    private static async Task Fill(NodeGroup group, int count)
    {
        foreach (var store in group.Stores)
        {
            await NodeGroup.Put(store, NodeGroup.SourceShard, Enumerable.Range(0, count).Select(DocumentAt));
        }
    }

    private static async Task<StoreStatus> Status(NodeGroup group) =>
        (await group.TargetStore.Stores(CancellationToken.None)).Single();

    private static async Task AssertEquals(NodeGroup group, IEnumerable<Document> expected)
    {
        var there = await NodeGroup.Everything(group.TargetStore, NodeGroup.TargetShard);
        Assert.That(
            there.Select(document => document.Entry.ToString()),
            Is.EqualTo(expected.OrderBy(document => document.Key).Select(document => document.Entry.ToString()))
        );
        Assert.That(there.All(document => Digest.OfBody(document.Body.Span).Equals(document.Entry.Digest)));
    }
}
