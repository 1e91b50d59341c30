using Miroir.Simulation.Scenario;

namespace Miroir.Simulation.Chaos;

/// <summary>The named scenarios that run in the simulator.</summary>
public static class ChaosScenarios
{
    public static IReadOnlyList<ChaosScenario> All { get; } =
    [
        new("with_anti_entropy", "2% failing on the new node") { Shards = 3, Failing = [0.02] },
        new(
            "skip_delta_with_ae",
            "the delta pass skipped, 5% failing; the source is kept, for nothing certifies it yet"
        )
        {
            Failing = [0.05],
            Delta = false,
            Play = ChaosPlay.Loss,
        },
        new("no_ae_with_delta", "anti-entropy off; 2% failing, 1% at the boundary")
        {
            Shards = 3,
            Failing = [0.02],
            FailingAtBoundary = [0.01],
            AntiEntropy = false,
        },
        new("no_ae_no_delta_blocked", "refused by configuration, API and core")
        {
            AntiEntropy = false,
            Play = ChaosPlay.Gates,
        },
        new("boundary_burst", "bursts of writes at every change of a route") { Event = ChaosEvent.Bursts },
        new("high_volume", "100,000 writes, 1% failing") { Writes = 100_000, Failing = [0.01] },
        new("loss_rate_no_ae_delta", "50,000 writes, anti-entropy off, 1% failing")
        {
            Writes = 50_000,
            Failing = [0.01],
            AntiEntropy = false,
        },
        new("validation_gates", "the unsafe combination refused, the safe ones taken, warnings given")
        {
            Play = ChaosPlay.Gates,
        },
        new("tight_loop_boundary", "writes as fast as they are answered at the cutover, 5% failing")
        {
            BoundaryWrites = 2_000,
            Failing = [0.05],
            ThinkMs = 0,
        },
        new("loss_rate_1m_ae_on", "1,000,000 writes, 1% failing") { Writes = 1_000_000, Failing = [0.01] },
        new("loss_rate_no_ae_no_delta", "the gate taken out: what is lost then, 2% failing")
        {
            Failing = [0.02],
            AntiEntropy = false,
            Delta = false,
            Mutant = LossTable.GateLeftOut,
            Play = ChaosPlay.Loss,
        },
        new("concurrent_migration_writes", "writers through the whole life of a migration, 2% failing")
        {
            Shards = 4,
            Writes = 10_000,
            Failing = [0.02],
        },
        new("three_node_cluster", "two old nodes, one new, two copies, 5% failing, 6% at the boundary")
        {
            Shards = 4,
            Replication = 2,
            OldNodes = 2,
            Failing = [0.05],
            FailingAtBoundary = [0.06],
        },
        new("three_node_no_ae_with_delta", "the same with anti-entropy off, 5,000 writes")
        {
            Shards = 4,
            Replication = 2,
            OldNodes = 2,
            Writes = 5_000,
            Failing = [0.05],
            FailingAtBoundary = [0.06],
            AntiEntropy = false,
        },
        new("network_partition_new_node", "the new node is cut off during the cutover, then back")
        {
            Event = ChaosEvent.NewNodeCutOff,
        },
        new("drain_timeout_boundary", "a write is stuck when the drain's time is over, and given up by hand")
        {
            Replication = 2,
            OldNodes = 2,
            Event = ChaosEvent.WriteStuck,
        },
        new("concurrent_migrations", "two migrations from two nodes side by side, 2% failing")
        {
            OldNodes = 2,
            Indexes = 2,
            Failing = [0.02],
        },
        new("partial_shard_failure", "10%, 1%, 5% and 0% failing on four shards")
        {
            Shards = 4,
            Writes = 5_000,
            Failing = [0.10, 0.01, 0.05, 0],
        },
        new("coordinator_crash_recovery", "the coordinator is killed at every effect in turn, and started again")
        {
            Event = ChaosEvent.CoordinatorDies,
            Failing = [0.02],
        },
    ];

    /// <summary>Plays a scenario under a seed. Its mutant is to be active.</summary>
    public static SeedResult Run(ChaosScenario scenario, long seed, bool keepsStory) =>
        scenario.Play switch
        {
            ChaosPlay.Gates => GateRun.Run(scenario, seed, keepsStory),
            ChaosPlay.Loss => RunLoss(scenario, seed, keepsStory),
            _ => ChaosRun.Run(scenario, seed, keepsStory),
        };

    /// <summary>What is lost by a seeded fault is no violation: that nothing is lost would be one.</summary>
    private static SeedResult RunLoss(ChaosScenario scenario, long seed, bool keepsStory)
    {
        var (left, count) = LossRun.Run(scenario, seed, keepsStory, readsConfirmed: false);
        var (read, confirmed) = LossRun.Run(scenario, seed, false, readsConfirmed: true);
        var row = LossTable.Row.Of(scenario, 1, left: count, read: confirmed);
        var isSeeded = scenario.Mutant != "";
        var findings = new Findings();
        foreach (var run in isSeeded ? [] : (SeedResult[])[left, read])
        {
            findings.Merge(run);
        }
        if (row.Wrong != "")
        {
            findings.Add(ChaosChecks.Vacuous, row.Wrong);
        }
        var faults = new SortedDictionary<string, long>(
            left.Faults.ToDictionary(f => f.Key, f => f.Value),
            StringComparer.Ordinal
        )
        {
            ["missing from eventual reads"] = count.MissingEventual,
            ["missing from confirmed reads"] = confirmed.MissingConfirmed,
            ["lost at the end"] = count.Lost,
        };
        return left with
        {
            Violations = findings.Stories,
            Wrong = findings.Counts,
            Faults = faults,
            Operations = left.Operations + read.Operations,
        };
    }

    /// <summary>With the prefix or without. Throws FormatException where there is none of that name.</summary>
    public static ChaosScenario Named(string name) =>
        All.FirstOrDefault(scenario => scenario.Name == name || scenario.FullName == name)
        ?? throw new FormatException(
            $"there is no scenario '{name}'; there are: {string.Join(", ", All.Select(scenario => scenario.Name))}"
        );
}
