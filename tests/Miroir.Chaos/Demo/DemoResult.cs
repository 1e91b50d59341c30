using Miroir.Oracle;
using Miroir.Ports;

namespace Miroir.Chaos.Demo;

/// <summary>What a run measured and what the checker said, with the bar that it has to clear.</summary>
internal sealed record DemoResult
{
    private const int FewestDuringMigration = 10_000;
    private const int FewestDuringJoint = 500;
    private const int Slices = 72;

    public required DemoOptions Options { get; init; }
    public required Dataset Dataset { get; init; }
    public required double ImportSeconds { get; init; }
    public required IReadOnlyList<Sample> Samples { get; init; }
    public required IReadOnlyDictionary<string, int> ByKind { get; init; }
    public required MigrationWatch Watch { get; init; }
    public required double StartedMs { get; init; }
    public required double CutoverMs { get; init; }
    public required double EndedMs { get; init; }
    public required long Refused { get; init; }
    public required long Unknown { get; init; }
    public required int Keys { get; init; }
    public required int Checked { get; init; }
    public required Classification Verdict { get; init; }
    public required string Killed { get; init; }
    public required string Outage { get; init; }

    /// <summary>Passes of anti-entropy at the end: one that repairs, and one that looks; null in the control.</summary>
    public required PassView? Run { get; init; }
    public required PassView? Verify { get; init; }
    public required IReadOnlyList<(string Name, long PeakBytes)> PeakBytes { get; init; }

    private long DeltaCopied => Watch.View.GetProperty("deltaCopied").GetInt64();

    private int Overlapping(double fromMs, double toMs) => Samples.Count(s => s.EndMs >= fromMs && s.StartMs <= toMs);

    /// <summary>Operations under way while at least one shard was seen in Joint.</summary>
    private int DuringJoint =>
        Samples.Count(s => Watch.Joint.Values.Any(j => s.EndMs >= j.FromMs && s.StartMs <= j.ToMs));

    public bool FoundLoss => !Verdict.IsFine;

    /// <summary>What keeps this run from counting as a proof; empty where nothing does.</summary>
    public IReadOnlyList<string> Shortfalls()
    {
        List<string> shortfalls = [];
        if (!Verdict.IsFine)
            shortfalls.Add($"the checker found fault: {Verdict}");
        var during = Overlapping(StartedMs, EndedMs);
        if (during < FewestDuringMigration)
            shortfalls.Add(
                $"only {during:N0} operations overlapped the migration, {FewestDuringMigration:N0} are needed"
            );
        if (DuringJoint < FewestDuringJoint)
            shortfalls.Add(
                $"only {DuringJoint:N0} operations overlapped the Joint stage, {FewestDuringJoint:N0} are needed"
            );
        if (DeltaCopied == 0)
            shortfalls.Add("the delta pass copied nothing");
        if (Verify is not null && LastPasses.Complaint(Verify) is { Length: > 0 } complaint)
            shortfalls.Add(complaint);
        return shortfalls;
    }

    public void Print(TextWriter output)
    {
        output.WriteLine();
        Row("documents imported", $"{Dataset.Documents.Count:N0}  ({Dataset.Documents.Count / ImportSeconds:N0}/s)");
        Row(
            "operations",
            $"{Samples.Count:N0}  ("
                + string.Join(
                    ", ",
                    ByKind.OrderBy(k => k.Key, StringComparer.Ordinal).Select(k => $"{k.Key} {k.Value:N0}")
                )
                + ")"
        );
        Row("during the migration", $"{Overlapping(StartedMs, EndedMs):N0}, of them in Joint {DuringJoint:N0}");
        Row("documents moved", $"{Watch.View.GetProperty("documentsCopied").GetInt64():N0}");
        Row("delta-pass documents", $"{DeltaCopied:N0}");
        Row("refused, sent again", $"{Refused:N0}; outcome unknown to its client {Unknown:N0}");
        if (Killed != "")
            Row("killed", Killed);
        if (Outage != "")
            Row("outage", Outage);
        var writes = Samples.Where(s => s.IsWrite).ToList();
        Row("writes before", LatencySummary.Of(writes.Where(s => s.EndMs < StartedMs)).ToString());
        Row(
            "writes while copying",
            LatencySummary.Of(writes.Where(s => s.EndMs >= StartedMs && s.EndMs < CutoverMs)).ToString()
        );
        Row(
            "writes in the cutover",
            LatencySummary.Of(writes.Where(s => s.EndMs >= CutoverMs && s.StartMs <= EndedMs)).ToString()
        );
        Row("writes after", LatencySummary.Of(writes.Where(s => s.StartMs > EndedMs)).ToString());
        PrintTimeline(output, writes);
        if (Run is not null && Verify is not null)
            Row("anti-entropy", LastPasses.Tell(Run, Verify));
        Row("peak memory", string.Join(", ", PeakBytes.Select(p => $"{p.Name} {p.PeakBytes / 1048576.0:F0} MiB")));
        output.WriteLine();
        output.WriteLine(
            $"lost {Verdict.Count(DocumentClass.Lost)}, stale {Verdict.Count(DocumentClass.Stale)}, resurrected {Verdict.Count(DocumentClass.Resurrected)}, orphaned {Verdict.Count(DocumentClass.Orphaned)}, duplicated {Verdict.Count(DocumentClass.Duplicated)}: {Keys:N0} keys, {Checked:N0} operations checked"
        );

        void Row(string name, string value) => output.WriteLine($"  {name, -22} {value}");
    }

    private void PrintTimeline(TextWriter output, IReadOnlyList<Sample> writes)
    {
        if (writes.Count == 0)
            return;
        var from = writes.Min(s => s.EndMs);
        var to = writes.Max(s => s.EndMs) + 1;
        var line = Sparkline.Of(Sparkline.P99(writes, from, to, Slices));
        output.WriteLine($"  {"p99 of writes", -22} {line}");
        var marks = new string(' ', Slices).ToCharArray();
        int At(double ms) => Math.Clamp((int)((ms - from) / (to - from) * Slices), 0, Slices - 1);
        marks[At(StartedMs)] = 'S';
        marks[At(CutoverMs)] = 'C';
        marks[At(EndedMs)] = 'E';
        output.WriteLine($"  {"", -22} {new string(marks)}  S start, C cutover, E end");
        output.WriteLine(
            $"  {"phases, first seen at", -22} "
                + string.Join(", ", Watch.Phases.Select(p => $"{p.Phase} {(p.AtMs - StartedMs) / 1000:F1} s"))
        );
    }
}
