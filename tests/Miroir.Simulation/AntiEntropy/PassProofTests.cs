using Miroir.Core;
using Miroir.Runtime.AntiEntropy;
using NUnit.Framework;

namespace Miroir.Simulation.AntiEntropy;

/// <summary>What a pass may claim by what it has seen, in whole clusters in simulated time.</summary>
[NonParallelizable]
public sealed class PassProofTests
{
    [Test]
    public void NothingIsCertifiedWhereAReplicaIsLeftOut()
    {
        var result = EntropyWorldOfTests.Play(
            1,
            async cluster =>
            {
                cluster.World.Cluster.Crash("n3", "is away");
                var without = await cluster.PassAsync("verify");
                Assert.That(without.Shards.Select(shard => shard.Copies), Is.All.EqualTo(2));
                Assert.That(without.Shards.Select(shard => shard.IsCertified), Is.All.False);
                cluster.World.Cluster.StartNode("n3");
                await cluster.Operator.Rest(5_000);
                var whole = await cluster.PassAsync("verify");
                Assert.That(whole.Shards.Select(shard => shard.IsCertified), Is.All.True);
                await cluster.World.FinishAsync([]);
            },
            new EntropyOptions { CallTimeoutMs = 500, Attempts = 2 }
        );
        Assert.That(result.Violations, Is.Empty);
    }

    [Test]
    public void AScrubCertifiesNothing()
    {
        var result = EntropyWorldOfTests.Play(
            1,
            async cluster =>
            {
                // It reads every replica, and would not see this.
                cluster.Plant("n1", EntropyWorldOfTests.Live("missing elsewhere", 5));
                var scrub = await cluster.PassAsync("scrub");
                Assert.That(scrub.Divergences.Divergences, Is.Zero);
                Assert.That(scrub.Shards.Select(shard => shard.IsCertified), Is.All.False);
            }
        );
        Assert.That(result.Violations, Is.Empty);
    }

    [Test]
    public void NothingIsPurgedWhereADifferenceStays()
    {
        var result = EntropyWorldOfTests.Play(
            1,
            async cluster =>
            {
                await cluster.World.Client(cluster.Index, cluster.Habits).DeleteAllAsync();
                var number = 0;
                foreach (var node in new[] { "n1", "n2", "n3" })
                    cluster.Plant(node, EntropyWorldOfTests.Live("torn", 5, $$"""{"id":{{++number}}}"""));
                var torn = cluster.RouteOf(Key.Of("torn")).Shard;
                var pass = await cluster.PassAsync("run");
                var shard = pass.Shards.Single(shard => shard.Shard == torn.Shard);
                Assert.That((shard.State, shard.IsCertified, shard.Purged), Is.EqualTo(("Divergent", false, 0L)));
                Assert.That(pass.Shards.Where(other => other != shard).Select(other => other.Purged), Is.All.Positive);
            }
        );
        Assert.That(result.Violations, Is.Empty);
    }
}
