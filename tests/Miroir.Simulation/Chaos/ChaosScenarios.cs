namespace Miroir.Simulation.Chaos;

/// <summary>
/// The named scenarios, which run in the simulator and against real processes, with what both assert of them.
/// </summary>
public static class ChaosScenarios
{
    /// <summary>The mutant that takes out the rule against skipping the delta pass without anti-entropy.</summary>
    public const string GateLeftOut = "skip-delta-gate-left-out";

    /// <summary>What a migration that ends well passes, in this order.</summary>
    public static IReadOnlyList<string> Phases { get; } =
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

    public static IReadOnlyList<ChaosScenario> All { get; } =
    [
        new("with_anti_entropy", "2% failing on the new node") { Shards = 3, Failing = [0.02] },
        new(
            "skip_delta_with_ae",
            "the delta pass skipped, 5% failing; the source is kept until anti-entropy has certified the targets"
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
            Mutant = GateLeftOut,
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

    /// <summary>The cells of the loss table, the refused one last: anti-entropy and delta pass, there or not.</summary>
    public static IReadOnlyList<(bool AntiEntropy, bool Delta)> LossCells { get; } =
    [(true, true), (false, true), (true, false), (false, false)];

    /// <summary>Percent of the puts on the new node that fail, in the loss table.</summary>
    public static IReadOnlyList<int> LossRates { get; } = [1, 2, 5];

    /// <summary>One row of the loss table. Where both are missing, the rule that refuses it has to be taken out.</summary>
    public static ChaosScenario LossCell(bool antiEntropy, bool delta, int ratePercent) =>
        new("loss_table", $"{ratePercent}% failing on the new node")
        {
            Shards = 4,
            Documents = 1_000,
            Writes = 3_000,
            Failing = [ratePercent / 100.0],
            AntiEntropy = antiEntropy,
            Delta = delta,
            Mutant = antiEntropy || delta ? "" : GateLeftOut,
            Play = ChaosPlay.Loss,
        };

    /// <summary>With the prefix or without. Throws FormatException where there is none of that name.</summary>
    public static ChaosScenario Named(string name) =>
        All.FirstOrDefault(scenario => scenario.Name == name || scenario.FullName == name)
        ?? throw new FormatException(
            $"there is no scenario '{name}'; there are: {string.Join(", ", All.Select(scenario => scenario.Name))}"
        );
}
