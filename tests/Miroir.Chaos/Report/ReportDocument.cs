using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Miroir.Chaos.Scenarios;
using Miroir.Simulation.Chaos;
using static Miroir.Chaos.Report.ReportText;

namespace Miroir.Chaos.Report;

/// <summary>The report as text. Every number in it comes from its inputs.</summary>
internal sealed class ReportDocument
{
    private const string Build = "dotnet fsi build.fsx";
    private const string NotRun = "not run";
    private readonly ReportText _text = new();

    public static string Of(ReportInputs inputs, string commit)
    {
        var document = new ReportDocument();
        document.Head(inputs, commit);
        document.Real(inputs.Real);
        document.LossTables(inputs);
        document.Simulator(inputs.Simulation);
        document.Explorer(inputs.Explorer, "");
        document.Explorer(inputs.LargeExplorer, "--large ");
        document.Mutants(inputs.Mutants);
        return document._text.ToString();
    }

    private void Head(ReportInputs inputs, string commit)
    {
        _text.Say("# Chaos testing report");
        _text.Say(
            $"Written at commit {commit} by `{Build} chaos --report`, from what the commands below left in `artifacts/`; `{Build} report` runs all of them and writes it anew. No number in it is typed by hand; \"+\" behind a commit: files were changed since. [cutover.md](cutover.md) says what is claimed and why; [explorer.md](explorer.md) and [simulator.md](simulator.md) describe two of the layers."
        );
        _text.Table(
            ["layer", "command", "at commit"],
            0,
            [
                [
                    "real processes",
                    $"`{Build} chaos`, `chaos --loss-table`",
                    inputs.Real is { } real ? string.Join(", ", real.Commits) : NotRun,
                ],
                [
                    "simulator",
                    $"`{Build} simulate --seeds 2000 --json artifacts/simulate.json`, the same with `--scenarios` and with `--loss-table`",
                    CommitOf(inputs.Simulation),
                ],
                ["explorer", $"`{Build} explore --json artifacts/explore.json`", CommitOf(inputs.Explorer)],
                [
                    "explorer, large",
                    $"`{Build} explore --large --json artifacts/explore-large.json`",
                    CommitOf(inputs.LargeExplorer),
                ],
                ["seeded faults", $"`{Build} mutants --json artifacts/mutants.json`", CommitOf(inputs.Mutants)],
            ]
        );
    }

    private static string CommitOf(JsonObject? run) => run is null ? NotRun : Text(run["commit"], "not noted");

    private void Real(ChaosArtifact? real)
    {
        _text.Say("## The named scenarios with real processes");
        _text.Say(
            "Nodes, a coordinator and a router are processes of their own with SQLite files. They are the shipped programs, but for the new node, which can be told which puts to refuse, and the coordinator where it is to kill itself or to run with a seeded fault. Documents are inserted, replaced, merged and deleted throughout; every operation of every client is in a history, which is checked for linearizability together with a read of every document and a dump of every file."
        );
        if (real is null or { Scenarios.Count: 0 })
        {
            _text.Say(NotRun);
            return;
        }
        _text.Table(
            [
                "scenario",
                "writes while both nodes take them (in full)",
                "operations checked",
                "what happened",
                "phases passed",
                "at commit",
                "documents in the end",
                "s",
                "",
            ],
            0,
            [
                .. real.Scenarios.Select(r =>
                    new[]
                    {
                        $"`{r.Name}`: {r.About}",
                        r.Writes == r.FullWrites ? Number(r.Writes) : $"{Number(r.Writes)} ({Number(r.FullWrites)})",
                        Number(r.Operations),
                        r.FaultsText,
                        r.PhasesText,
                        r.Commit,
                        r.VerdictText + (r.IsSeeded ? " (a fault is seeded)" : ""),
                        r.Seconds.ToString("F1", CultureInfo.InvariantCulture),
                        r.IsRight ? "right" : $"WRONG: {string.Join("; ", r.Complaints)}",
                    }
                ),
            ]
        );
        var missing = ChaosScenarios.All.Count - real.Scenarios.Count;
        _text.Say(
            $"{Number(real.Scenarios.Count(r => r.IsRight))} of {Number(ChaosScenarios.All.Count)} right{(missing > 0 ? $", {Number(missing)} not run" : "")}; {Number(real.Scenarios.Sum(r => r.Operations))} operations checked, {Number(real.Scenarios.Sum(r => r.AcknowledgedWrites))} writes acknowledged to clients."
        );
    }

    private void LossTables(ReportInputs inputs)
    {
        _text.Say("## The loss tables");
        _text.Say(
            "What the cutover misses while anti-entropy is on or off and the delta pass there or skipped, with puts failing evenly on the new node. Missing: what an eventual (confirmed) read shows older than it is, not at all, or not as deleted, right after the last shard has switched; after anti-entropy: from eventual reads, once its pass has let go of the source, which is kept until then. Lost: lost, stale or resurrected once all is over. The combination without both is refused; it was measured with that rule taken out, in the test build."
        );
        _text.Say("Real processes:");
        Losses([.. inputs.Real?.LossTable.Select(row => row.Row) ?? []]);
        _text.Say("Simulator:");
        Losses(inputs.Simulation?["lossTable"].Deserialize<LossRow[]>(ChaosArtifact.Shape) ?? []);
    }

    private void Losses(IReadOnlyList<LossRow> rows)
    {
        if (rows.Count == 0)
        {
            _text.Say(NotRun);
            return;
        }
        _text.Table(
            [
                "anti-entropy",
                "delta pass",
                "puts failing",
                "documents",
                "missing from eventual reads",
                "from confirmed reads",
                "after anti-entropy",
                "lost",
                "the source",
                "",
            ],
            2,
            [
                .. rows.Select(row =>
                    new[]
                    {
                        row.AntiEntropy,
                        row.Delta,
                        $"{row.RatePercent}%",
                        Number(row.Documents),
                        Number(row.MissingEventual),
                        Number(row.MissingConfirmed),
                        row.MissingAfterPass < 0 ? "" : Number(row.MissingAfterPass),
                        Number(row.Lost),
                        row.SourceKept ? "kept" : "",
                        row.Wrong == "" ? "as it has to be" : $"WRONG: {row.Wrong}",
                    }
                ),
            ]
        );
    }

    private void Simulator(JsonObject? run)
    {
        _text.Say("## The simulator");
        if (run is null)
        {
            _text.Say(NotRun);
            return;
        }
        if (Count(run["seeds"]) > 0)
        {
            var migrations = run["migrations"];
            _text.Say(
                $"{Number(run["seeds"])} seeds, {Number(run["operations"])} operations checked, {Number(run["acknowledged"])} writes acknowledged, {Text(run["virtualMinutes"], "0")} virtual minutes; {Number(migrations?["complete"])} migrations complete, {Number(migrations?["aborted"])} aborted, {Number(migrations?["fellBack"])} shards fell back, {Number(migrations?["deltaCopied"])} documents copied by delta passes; {Number(run["seedsPerHour"])} seeds per hour. Found: {Counts(run["findings"])}. Wrong seeds: {Number(run["wrongSeeds"]?.AsArray().Count ?? 0)}."
            );
            _text.Say($"Faults that happened: {Counts(run["faults"])}.");
        }
        else
            _text.Say($"Seeds: {NotRun}.");
        _text.Say("### The named scenarios in the simulator");
        if (run["scenarios"] is not JsonArray { Count: > 0 } scenarios)
        {
            _text.Say(NotRun);
            return;
        }
        _text.Table(
            ["scenario", "seeds", "operations", "what happened", "verdict"],
            0,
            [
                .. scenarios.Select(s =>
                    new[]
                    {
                        $"`{Text(s!["name"], "")}`",
                        Number(s["seeds"]),
                        Number(s["operations"]),
                        Counts(s["faults"]),
                        Text(s["verdict"], "")
                            + (Text(s["reduced"], "") is { Length: > 0 } reduced ? $"; reduced to {reduced}" : ""),
                    }
                ),
            ]
        );
    }

    private void Explorer(JsonObject? run, string mode)
    {
        _text.Say($"## The explorer{(mode == "" ? "" : ", large")}");
        if (run is null)
        {
            _text.Say(NotRun);
            return;
        }
        var command = mode == "" ? "explore" : $"explore {mode}";
        _text.Say(
            $"`{Build} {command}`: {Number(run["states"])} states in {Seconds(run["seconds"])} s; {(Flag(run["isExhausted"]) ? "all of them within the bounds" : "not all configurations to their end")}. Never reached: {List(run["never"])}."
        );
        _text.Table(
            ["configuration", "bounds", "states", "steps", "depth", "s", "end", "broken"],
            0,
            [
                .. (run["configurations"] as JsonArray ?? []).Select(c =>
                    new[]
                    {
                        Text(c!["name"], ""),
                        Text(c["bounds"], ""),
                        Number(c["states"]),
                        Number(c["steps"]),
                        Number(c["depth"]),
                        Seconds(c["seconds"]),
                        Flag(c["isExhausted"]) ? "all seen" : "cut short",
                        Text(c["broken"], "") is { Length: > 0 } broken ? broken : "nothing",
                    }
                ),
            ]
        );
    }

    private void Mutants(JsonObject? run)
    {
        _text.Say("## Faults seeded into the protocol");
        if (run?["faults"] is not JsonArray { Count: > 0 } rows)
        {
            _text.Say(NotRun);
            return;
        }
        var faults = rows.GroupBy(row => Text(row!["name"], ""), StringComparer.Ordinal).ToList();
        _text.Say(
            $"{Number(faults.Count)} faults, {Number(faults.Count(fault => fault.Any(row => Flag(row!["killed"]))))} of them found in a layer or more; {Number(rows.Count)} rows of a fault and a layer, {Number(rows.Count(row => Flag(row!["killed"])))} of them found. [mutants.md](mutants.md) says what counts as found."
        );
        _text.Table(
            ["fault", "layer", "found by", "s", "how, or why not"],
            0,
            [
                .. rows.Select(row =>
                    new[]
                    {
                        $"`{Text(row!["name"], "")}`",
                        Text(row["layer"], ""),
                        Flag(row["killed"]) ? Text(row["killer"], "")
                        : Text(row["survivorReason"], "") == "" ? "LIVES"
                        : "survives",
                        Seconds(row["seconds"]),
                        Flag(row["killed"]) || Text(row["survivorReason"], "") == ""
                            ? Text(row["detail"], "")
                            : Text(row["survivorReason"], ""),
                    }
                ),
            ]
        );
    }
}
