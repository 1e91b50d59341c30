namespace Miroir.Simulation.Chaos;

/// <summary>What a cutover had missed, counted in documents.</summary>
/// <param name="Documents">Live once all shards had switched.</param>
/// <param name="MissingEventual">That an eventual read then shows older than they are, or not at all, or not as deleted.</param>
/// <param name="MissingConfirmed">The same of confirmed reads; -1: not read, so that they could put nothing back.</param>
/// <param name="Lost">That are lost, stale or resurrected once all is over.</param>
/// <param name="IsSourceKept">Whether the old node still had everything half a minute after the last shard had switched.</param>
/// <param name="MissingAfterPass">That any read shows older, or not, after a pass of anti-entropy; -1: there was none.</param>
public sealed record LossCount(
    long Documents,
    long MissingEventual,
    long MissingConfirmed,
    long Lost,
    bool IsSourceKept,
    long MissingAfterPass = -1
);

/// <summary>A row of the loss table.</summary>
/// <param name="AntiEntropy">on or off.</param>
/// <param name="Delta">on or skipped.</param>
/// <param name="RatePercent">Of the puts on the new node.</param>
/// <param name="Documents">In all runs of the row together, as the counts behind it.</param>
/// <param name="SourceKept">Whether every run still had the source half a minute after all had switched.</param>
/// <param name="MissingAfterPass">-1: there was no pass, since none was needed.</param>
public sealed record LossRow(
    string AntiEntropy,
    string Delta,
    int RatePercent,
    long Seeds,
    long Documents,
    long MissingEventual,
    long MissingConfirmed,
    long Lost,
    bool SourceKept,
    long MissingAfterPass
)
{
    public const string Header =
        "anti-entropy delta     rate  documents   eventual  confirmed after pass   lost  source";

    /// <summary>Of one seed: what was left after a run of its own, and what confirmed reads saw in another.</summary>
    public static LossRow Of(ChaosScenario scenario, int ratePercent, LossCount left, LossCount read) =>
        new(
            scenario.AntiEntropy ? "on" : "off",
            scenario.Delta ? "on" : "skipped",
            ratePercent,
            1,
            left.Documents,
            left.MissingEventual,
            read.MissingConfirmed,
            left.Lost,
            left.IsSourceKept && read.IsSourceKept,
            left.MissingAfterPass < 0 ? -1 : left.MissingAfterPass + Math.Max(0, read.MissingAfterPass)
        );

    public LossRow Plus(LossRow other) =>
        this with
        {
            Seeds = Seeds + other.Seeds,
            Documents = Documents + other.Documents,
            MissingEventual = MissingEventual + other.MissingEventual,
            MissingConfirmed = MissingConfirmed + other.MissingConfirmed,
            Lost = Lost + other.Lost,
            SourceKept = SourceKept && other.SourceKept,
            MissingAfterPass =
                MissingAfterPass < 0 ? other.MissingAfterPass : MissingAfterPass + Math.Max(0, other.MissingAfterPass),
        };

    /// <summary>"" where the row is as it has to be.</summary>
    public string Wrong =>
        this switch
        {
            { MissingConfirmed: > 0 } => "a confirmed read missed something",
            { Delta: "on", MissingEventual: > 0 } => "an eventual read missed something behind a delta pass",
            { Delta: "skipped", MissingEventual: 0 } => "nothing was missed: the failures did not matter",
            { Delta: "skipped", AntiEntropy: "on", SourceKept: false } => "the source was not kept",
            { Delta: "skipped", AntiEntropy: "on", MissingAfterPass: < 0 } => "nothing was read after the pass",
            { MissingAfterPass: > 0 } => "something was still missing after the pass",
            { Delta: "skipped", AntiEntropy: "off", Lost: 0 } => "nothing was lost without either",
            { Delta: "skipped", AntiEntropy: "off" } => "",
            { Lost: > 0 } => "something was lost",
            _ => "",
        };

    public override string ToString() =>
        $"{AntiEntropy, -12} {Delta, -8} {RatePercent, 4}% {Documents, 10} {MissingEventual, 10} {MissingConfirmed, 10} {(MissingAfterPass < 0 ? "" : $"{MissingAfterPass}"), 10} {Lost, 6}  {(SourceKept ? "kept" : ""), -6} {Wrong}";
}
