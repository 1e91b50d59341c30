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

    // Fewer than these failures on a shard tell nothing of how even they are.
    private const double EnoughToCompare = 20;

    private static readonly string[] Phases =
    [
        "ComputingAssignments",
        "DualWriteMigrating",
        "CutoverBegin",
        "CutoverDraining",
        "CutoverDeltaPass",
        "CutoverActivate",
        "CutoverCleanup",
        "Complete",
    ];

    public static void Judge(
        ChaosScenario scenario,
        SimWorld world,
        string newNode,
        IReadOnlyDictionary<ShardId, long> beforeCutover
    )
    {
        foreach (var view in world.Operator.Seen.Values)
        {
            var missed = Phases.Except(view.Timeline.Select(step => step.Phase), StringComparer.Ordinal).ToList();
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
                JudgeEven(scenario, index, counts, world.Findings);
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

    private static void JudgeEven(ChaosScenario scenario, SimIndex index, long[] counts, Findings findings)
    {
        double Rate(int shard) => scenario.Failing[shard % scenario.Failing.Count];
        var total = Enumerable.Range(0, counts.Length).Sum(Rate);
        for (var shard = 0; shard < counts.Length; shard++)
        {
            // By the rates alone; each shard has about as many documents as the others.
            var expected = total == 0 ? 0 : counts.Sum() * Rate(shard) / total;
            var isOff =
                Rate(shard) == 0 ? counts[shard] > 0
                : counts[shard] == 0 ? expected >= 10
                : expected >= EnoughToCompare && (counts[shard] < expected / 2.5 || counts[shard] > expected * 2.5);
            if (isOff)
            {
                findings.Add(
                    Vacuous,
                    $"shard {shard} of {index.Uid} refused {counts[shard]} puts, where {expected:0.0} were to be expected of {string.Join(", ", counts)}"
                );
            }
        }
    }
}
