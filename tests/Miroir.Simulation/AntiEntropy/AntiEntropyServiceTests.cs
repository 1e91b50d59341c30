using Miroir.Core;
using Miroir.Runtime.AntiEntropy;
using Miroir.Simulation.Network;
using NUnit.Framework;

namespace Miroir.Simulation.AntiEntropy;

/// <summary>Anti-entropy as it ships, in whole clusters in simulated time.</summary>
[NonParallelizable]
public sealed class AntiEntropyServiceTests
{
    [Test]
    public void AQuietIndexIsInSyncAfterOneRoundTripOfAShard()
    {
        var result = EntropyWorldOfTests.Play(
            1,
            async cluster =>
            {
                var pass = await cluster.PassAsync("verify");
                Assert.That(pass.Divergences.Divergences, Is.Zero);
                Assert.That(pass.Shards.Select(shard => shard.State), Is.All.EqualTo("InSync"));
                Assert.That(pass.Shards.Select(shard => shard.IsCertified), Is.All.True);
                Assert.That(pass.Shards.Select(shard => shard.RoundTrips), Is.All.EqualTo(1));
                Assert.That(pass.Shards.Sum(shard => shard.Entries), Is.EqualTo(EntropyWorldOfTests.Loaded.Count));
            }
        );
        Assert.That(result.Violations, Is.Empty);
    }

    [TestCase(1)]
    [TestCase(2)]
    public void WhatDiffersIsNamedAndThenRepaired(long seed)
    {
        var result = EntropyWorldOfTests.Play(
            seed,
            async cluster =>
            {
                cluster.Plant("n1", EntropyWorldOfTests.Live("missing elsewhere", 5));
                foreach (var node in new[] { "n1", "n2", "n3" })
                    cluster.Plant(node, EntropyWorldOfTests.Live("stale", 5));
                cluster.Plant("n2", EntropyWorldOfTests.Live("stale", 9, "{\"id\":2}"));
                foreach (var node in new[] { "n1", "n2", "n3" })
                    cluster.Plant(node, EntropyWorldOfTests.Live("deleted", 5));
                cluster.Plant("n2", EntropyWorldOfTests.Tombstone("deleted", 7));
                cluster.Plant("n3", EntropyWorldOfTests.Tombstone("deleted", 7));
                cluster.Plant("n1", EntropyWorldOfTests.Live("corrupt", 5, "{\"id\":3}"));
                cluster.Plant("n2", EntropyWorldOfTests.Live("corrupt", 5, "{\"id\":4}"));
                cluster.Plant("n3", EntropyWorldOfTests.Live("corrupt", 5, "{\"id\":4}"));

                var seen = await cluster.PassAsync("verify");
                Assert.That(
                    seen.Documents.Select(document => $"{document.Key} {document.Kind} {document.Outcome}"),
                    Is.EquivalentTo(
                        new[]
                        {
                            "missing elsewhere Missing Reported",
                            "stale Stale Reported",
                            "deleted LacksTombstone Reported",
                            "corrupt Corrupt Reported",
                        }
                    )
                );
                Assert.That(cluster.AreEqual, Is.False, "a verify repairs nothing");

                var repaired = await cluster.PassAsync("run");
                Assert.That(repaired.Repaired, Is.EqualTo(4));
                Assert.That(cluster.Held("n1", "deleted"), Is.Null.Or.Property("IsTombstone").True);
                foreach (var node in new[] { "n1", "n2", "n3" })
                {
                    Assert.That($"{cluster.Held(node, "missing elsewhere")}", Does.EndWith("1.5"));
                    Assert.That($"{cluster.Held(node, "stale")}", Does.EndWith("1.9"));
                    var healed = System.Text.Encoding.UTF8.GetString(cluster.Held(node, "corrupt")!.Body.Span);
                    Assert.That(healed, Is.EqualTo("{\"id\":4}"));
                }

                var again = await cluster.PassAsync("verify");
                Assert.That(again.Divergences.Divergences, Is.Zero);
            }
        );
        Assert.That(result.Violations, Is.Empty);
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    public void WritesGoingOnAreNoDivergenceAndWhatWasPlantedIsFoundAllTheSame(long seed)
    {
        var result = EntropyWorldOfTests.Play(
            seed,
            async cluster =>
            {
                var areOver = false;
                for (var i = 0; i < 12; i++)
                    cluster.World.Spawn(cluster.World.Client(cluster.Index, cluster.Habits), () => areOver);
                await cluster.Operator.Rest(500);
                var inFlight = 0L;
                for (var i = 0; i < 10; i++)
                {
                    var quiet = await cluster.PassAsync("verify");
                    Assert.That(quiet.Documents, Is.Empty);
                    inFlight += quiet.Divergences.InFlight;
                }
                Assert.That(inFlight, Is.Positive, "no pass met a write on its way");

                cluster.Plant("n3", EntropyWorldOfTests.Live("planted", 5));
                var seen = await cluster.PassAsync("verify");
                Assert.That(seen.Documents.Select(document => document.Key), Is.EqualTo(new[] { "planted" }));
                Assert.That((await cluster.PassAsync("run")).Repaired, Is.EqualTo(1));
                areOver = true;
                await cluster.Operator.Rest(5_000);
                Assert.That(cluster.AreEqual, Is.True);
            },
            profile: new FaultProfile
            {
                Delay = 0.3,
                MaxDelayMs = 200,
                MaxSyncMs = 5,
            }
        );
        Assert.That(result.Violations, Is.Empty);
    }

    [TestCase(1)]
    [TestCase(2)]
    public void TombstonesGoOnceEveryReplicaHasThemAndNothingOlderComesBack(long seed)
    {
        var result = EntropyWorldOfTests.Play(
            seed,
            async cluster =>
            {
                var before = cluster.RouteOf(Key.Of("doc1"));
                var old = cluster.Held("n1", "doc1")!;
                await cluster.World.Client(cluster.Index, cluster.Habits).DeleteAllAsync();
                Assert.That(cluster.Tombstones, Is.Positive);

                var pass = await cluster.PassAsync("run");
                Assert.That(pass.Shards.Sum(shard => shard.Purged), Is.EqualTo(EntropyWorldOfTests.Loaded.Count));
                Assert.That(cluster.Tombstones, Is.Zero);

                // A put that was on its way all the while, and what was read under the epoch of the comparison.
                for (var epoch = before.Epoch; epoch <= before.Epoch + 1; epoch++)
                    Assert.That(
                        cluster.Plant("n2", old, epoch),
                        Is.InstanceOf<PutReply.StaleEpoch>(),
                        "it has come back"
                    );
                Assert.That(cluster.RouteOf(old.Key).Epoch, Is.EqualTo(before.Epoch + 2));
                Assert.That((await cluster.PassAsync("verify")).Divergences.Divergences, Is.Zero);
                await cluster.World.FinishAsync([]);
            }
        );
        Assert.That(result.Violations, Is.Empty);
    }

    [Test]
    public void NothingIsPurgedWhileAReplicaIsAway()
    {
        var result = EntropyWorldOfTests.Play(
            1,
            async cluster =>
            {
                await cluster.World.Client(cluster.Index, cluster.Habits).DeleteAllAsync();
                cluster.World.Cluster.Crash("n3", "is away");
                var pass = await cluster.PassAsync("run");
                Assert.That(pass.Shards.Sum(shard => shard.Purged), Is.Zero);
                Assert.That(pass.Shards.Select(shard => shard.State), Is.All.EqualTo("Failed"));
                cluster.World.Cluster.StartNode("n3");
                await cluster.Operator.Rest(5_000);
                Assert.That((await cluster.PassAsync("run")).Shards.Sum(shard => shard.Purged), Is.Positive);
                Assert.That(cluster.Tombstones, Is.Zero);
                await cluster.World.FinishAsync([]);
            },
            new EntropyOptions { CallTimeoutMs = 500, Attempts = 2 }
        );
        Assert.That(result.Violations, Is.Empty);
    }

    [Test]
    public void AFlippedBitIsFoundByAScrubAndHealed()
    {
        var result = EntropyWorldOfTests.Play(
            1,
            async cluster =>
            {
                var key = Key.Of("doc7");
                var whole = cluster.Held("n2", "doc7")!.Body.ToArray();
                byte[] flipped = [.. whole];
                flipped[^2] ^= 1;
                cluster.DiskOf("n2").Rot(cluster.RouteOf(key).Shard, key, flipped);
                Assert.That(
                    (await cluster.PassAsync("verify")).Divergences.Divergences,
                    Is.Zero,
                    "its digest is right"
                );

                var scrub = await cluster.PassAsync("scrub");
                Assert.That(
                    scrub.Documents.Select(document => $"{document.Key} {document.Kind} {document.Outcome}"),
                    Is.EqualTo(new[] { "doc7 Corrupt Repaired" })
                );
                Assert.That(cluster.Held("n2", "doc7")!.Body.ToArray(), Is.EqualTo(whole));
                Assert.That((await cluster.PassAsync("scrub")).Divergences.Divergences, Is.Zero);
            }
        );
        Assert.That(result.Violations, Is.Empty);
    }

    [Test]
    public void ALostDiskIsFilledAgainWithoutAWord()
    {
        var result = EntropyWorldOfTests.Play(
            1,
            async cluster =>
            {
                var areOver = false;
                for (var i = 0; i < 4; i++)
                    cluster.World.Spawn(cluster.World.Client(cluster.Index, cluster.Habits), () => areOver);
                cluster.World.Cluster.Crash("n2", "its disk dies");
                cluster.World.Cluster.LoseDisk("n2");
                cluster.World.Cluster.StartNode("n2");
                bool IsBack() =>
                    cluster.DiskOf("n2").Stores(default).Result.Count(s => s.Health == StoreHealth.Serving) == 4;
                Assert.That(await cluster.World.UntilAsync(IsBack), Is.True, "the node has all of its shards again");
                areOver = true;
                await cluster.Operator.Rest(5_000);
                await cluster.PassAsync("run");
                Assert.That(cluster.AreEqual, Is.True);
                await cluster.World.FinishAsync([]);
            }
        );
        Assert.That(result.Violations, Is.Empty);
    }
}
