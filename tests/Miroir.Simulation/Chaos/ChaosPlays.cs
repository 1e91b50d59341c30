using Miroir.Simulation.Scenario;

namespace Miroir.Simulation.Chaos;

/// <summary>The named scenarios in the simulator.</summary>
public static class ChaosPlays
{
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
        var row = LossRow.Of(scenario, 1, left: count, read: confirmed);
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
}
