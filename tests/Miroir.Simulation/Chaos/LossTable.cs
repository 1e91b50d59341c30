using Miroir.Simulation.Scenario;

namespace Miroir.Simulation.Chaos;

/// <summary>
/// What is missed where anti-entropy is on or off, and the delta pass there or skipped, with puts failing evenly on the
/// new node. The cell where both are missing is refused; it is measured with that rule taken out, in a test build.
/// </summary>
public static class LossTable
{
    /// <summary>The mutant that takes the rule out.</summary>
    public const string GateLeftOut = "skip-delta-gate-left-out";

    private static readonly int[] Rates = [1, 2, 5];

    /// <param name="AntiEntropy">on or off.</param>
    /// <param name="Delta">on or skipped.</param>
    /// <param name="RatePercent">Of the puts on the new node.</param>
    /// <param name="Documents">In all runs of the row together, as the counts behind it.</param>
    /// <param name="SourceKept">Whether every run still had the source half a minute after all had switched.</param>
    public sealed record Row(
        string AntiEntropy,
        string Delta,
        int RatePercent,
        long Seeds,
        long Documents,
        long MissingEventual,
        long MissingConfirmed,
        long Lost,
        bool SourceKept
    )
    {
        /// <summary>Of one seed: what was left after a run of its own, and what confirmed reads saw in another.</summary>
        public static Row Of(ChaosScenario scenario, int ratePercent, LossCount left, LossCount read) =>
            new(
                scenario.AntiEntropy ? "on" : "off",
                scenario.Delta ? "on" : "skipped",
                ratePercent,
                1,
                left.Documents,
                left.MissingEventual,
                read.MissingConfirmed,
                left.Lost,
                left.IsSourceKept && read.IsSourceKept
            );

        public Row Plus(Row other) =>
            this with
            {
                Seeds = Seeds + other.Seeds,
                Documents = Documents + other.Documents,
                MissingEventual = MissingEventual + other.MissingEventual,
                MissingConfirmed = MissingConfirmed + other.MissingConfirmed,
                Lost = Lost + other.Lost,
                SourceKept = SourceKept && other.SourceKept,
            };

        /// <summary>"" where the row is as it has to be.</summary>
        public string Wrong =>
            this switch
            {
                { MissingConfirmed: > 0 } => "a confirmed read missed something",
                { Delta: "on", MissingEventual: > 0 } => "an eventual read missed something behind a delta pass",
                { Delta: "skipped", MissingEventual: 0 } => "nothing was missed: the failures did not matter",
                { Delta: "skipped", AntiEntropy: "on", SourceKept: false } => "the source was not kept",
                { Delta: "skipped", AntiEntropy: "off", Lost: 0 } => "nothing was lost without either",
                { Delta: "skipped", AntiEntropy: "off" } => "",
                { Lost: > 0 } => "something was lost",
                _ => "",
            };

        public override string ToString() =>
            $"{AntiEntropy, -12} {Delta, -8} {RatePercent, 4}% {Documents, 10} {MissingEventual, 10} {MissingConfirmed, 10} {Lost, 6}  {(SourceKept ? "kept" : ""), -6} {Wrong}";
    }

    public const string Header = "anti-entropy delta     rate  documents   eventual  confirmed   lost  source";

    /// <param name="tell">Called with each row, and with what was wrong in it.</param>
    public static IReadOnlyList<Row> Measure(SimulateOptions options, long seeds, Action<string> tell)
    {
        List<Row> rows = [];
        tell(Header);
        foreach (
            var (antiEntropy, delta) in ((bool, bool)[])[(true, true), (false, true), (true, false), (false, false)]
        )
        {
            var mutant = antiEntropy || delta ? "" : GateLeftOut;
            if (mutant != "" && !Mutant.AreThere)
            {
                tell("off          skipped   refused; what it would lose is measured in a Debug build");
                continue;
            }
            foreach (var rate in Rates)
            {
                var scenario = new ChaosScenario("loss_table", $"{rate}% failing on the new node")
                {
                    Shards = 4,
                    Documents = 1_000,
                    Writes = 3_000,
                    Failing = [rate / 100.0],
                    AntiEntropy = antiEntropy,
                    Delta = delta,
                    Mutant = mutant,
                }.AtMost(options.Size);
                var row = MeasureRow(scenario, rate, options, seeds, tell);
                rows.Add(row);
                tell(row.ToString());
            }
        }
        return rows;
    }

    private static Row MeasureRow(
        ChaosScenario scenario,
        int rate,
        SimulateOptions options,
        long seeds,
        Action<string> tell
    )
    {
        Row? row = null;
        using var _ = Mutant.Activate(scenario.Mutant);
        SeedBatch.Run(
            options.From,
            seeds,
            options.Workers,
            static () => false,
            seed => (Read: LossRun.Run(scenario, seed, false, true), Left: LossRun.Run(scenario, seed, false, false)),
            runs =>
            {
                var mine = Row.Of(scenario, rate, runs.Left.Count, runs.Read.Count);
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
