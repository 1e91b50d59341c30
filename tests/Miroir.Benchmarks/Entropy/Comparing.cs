using Miroir.Core;
using Miroir.Runtime.AntiEntropy;

namespace Miroir.Benchmarks;

/// <summary>What one comparison took, and found.</summary>
/// <param name="CpuMs">Of all processes together.</param>
internal readonly record struct Compared(double Ms, double CpuMs, long RoundTrips, long Bytes, Planted Found);

/// <summary>The engine as a pass uses it: over the nodes' wire, and repairs through the shard's writer.</summary>
internal sealed class Comparing(ReplicaCluster cluster, CancellationToken cancel)
{
    /// <summary>Finds all differences.</summary>
    public Task<Compared> FindAsync() => RunAsync(null);

    /// <summary>Finds and repairs, round by round, and looks again at what was repaired.</summary>
    public Task<Compared> RepairAsync() => RunAsync(new Repairer(cluster.World, cluster.Route.Shard.Index, cancel));

    /// <summary>The whole merge, without digests: keys, and milliseconds.</summary>
    public async Task<(long Keys, Spent Spent)> MergeAsync()
    {
        var processes = cluster.Processes;
        var started = Spent.Start(processes);
        var keys = 0L;
        await foreach (
            var _ in Group(new PassMeter(cluster.World.Options, cluster.World.Time)).MergeAsync([cluster.Route.Range])
        )
            keys++;
        return (keys, started.Now(processes));
    }

    private async Task<Compared> RunAsync(Repairer? repairer)
    {
        var processes = cluster.Processes;
        var started = Spent.Start(processes);
        var meter = new PassMeter(cluster.World.Options, cluster.World.Time);
        var group = Group(meter);
        var comparison = new Comparison(
            group,
            cluster.Route.Range,
            null,
            cluster.World.Options,
            cluster.World.Time,
            cancel
        );
        var found = new Planted();
        await foreach (var round in comparison.RoundsAsync())
        {
            found = new Planted(
                found.Missing + round.Count(difference => difference.Kind == DifferenceKind.Missing),
                found.Stale + round.Count(difference => difference.Kind == DifferenceKind.Stale),
                found.Undeleted + round.Count(difference => difference.Kind == DifferenceKind.LacksTombstone)
            );
            if (repairer is not null)
                await RepairAsync(repairer, group, round);
        }

        var spent = started.Now(processes);
        return new Compared(
            spent.Elapsed.TotalMilliseconds,
            spent.Cpu.TotalMilliseconds,
            meter.RoundTrips,
            meter.BytesRead,
            found
        );
    }

    private static async Task RepairAsync(Repairer repairer, ReplicaGroup group, IReadOnlyList<Difference> round)
    {
        RepairKey[] keys = [.. round.Select(difference => new RepairKey(difference.Seen.Key, difference.Seen.Keep))];
        if ((await repairer.RepairAsync(keys)).FirstOrDefault(outcome => outcome != "") is { } why)
            throw new InvalidOperationException($"a difference was not repaired: {why}");
        var now = await group.LookAsync(keys.Select(key => key.Key));
        if (now.Values.FirstOrDefault(sighting => sighting.Kind(group.Floor).IsSome) is { } still)
            throw new InvalidOperationException($"{still.Key} differs after its repair");
    }

    private ReplicaGroup Group(PassMeter meter) => cluster.World.Group(cluster.Route, cluster.Replicas, meter, cancel);
}
