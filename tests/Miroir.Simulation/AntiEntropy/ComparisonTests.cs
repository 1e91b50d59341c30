using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.AntiEntropy;
using Miroir.Simulation.Nodes;
using NUnit.Framework;

namespace Miroir.Simulation.AntiEntropy;

/// <summary>What a comparison of nodes finds, held to what their stores have.</summary>
public sealed class ComparisonTests
{
    private static readonly Gen<EntropyOptions> Options =
        from batch in Gen.Choose(1, 9)
        from merge in Gen.Elements(0, 1, 5, 100)
        from round in Gen.Elements(1, 2, 7)
        from perCall in Gen.Elements(1, 3, 4096)
        select new EntropyOptions
        {
            BatchEntries = batch,
            MergeEntries = merge,
            RoundKeys = round,
            RangesPerCall = perCall,
            SettleMs = SettleMs,
            MaxBytesPerSecond = 0,
        };

    private const int SettleMs = 12_345;

    /// <summary>What all replicas have, and what some of them have beside it: key, clock, replica, wrong content.</summary>
    private static readonly Gen<(int Key, int Clock)[]> Common = (
        from key in Gen.Choose(0, 99)
        from clock in Gen.Choose(0, 9)
        select (key, clock)
    )
        .ArrayOf()
        .Resize(80);

    private static readonly Gen<(int Key, int Clock, int Replica, bool IsWrong)[]> Astray = (
        from key in Gen.Choose(0, 119)
        from clock in Gen.Choose(0, 19)
        from replica in Gen.Choose(0, 3)
        from isWrong in Gen.Frequency((5, Gen.Constant(false)), (1, Gen.Constant(true)))
        select (key, clock, replica, isWrong)
    )
        .ArrayOf()
        .Resize(12);

    private static readonly Arbitrary<(
        int Replicas,
        (int, int)[] Common,
        (int, int, int, bool)[] Astray,
        EntropyOptions Options
    )> Differing = Arb.From(
        from replicas in Gen.Choose(2, 4)
        from common in Common
        from astray in Astray
        from options in Options
        select (replicas, common, astray, options)
    );

    [Test]
    public void ItFindsExactlyWhatDiffers() =>
        Check.One(
            FsCheck.Config.QuickThrowOnFailure.WithMaxTest(100),
            Prop.ForAll(
                Differing,
                world =>
                {
                    var group = new NodeGroup(world.Replicas);
                    Plant(group, world.Common, world.Astray);
                    var found = Compare(group, world.Options).Result;
                    Assert.That(found.Select(Describe), Is.EqualTo(Naive(group)));
                }
            )
        );

    [Test]
    public void SoItDoesWherePagesAreLostStreamsBreakAndDigestsDoNotCome() =>
        Check.One(
            FsCheck.Config.QuickThrowOnFailure.WithMaxTest(20),
            Prop.ForAll(
                Differing,
                world =>
                {
                    var calls = 0;
                    void Lose(string node)
                    {
                        if (Interlocked.Increment(ref calls) % 3 == 0)
                            throw new UnreachableException(node, "the test lost it");
                    }
                    var group = new NodeGroup(
                        world.Replicas,
                        disturb: node => new DisturbedNode(node)
                        {
                            OnPage = (_, reply) =>
                            {
                                Lose(node.Name);
                                return reply;
                            },
                            BeforeRead = () => Lose(node.Name),
                        }
                    );
                    Plant(group, world.Common, world.Astray);
                    var found = Compare(
                        group,
                        world.Options with
                        {
                            BatchEntries = 20,
                            RoundKeys = 7,
                            Attempts = 20,
                        }
                    ).Result;
                    Assert.That(found.Select(Describe), Is.EqualTo(Naive(group)));
                }
            )
        );

    [Test]
    public void WritesOnTheirWayAreNoDifferenceAndWhatStaysIsFound() =>
        Check.One(
            FsCheck.Config.QuickThrowOnFailure.WithMaxTest(60),
            Prop.ForAll(
                Differing,
                world =>
                {
                    NodeGroup? group = null;
                    var clock = 0;
                    var underway = new Queue<(int Replica, Document Document)>();
                    void Write()
                    {
                        // One replica has it, the others will: before a pause is over, and some before that.
                        clock++;
                        var document = Recent(clock * 13 % 40, clock);
                        for (var i = 0; i < world.Replicas; i++)
                            underway.Enqueue(((clock + i) % world.Replicas, document));
                        Deliver(1 + clock % world.Replicas);
                    }
                    void Deliver(int count)
                    {
                        while (count-- > 0 && underway.TryDequeue(out var put))
                            Put(group!, put.Replica, put.Document);
                    }
                    group = new NodeGroup(
                        world.Replicas,
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
                    // Those of keys that are written differ for good nowhere; the others are planted.
                    Plant(group, world.Common, [.. world.Astray.Where(planted => planted.Item1 >= 40)]);
                    var time = new PausingTime(SettleMs, () => Deliver(int.MaxValue));
                    var found = Compare(group, world.Options, time).Result;
                    Assert.That(clock, Is.Positive);
                    Deliver(int.MaxValue);
                    Assert.That(found.Select(Describe), Is.EqualTo(Naive(group)));
                }
            )
        );

    [Test]
    public async Task AReplicaOutOfOrderEndsItAndIsNamedWithItsKeys()
    {
        var group = new NodeGroup(
            2,
            disturb: node => new DisturbedNode(node)
            {
                OnPage = (page, reply) => node.Name == "s1" && page == 2 ? Swapped(reply) : reply,
            }
        );
        Plant(group, [.. Enumerable.Range(0, 60).Select(i => (i, 1))], [(7, 3, 0, false)]);
        var all = await NodeGroup.Everything(group.Stores[1], NodeGroup.SourceShard);
        var options = new EntropyOptions { BatchEntries = 10, MergeEntries = 1000 };
        var ended = await Assert.ThrowsAsync<PassEndedException>(async () => await Compare(group, options));
        // Of the second page the first two came in each other's place.
        Assert.That(
            ended!.Message,
            Does.Contain("s1").And.Contain($"\"{all[10].Key}\" behind \"{all[11].Key}\", which is not before it")
        );
    }

    [TestCase(1)]
    [TestCase(2)]
    public async Task AReplicaMadeAnewMeanwhileEndsIt(int atPage)
    {
        NodeGroup? group = null;
        group = new NodeGroup(
            2,
            disturb: node => new DisturbedNode(node)
            {
                OnPage = (page, reply) =>
                {
                    if (node.Name == "s1" && page == atPage)
                    {
                        group!.MakeAnew(1);
                    }

                    return reply;
                },
            }
        );
        Plant(group, [.. Enumerable.Range(0, 60).Select(i => (i, 1))], [(7, 3, 0, false)]);
        var options = new EntropyOptions { BatchEntries = 10, MergeEntries = 1000 };
        var ended = await Assert.ThrowsAsync<PassEndedException>(async () => await Compare(group, options));
        Assert.That(ended!.Message, Does.Contain("s1").And.Contain("made anew"));
    }

    [Test]
    public async Task TombstonesPurgedMeanwhileOnSomeReplicasAreNoDifference()
    {
        NodeGroup? group = null;
        group = new NodeGroup(
            3,
            disturb: node => new DisturbedNode(node)
            {
                // All tombstones of one replica go while it is read; another's stay, as where a purge does not arrive.
                OnPage = (page, reply) =>
                {
                    if (node.Name == "s1" && page == 1)
                        Purge(group!, 1);
                    return reply;
                },
            }
        );
        Plant(group, [.. Enumerable.Range(0, 60).Select(i => (i, i % 2 == 0 ? 4 : 1))], [(7, 2, 0, false)]);
        var found = await Compare(group, new EntropyOptions { BatchEntries = 10, MergeEntries = 1000 });
        Assert.That(found.Select(Describe), Is.EqualTo(new[] { "k7 Stale" }));
    }

    private static void Purge(NodeGroup group, int replica)
    {
        var purge = new PurgeCommand(
            new RouteStamp(NodeGroup.SourceShard, 1),
            NodeGroup.SourceShard,
            group.Incarnations[replica],
            new DocumentVersion(2, 0)
        );
        var reply = group.Stores[replica].Purge(purge, CancellationToken.None).GetAwaiter().GetResult();
        Assert.That(reply, Is.InstanceOf<PurgeReply.Purged>());
    }

    private static void Plant(
        NodeGroup group,
        (int Key, int Clock)[] common,
        (int Key, int Clock, int Replica, bool IsWrong)[] astray
    )
    {
        foreach (var (key, clock) in common)
            for (var i = 0; i < group.Stores.Length; i++)
                Put(group, i, NodeGroup.DocumentOf(key, clock));
        foreach (var (key, clock, replica, isWrong) in astray)
        {
            var document = NodeGroup.DocumentOf(key, clock);
            Put(
                group,
                replica % group.Stores.Length,
                !isWrong
                    ? document
                    : Document.Live(document.Key, document.Version, "{}"u8.ToArray(), Guid.Empty, Origin.Client)
            );
        }
    }

    private static void Put(NodeGroup group, int replica, Document document) =>
        NodeGroup.Put(group.Stores[replica], NodeGroup.SourceShard, document).GetAwaiter().GetResult();

    /// <summary>A document of now, whose difference is therefore not old.</summary>
    private static Document Recent(int key, int clock) =>
        Document.Live(
            Key.Of($"k{key}"),
            new DocumentVersion(3, HybridClock.ofUnixMs(DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()) + clock),
            Encoding.UTF8.GetBytes($$"""{"clock":{{clock}}}"""),
            Guid.Empty,
            Origin.Client
        );

    private static async Task<List<Difference>> Compare(
        NodeGroup group,
        EntropyOptions options,
        TimeProvider? time = null
    )
    {
        time ??= TimeProvider.System;
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        var replicas = new ReplicaGroup(
            [
                .. group.Stores.Select(
                    (_, i) =>
                        new Participant(
                            new Replica($"s{i}", NodeGroup.SourceShard),
                            new RouteStamp(NodeGroup.SourceShard, 1),
                            group.Get($"s{i}", "")
                        )
                ),
            ],
            options,
            new PassMeter(options, time),
            time,
            new SeededEntropy(5),
            limit.Token
        );
        var comparison = new Comparison(replicas, HashRange.Full, null, options, time, limit.Token);
        var found = new List<Difference>();
        await foreach (var round in comparison.RoundsAsync())
        {
            Assert.That(round, Has.Count.AtMost(options.RoundKeys));
            found.AddRange(round);
        }

        return found;
    }

    /// <summary>What a reader of all stores says, in key order.</summary>
    private static string[] Naive(NodeGroup group)
    {
        var held = group
            .Stores.Select(store =>
                NodeGroup
                    .Everything(store, NodeGroup.SourceShard)
                    .GetAwaiter()
                    .GetResult()
                    .ToDictionary(document => document.Key)
            )
            .ToArray();
        return
        [
            .. held.SelectMany(replica => replica.Keys)
                .Distinct()
                .Order()
                .Select(key => (key, kind: KindOf([.. held.Select(replica => replica.GetValueOrDefault(key))])))
                .Where(seen => seen.kind != "")
                .Select(seen => $"{seen.key} {seen.kind}"),
        ];
    }

    private static string KindOf(Document?[] held)
    {
        var highest = held.OfType<Document>().Max(document => document.Version);
        var best = held.OfType<Document>().Where(document => document.Version.Equals(highest)).ToArray();
        return best.Select(document => document.Entry.Digest).Distinct().Count() > 1 ? "Corrupt"
            : best.Length == held.Length ? ""
            : best[0].IsTombstone ? "LacksTombstone"
            : held.Contains(null) ? "Missing"
            : "Stale";
    }

    private static string Describe(Difference difference) => $"{difference.Seen.Key} {difference.Kind}";

    private static ScanReply Swapped(ScanReply reply)
    {
        var page = ((ScanReply.Page)reply).Item;
        var entries = (Entry[])page.Entries.Clone();
        (entries[0], entries[1]) = (entries[1], entries[0]);
        return ScanReply.NewPage(new ScanPage(entries, [], page.IsLast));
    }

    /// <summary>Pauses of one length are over at once, and something has happened meanwhile.</summary>
    private sealed class PausingTime(int pauseMs, Action meanwhile) : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            if (dueTime != TimeSpan.FromMilliseconds(pauseMs))
                return base.CreateTimer(callback, state, dueTime, period);
            meanwhile();
            return base.CreateTimer(callback, state, TimeSpan.Zero, period);
        }
    }
}
