using Miroir.Simulation.Scenario;

namespace Miroir.Simulation.Chaos;

/// <summary>
/// What is missed where anti-entropy is on or off, and the delta pass there or skipped, with puts failing evenly on the
/// new node. The cell where both are missing is refused; it is measured with that rule taken out, in a test build.
/// </summary>
public static class LossTable
{
    /// <param name="tell">Called with each row, and with what was wrong in it.</param>
    public static IReadOnlyList<LossRow> Measure(SimulateOptions options, long seeds, Action<string> tell)
    {
        List<LossRow> rows = [];
        tell(LossRow.Header);
        foreach (var (antiEntropy, delta) in ChaosScenarios.LossCells)
        {
            if (!antiEntropy && !delta && !Mutant.AreThere)
            {
                tell("off          skipped   refused; what it would lose is measured in a Debug build");
                continue;
            }
            foreach (var rate in ChaosScenarios.LossRates)
            {
                var scenario = ChaosScenarios.LossCell(antiEntropy, delta, rate).AtMost(options.Size);
                var row = MeasureRow(scenario, rate, options, seeds, tell);
                rows.Add(row);
                tell(row.ToString());
            }
        }
        return rows;
    }

    private static LossRow MeasureRow(
        ChaosScenario scenario,
        int rate,
        SimulateOptions options,
        long seeds,
        Action<string> tell
    )
    {
        LossRow? row = null;
        using var _ = Mutant.Activate(scenario.Mutant);
        SeedBatch.Run(
            options.From,
            seeds,
            options.Workers,
            static () => false,
            seed => (Read: LossRun.Run(scenario, seed, false, true), Left: LossRun.Run(scenario, seed, false, false)),
            runs =>
            {
                var mine = LossRow.Of(scenario, rate, runs.Left.Count, runs.Read.Count);
                row = row is null ? mine : row.Plus(mine);
                if (scenario.Mutant == "")
                {
                    foreach (var violation in runs.Read.Result.Violations.Concat(runs.Left.Result.Violations))
                    {
                        tell($"seed {runs.Left.Result.Seed}: {violation}");
                    }
                }
            }
        );
        return row!;
    }
}
