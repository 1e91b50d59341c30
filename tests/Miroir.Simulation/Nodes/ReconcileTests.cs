using FsCheck;
using FsCheck.Fluent;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Stores.Memory;
using NUnit.Framework;
using Config = FsCheck.Config;

namespace Miroir.Simulation.Nodes;

public sealed class ReconcileTests
{
    private static readonly Gen<(int Key, int Clock)[]> Contents = Gen.Choose(0, 60)
        .SelectMany(size =>
            (from key in Gen.Choose(0, 39) from clock in Gen.Choose(0, 29) select (key, clock)).ArrayOf(size)
        );

    private static readonly Arbitrary<((int, int)[][] Sources, (int, int)[] Target)> Differing = Arb.From(
        from count in Gen.Choose(1, 4)
        from sources in Contents.ArrayOf(count)
        from target in Contents
        select (sources, target)
    );

    [Test]
    public void AfterADeltaPassTheTargetDominatesTheMerge() =>
        Check.One(
            FsCheck.Config.QuickThrowOnFailure.WithMaxTest(150),
            Prop.ForAll(Differing, world => DeltaOver(world.Sources, world.Target, null).GetAwaiter().GetResult())
        );

    [Test]
    public void SoItDoesWhereTheTargetRefusesAndLosesReplies() =>
        Check.One(
            FsCheck.Config.QuickThrowOnFailure.WithMaxTest(50),
            Prop.ForAll(
                Differing,
                world =>
                    DeltaOver(
                            world.Sources,
                            world.Target,
                            new FaultPlan
                            {
                                RefusePut = 0.1,
                                LosePutReply = 0.1,
                                OnlyMigrationStores = true,
                            }
                        )
                        .GetAwaiter()
                        .GetResult()
            )
        );

    [Test]
    public async Task ACopyBringsEverythingAndSaysSo()
    {
        var group = new NodeGroup(1);
        var documents = Enumerable.Range(0, 500).Select(i => NodeGroup.DocumentOf(i, i % 30)).ToArray();
        await NodeGroup.Put(group.Stores[0], NodeGroup.SourceShard, documents);
        var progress = await group.Complete(group.Copy());

        var there = await NodeGroup.Everything(group.TargetStore, NodeGroup.TargetShard);
        Assert.That(there.Select(Describe), Is.EqualTo(documents.OrderBy(d => d.Key).Select(Describe)));
        Assert.That(there.Select(document => document.Entry.Origin), Is.All.EqualTo(Origin.Migration));
        Assert.That(progress.Copied, Is.EqualTo(500));
        Assert.That(progress.CopiedTombstones, Is.EqualTo(documents.Count(document => document.IsTombstone)));
        Assert.That(progress.CopiedBytes, Is.EqualTo(documents.Sum(document => (long)document.Body.Length)));
        Assert.That(progress.MergeDigest, Is.EqualTo(SumOf(documents.Select(document => document.Entry))));
        Assert.That(progress.Watermark, Is.EqualTo(documents.Max(document => document.Version)));
        Assert.That(progress.Incarnation, Is.EqualTo(group.TargetIncarnation));
        Assert.That(progress.Position, Is.EqualTo(there[^1].Key));
    }

    [Test]
    public async Task ACopyGoesOnBehindItsPosition()
    {
        var group = new NodeGroup(1);
        await NodeGroup.Put(
            group.Stores[0],
            NodeGroup.SourceShard,
            Enumerable.Range(0, 50).Select(i => NodeGroup.DocumentOf(i, 1))
        );
        var all = await NodeGroup.Everything(group.Stores[0], NodeGroup.SourceShard);
        var progress = await group.Complete(group.Copy(after: all[29].Key));
        Assert.That(progress.Copied, Is.EqualTo(20));
        var there = await NodeGroup.Everything(group.TargetStore, NodeGroup.TargetShard);
        Assert.That(there.Select(Describe), Is.EqualTo(all[30..].Select(Describe)));
    }

    [Test]
    public async Task ACopyReplacesNothingNewer()
    {
        var group = new NodeGroup(1);
        await NodeGroup.Put(
            group.Stores[0],
            NodeGroup.SourceShard,
            NodeGroup.DocumentOf(1, 3),
            NodeGroup.DocumentOf(2, 3)
        );
        await NodeGroup.Put(
            group.TargetStore,
            NodeGroup.TargetShard,
            NodeGroup.DocumentOf(1, 4),
            NodeGroup.DocumentOf(2, 2)
        );
        var progress = await group.Complete(group.Copy());
        Assert.That(progress.Copied, Is.EqualTo(1));
        var there = await NodeGroup.Everything(group.TargetStore, NodeGroup.TargetShard);
        var expected = new[] { NodeGroup.DocumentOf(1, 4), NodeGroup.DocumentOf(2, 3) };
        Assert.That(there.Select(Describe), Is.EquivalentTo(expected.Select(Describe)));
    }

    [Test]
    public async Task WritesThatGoOnAreNeitherLostNorReplaced()
    {
        NodeGroup? group = null;
        var clock = 0;
        var written = new List<Document>();
        void Write()
        {
            // Newer versions, wherever the pass is: some reach a source only, some the target as well.
            clock++;
            var document = NodeGroup.DocumentOf(clock * 17 % 200, 30 + clock);
            written.Add(document);
            NodeGroup.Put(group!.Stores[clock % 3], NodeGroup.SourceShard, document).GetAwaiter().GetResult();
            if (clock % 2 == 0)
            {
                NodeGroup.Put(group.TargetStore, NodeGroup.TargetShard, document).GetAwaiter().GetResult();
            }
        }

        group = new NodeGroup(
            3,
            disturb: node => new DisturbedNode(node)
            {
                OnPage = (_, reply) =>
                {
                    Write();
                    return reply;
                },
                BeforeRead = Write,
            }
        );
        var initial = Enumerable.Range(0, 200).Select(i => NodeGroup.DocumentOf(i, i % 20)).ToArray();
        foreach (var document in initial)
        {
            await NodeGroup.Put(group.Stores[document.Key.Hash % 3], NodeGroup.SourceShard, document);
        }

        var progress = await group.Complete(group.Delta());
        Assert.That(written, Is.Not.Empty);
        Assert.That(progress.Copied, Is.GreaterThan(100));
        var there = (await NodeGroup.Everything(group.TargetStore, NodeGroup.TargetShard)).ToDictionary(d => d.Key);
        foreach (var document in initial)
        {
            Assert.That(there[document.Key].Version, Is.GreaterThanOrEqualTo(document.Version));
        }

        foreach (var document in written.Where((_, i) => (i + 1) % 2 == 0))
        {
            Assert.That(there[document.Key].Version, Is.GreaterThanOrEqualTo(document.Version));
        }
    }

    [Test]
    public async Task ASourceInAnotherIncarnationIsNotBelieved()
    {
        var group = new NodeGroup(2);
        group.Incarnations[1] = new Guid(1, 2, 3, new byte[8]);
        var failed = await group.Run(group.Delta()) as ReconcileReply.SourceFailed;
        Assert.That(failed?.Node, Is.EqualTo("s1"));
        Assert.That(failed?.Message, Does.Contain("incarnation"));
    }

    [Test]
    public async Task ASourceMadeAnewDuringThePassVoidsIt()
    {
        NodeGroup? group = null;
        group = new NodeGroup(
            2,
            disturb: node => new DisturbedNode(node)
            {
                OnPage = (page, reply) =>
                {
                    if (node.Name == "s1" && page == 2)
                    {
                        group!.MakeAnew(1);
                    }

                    return reply;
                },
            }
        );
        await Fill(group, 40);
        var failed = await group.Run(group.Delta()) as ReconcileReply.SourceFailed;
        Assert.That(failed?.Node, Is.EqualTo("s1"));
    }

    [Test]
    public async Task ATargetMadeAnewDuringThePassVoidsIt()
    {
        NodeGroup? group = null;
        group = new NodeGroup(
            1,
            disturb: node => new DisturbedNode(node)
            {
                OnPage = (page, reply) =>
                {
                    if (page == 3)
                    {
                        var drop = new DropCommand(
                            new RouteStamp(NodeGroup.SourceShard, 1),
                            NodeGroup.TargetShard,
                            Guid.Empty,
                            0
                        );
                        group!.TargetStore.Drop(drop, CancellationToken.None).GetAwaiter().GetResult();
                        NodeGroup.Make(group.TargetStore, NodeGroup.TargetShard, 1);
                    }

                    return reply;
                },
            }
        );
        await Fill(group, 40);
        Assert.That((await group.Run(group.Delta())).IsReconcileNotServing);
        Assert.That((await group.Run(group.Copy())).IsProgress, "made anew, it can be filled");
    }

    [TestCase(ReconcileMode.Copy)]
    [TestCase(ReconcileMode.Delta)]
    public async Task ASourceOutOfOrderIsNamedWithItsKeys(ReconcileMode mode)
    {
        var group = new NodeGroup(
            1,
            disturb: node => new DisturbedNode(node)
            {
                OnPage = (page, reply) => page == 2 ? Swapped(((ScanReply.Page)reply).Item) : reply,
            }
        );
        await Fill(group, 40);
        var all = await NodeGroup.Everything(group.Stores[0], NodeGroup.SourceShard);
        var failed =
            await group.Run(mode == ReconcileMode.Copy ? group.Copy() : group.Delta()) as ReconcileReply.SourceFailed;
        Assert.That(failed?.Node, Is.EqualTo("s0"));
        Assert.That(failed?.Message, Does.Contain($"\"{all[7].Key}\" behind \"{all[8].Key}\""));
    }

    [Test]
    public async Task ABrokenStreamGoesOnWhereItWas()
    {
        var nodes = new List<DisturbedNode>();
        var group = new NodeGroup(
            1,
            disturb: node =>
            {
                nodes.Add(
                    new DisturbedNode(node)
                    {
                        OnPage = (page, reply) =>
                            page % 3 == 0 ? throw new UnreachableException(node.Name, "reset") : reply,
                    }
                );
                return nodes[^1];
            }
        );
        await Fill(group, 100);
        var progress = await group.Complete(group.Copy());
        Assert.That(progress.Copied, Is.EqualTo(100));
        Assert.That(nodes[0].Pages, Is.LessThan(40), "it goes on, and does not begin again");
    }

    [TestCase(ReconcileMode.Copy)]
    [TestCase(ReconcileMode.Delta)]
    public async Task ASourceThatNeverAnswersFailsInTheEnd(ReconcileMode mode)
    {
        var group = new NodeGroup(
            1,
            disturb: node => new DisturbedNode(node)
            {
                OnPage = (_, _) => throw new UnreachableException(node.Name, "cut off"),
            }
        );
        await Fill(group, 10);
        var failed =
            await group.Run(mode == ReconcileMode.Copy ? group.Copy() : group.Delta()) as ReconcileReply.SourceFailed;
        Assert.That((failed?.Node, failed?.Message.Contains("cut off")), Is.EqualTo(("s0", true)));
    }

    [Test]
    public async Task ABodyWithoutItsDigestIsNotCopied()
    {
        var group = new NodeGroup(
            1,
            disturb: node => new DisturbedNode(node)
            {
                OnPage = (_, reply) =>
                {
                    var page = ((ScanReply.Page)reply).Item;
                    return ScanReply.NewPage(
                        new ScanPage(
                            page.Entries,
                            [.. page.Bodies.Select(_ => (ReadOnlyMemory<byte>)"{}"u8.ToArray())],
                            page.IsLast
                        )
                    );
                },
            }
        );
        await Fill(group, 10);
        var failed = await group.Run(group.Copy()) as ReconcileReply.SourceFailed;
        Assert.That(failed?.Message, Does.Contain("digest"));
        Assert.That(await NodeGroup.Everything(group.TargetStore, NodeGroup.TargetShard), Is.Empty);
    }

    [Test]
    public async Task ATargetThatRefusesEverythingIsGivenUp()
    {
        var group = new NodeGroup(1, new FaultPlan { RefusePut = 1 });
        await Fill(group, 10);
        var refused = await group.Run(group.Delta()) as ReconcileReply.ReconcileRefused;
        Assert.That(refused?.Item.Code, Is.EqualTo(RefusalCode.Injected));
    }

    [Test]
    public async Task AnEpochThatIsOverEndsIt()
    {
        var group = new NodeGroup(2);
        await Fill(group, 10);
        var raise = new BarrierCommand(new RouteStamp(NodeGroup.SourceShard, 5), NodeGroup.SourceShard, null);
        await group.Stores[1].RaiseBarriers([raise], CancellationToken.None);
        Assert.That(await group.Run(group.Delta(4)), Is.EqualTo(ReconcileReply.NewReconcileStaleEpoch(5)));
        await group.TargetStore.RaiseBarriers([raise], CancellationToken.None);
        Assert.That(await group.Run(group.Copy()), Is.EqualTo(ReconcileReply.NewReconcileStaleEpoch(5)));
        Assert.That((await group.Run(group.Delta(5))).IsProgress);
    }

    [Test]
    public async Task ANodeReadsItsOwnStoreWithoutAPeer()
    {
        var group = new NodeGroup(0);
        NodeGroup.Make(group.TargetStore, NodeGroup.SourceShard, 1);
        await NodeGroup.Put(
            group.TargetStore,
            NodeGroup.SourceShard,
            Enumerable.Range(0, 30).Select(i => NodeGroup.DocumentOf(i, 2))
        );
        var own = new SourceReplica("t", "", NodeGroup.SourceShard, Guid.Empty);
        var template = group.Copy();
        var copy = new ReconcileCommand(
            template.Stamp,
            template.Store,
            template.Range,
            [own],
            ReconcileMode.Copy,
            null,
            0,
            9,
            1
        );
        Assert.That((await group.Complete(copy)).Copied, Is.EqualTo(30));
        Assert.That(group.Lookups, Is.Zero);
    }

    [Test]
    public async Task ACommandThatMakesNoSenseIsRefused()
    {
        var group = new NodeGroup(0);
        var refused = await group.Run(group.Delta()) as ReconcileReply.ReconcileRefused;
        Assert.That(refused?.Item.Message, Does.Contain("needs a source"));
    }

    private static async Task DeltaOver(
        (int Key, int Clock)[][] sources,
        (int Key, int Clock)[] target,
        FaultPlan? faults
    )
    {
        var group = new NodeGroup(sources.Length);
        await group.Fill(sources);

        await NodeGroup.Put(
            group.TargetStore,
            NodeGroup.TargetShard,
            target.Select(at => NodeGroup.DocumentOf(at.Key, at.Clock))
        );
        group.TargetStore.Plan = faults ?? FaultPlan.None;

        var merge = sources
            .SelectMany(source => source)
            .GroupBy(at => at.Key)
            .Select(same => (same.Key, Clock: same.Max(at => at.Clock)))
            .ToArray();
        var had = target.GroupBy(at => at.Key).ToDictionary(same => same.Key, same => same.Max(at => at.Clock));
        var progress = await group.Complete(group.Delta());

        Assert.That(progress.Compared, Is.EqualTo(merge.Length));
        Assert.That(
            progress.MergeDigest,
            Is.EqualTo(SumOf(merge.Select(at => NodeGroup.DocumentOf(at.Key, at.Clock).Entry)))
        );
        var lacking = merge.Count(at => at.Clock > had.GetValueOrDefault(at.Key, -1));
        Assert.That(progress.Copied, faults is null ? Is.EqualTo(lacking) : Is.AtMost(lacking));
        var expected = merge
            .Select(at => (at.Key, at.Clock))
            .Concat(had.Select(at => (at.Key, Clock: at.Value)))
            .GroupBy(at => at.Key)
            .Select(same => NodeGroup.DocumentOf(same.Key, same.Max(at => at.Clock)));
        var there = await NodeGroup.Everything(group.TargetStore, NodeGroup.TargetShard);
        Assert.That(there.Select(Describe), Is.EqualTo(expected.OrderBy(document => document.Key).Select(Describe)));
    }

    private static async Task Fill(NodeGroup group, int count)
    {
        foreach (var store in group.Stores)
        {
            await NodeGroup.Put(
                store,
                NodeGroup.SourceShard,
                Enumerable.Range(0, count).Select(i => NodeGroup.DocumentOf(i, i % 20))
            );
        }
    }

    private static ScanReply Swapped(ScanPage page)
    {
        var (entries, bodies) = ((Entry[])page.Entries.Clone(), (ReadOnlyMemory<byte>[])page.Bodies.Clone());
        (entries[0], entries[1]) = (entries[1], entries[0]);
        if (bodies.Length > 0)
        {
            (bodies[0], bodies[1]) = (bodies[1], bodies[0]);
        }

        return ScanReply.NewPage(new ScanPage(entries, bodies, page.IsLast));
    }

    private static Digest SumOf(IEnumerable<Entry> entries) =>
        entries.Aggregate(
            Digest.Zero,
            (sum, entry) => sum + Digest.OfEntry(entry.Key, entry.Version, entry.IsTombstone, entry.Digest)
        );

    /// <summary>All of a document but its origin, which a copy changes.</summary>
    private static string Describe(Document document) =>
        $"{document.Entry} {document.Entry.OperationId} {document.Entry.Digest} {Convert.ToHexString(document.Body.Span)}";
}
