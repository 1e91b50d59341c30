using Miroir.Core;
using Miroir.Simulation.Scenario;

namespace Miroir.Simulation.Chaos;

/// <summary>
/// What a scenario asserts beside the oracle's verdict: that its migrations passed every phase, and that its failures
/// happened, on each shard about as often as on the others.
/// </summary>
internal static class ChaosChecks
{
    public const string Vacuous = "vacuous";

    public static void Judge(
        ChaosScenario scenario,
        SimWorld world,
        string newNode,
        IReadOnlyDictionary<ShardId, long> beforeCutover
    )
    {
        foreach (var view in world.Operator.Seen.Values)
        {
            var missed = ChaosScenarios
                .Phases.Except(view.Timeline.Select(step => step.Phase), StringComparer.Ordinal)
                .ToList();
            if (missed.Count > 0)
            {
                world.Findings.Add(
                    Vacuous,
                    $"migration {view.Id} ended {view.Status}, and did not pass {string.Join(", ", missed)}"
                );
            }
        }
        foreach (var index in world.Indexes)
        {
            var all = ByShard(index, world.Cluster.RefusedOn(newNode));
            if (scenario.Failing.Any(rate => rate > 0) && all.Sum() == 0)
            {
                world.Findings.Add(Vacuous, $"no put into {index.Uid} was refused");
            }
            // In Joint a put is tried again until it is taken: how often it is refused there says how long that was.
            var counts = ByShard(index, beforeCutover);
            world.Kernel.Tell("chaos", $"puts refused by shard of {index.Uid}: {string.Join(", ", counts)}");
            // A copy that begins again at each new leader puts, and is refused, as often as leaders die.
            if (scenario.Event != ChaosEvent.CoordinatorDies)
            {
                foreach (var complaint in FailureSpread.Complaints(scenario, counts))
                {
                    world.Findings.Add(Vacuous, $"{index.Uid}: {complaint}");
                }
            }
        }
    }

    private static long[] ByShard(SimIndex index, IReadOnlyDictionary<ShardId, long> refused) =>
        [
            .. Enumerable
                .Range(0, index.Shards)
                .Select(shard =>
                    refused.Where(r => r.Key.Index == index.Uid && r.Key.Shard == shard).Sum(r => r.Value)
                ),
        ];
}
