using Miroir.Core;
using Miroir.Runtime.AntiEntropy;
using Miroir.Simulation.Cluster;
using NUnit.Framework;

namespace Miroir.Simulation.AntiEntropy;

/// <summary>
/// Deleted documents stay deleted where a replica was away meanwhile, and has them still: its clients, and all that is
/// read in the end, are judged as in every simulation.
/// </summary>
[NonParallelizable]
public sealed class AwayReplicaTests
{
    private static readonly EntropyOptions Impatient = new() { CallTimeoutMs = 500, Attempts = 2 };

    [TestCase(1)]
    [TestCase(2)]
    public void DeletesDoNotComeBackWithAReplicaAwayWhilePassesRun(long seed)
    {
        var result = EntropyWorldOfTests.Play(
            seed,
            async cluster =>
            {
                cluster.World.Cluster.Crash("n3", "is away");
                await cluster.World.Client(cluster.Index, cluster.Habits).DeleteAllAsync();
                for (var i = 0; i < 3; i++)
                {
                    var without = await cluster.PassAsync("run");
                    Assert.That(without.Shards.Select(shard => shard.Purged), Is.All.Zero, "the floor waits for n3");
                }

                cluster.World.Cluster.StartNode("n3");
                await cluster.Operator.Rest(5_000);
                Assert.That(cluster.Held("n3", "doc1")?.IsTombstone, Is.False, "n3 comes back with what was deleted");
                var pass = await cluster.PassAsync("run");
                Assert.That(pass.Repaired, Is.Positive);
                Assert.That((await cluster.PassAsync("run")).Divergences.Divergences, Is.Zero);
                Assert.That(cluster.Tombstones, Is.Zero);
                Assert.That(cluster.LiveCopies, Is.Zero);
                await cluster.World.FinishAsync([]);
            },
            Impatient
        );
        Assert.That(result.Violations, Is.Empty);
    }

    [TestCase(1)]
    [TestCase(2)]
    public void DeletesDoNotComeBackWithAReplicaAwayPastTheFloor(long seed)
    {
        var result = EntropyWorldOfTests.Play(
            seed,
            async cluster =>
            {
                var nodes = cluster.World.Cluster;
                Restart(nodes);
                await cluster.Operator.Rest(2_000);
                var lastWeek = nodes.Disks["n3"].Copy();
                Restart(nodes);
                await cluster.Operator.Rest(2_000);
                await cluster.World.Client(cluster.Index, cluster.Habits).DeleteAllAsync();
                await cluster.PassAsync("run");
                Assert.That(cluster.Tombstones, Is.Zero, "the floor is above every deletion");

                nodes.Crash("n3", "gets last week's data back");
                nodes.Disks["n3"].Restore(lastWeek);
                Assert.That(cluster.Held("n3", "doc1")?.IsTombstone, Is.False, "with what was deleted since");
                nodes.StartNode("n3");
                var health = cluster.DiskOf("n3").Stores(default).Result.Select(store => store.Health);
                Assert.That(health, Has.None.EqualTo(StoreHealth.Serving), "it answers nothing");
                bool IsBack() =>
                    cluster.DiskOf("n3").Stores(default).Result.Count(s => s.Health == StoreHealth.Serving) == 4;
                Assert.That(await cluster.World.UntilAsync(IsBack), Is.True, "until it has been rebuilt");
                Assert.That((await cluster.PassAsync("run")).Divergences.Divergences, Is.Zero);
                Assert.That(cluster.LiveCopies, Is.Zero);
                await cluster.World.FinishAsync([]);
            },
            Impatient
        );
        Assert.That(result.Violations, Is.Empty);
    }

    [Test]
    public void WhatIsDeletedWhileReplicasAreComparedIsNotPurged()
    {
        var result = EntropyWorldOfTests.Play(
            1,
            async cluster =>
            {
                // What makes the pass purge, and what makes it pause, in one shard.
                foreach (var node in new[] { "n1", "n2", "n3" })
                    cluster.Plant(node, EntropyWorldOfTests.Tombstone("deleted before", 5));
                var shard = cluster.RouteOf(Key.Of("deleted before")).Shard;
                var pausing = Enumerable
                    .Range(0, 1_000)
                    .Select(i => $"pausing {i}")
                    .First(key => cluster.RouteOf(Key.Of(key)).Shard.Equals(shard));
                cluster.Plant("n1", EntropyWorldOfTests.Live(pausing, clock: 1L << 60));
                var late = EntropyWorldOfTests.Loaded.First(key => cluster.RouteOf(Key.Of(key)).Shard.Equals(shard));
                var isLate = true;
                cluster.World.Cluster.HoldPut = (node, put) => isLate && node == "n3" && put.Document.Key.Text == late;

                var pass = cluster.PassAsync("run");
                await cluster.Operator.Rest(1_500);
                Assert.That(pass.IsCompleted, Is.False, "it pauses before the second look");
                await cluster.World.Client(cluster.Index, cluster.Habits).DeleteAllAsync();
                Assert.That((await pass).Shards.Single(seen => seen.Shard == shard.Shard).Purged, Is.Positive);
                isLate = false;
                await cluster.Operator.Rest(2_000);
                await cluster.PassAsync("run");
                Assert.That(cluster.LiveCopies, Is.Zero, "something deleted has come back");
                await cluster.World.FinishAsync([]);
            },
            new EntropyOptions { SettleMs = 4_000 }
        );
        Assert.That(result.Violations, Is.Empty);
    }

    [Test]
    public void TheFloorStandsStillWhileAShardMoves()
    {
        var result = EntropyWorldOfTests.Play(
            1,
            async cluster =>
            {
                var nodes = cluster.World.Cluster;
                nodes.StartNode("n4");
                await cluster.Operator.AddNodeAsync("n4");
                await cluster.Operator.StartReshardAsync(cluster.Index);
                bool Moves() => nodes.Routes().Any(route => route.Stage.IsCopying);
                Assert.That(await cluster.World.UntilAsync(Moves), Is.True);
                await cluster.World.Client(cluster.Index, cluster.Habits).DeleteAllAsync();
                var moving = nodes.Routes().Where(route => route.Migration != 0).Select(route => route.Shard.Shard);
                int[] before = [.. moving];
                var pass = await cluster.PassAsync("run");
                var still = pass.Shards.Where(shard => before.Contains(shard.Shard)).ToArray();
                Assert.That(still, Is.Not.Empty);
                Assert.That(still.Select(shard => shard.Purged), Is.All.Zero);
                await cluster.World.FinishAsync([]);
                Assert.That((await cluster.PassAsync("run")).Shards.Sum(shard => shard.Purged), Is.Positive);
            }
        );
        Assert.That(result.Violations, Is.Empty);
    }

    private static void Restart(SimCluster nodes)
    {
        nodes.Crash("n3", "is started again");
        nodes.StartNode("n3");
    }
}
