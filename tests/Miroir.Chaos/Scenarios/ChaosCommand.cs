using System.Diagnostics;
using Miroir.Chaos.Report;
using Miroir.Simulation.Chaos;
using Miroir.Simulation.Scenario;

namespace Miroir.Chaos.Scenarios;

/// <summary>`chaos`: the named scenarios and the loss table with real processes. 0: all right; 1: something was not; 2: not understood.</summary>
internal static class ChaosCommand
{
    public const string Artifacts = "artifacts";
    private static readonly string Results = Path.Combine(Artifacts, "chaos.json");

    public static async Task<int> RunAsync(IReadOnlyList<string> arguments, CancellationToken cancel)
    {
        ChaosOptions options;
        try
        {
            options = ChaosOptions.Parse(arguments);
        }
        catch (ArgumentException e)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
        if (options is { IsReport: true, Scenarios.Count: 0, IsLossTable: false })
            return ReportCommand.Run();
#if !MUTANTS
        Console.Error.WriteLine("chaos needs the test build (Debug), where faults can be seeded");
        return 2;
#else
        var clock = Stopwatch.StartNew();
        var isRight = true;
        try
        {
            var count = 0;
            foreach (var scenario in options.Scenarios)
            {
                var result = await PlayAsync(scenario, options, cancel);
                Console.WriteLine(result.Tell());
                foreach (var complaint in result.Complaints)
                    Console.WriteLine($"       {complaint}");
                new ChaosArtifact { Scenarios = [result] }.Write(Results);
                isRight &= result.IsRight;
                count++;
            }
            if (options.IsLossTable)
                isRight &= await LossesAsync(options, cancel);
            if (count > 1)
                Console.WriteLine(
                    $"{count} scenarios with real processes in {clock.Elapsed.TotalSeconds:F0} s: {(isRight ? "all right" : "not all right")}"
                );
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            Console.WriteLine("stopped");
            return 130;
        }
        if (options.IsReport && ReportCommand.Run() is not 0 and var failed)
            return failed;
        return isRight ? 0 : 1;
#endif
    }

    private static async Task<bool> LossesAsync(ChaosOptions options, CancellationToken cancel)
    {
        var areFine = true;
        Console.WriteLine(LossRow.Header);
        foreach (var (antiEntropy, delta, rate) in options.Rows)
        {
            var scenario = ChaosScenarios.LossCell(antiEntropy, delta, rate).AtMost(options.Size);
            await using var folder = new ScenarioFolder($"loss-{rate}", options.IsKept);
            try
            {
                var (row, runs) = await LossAsync(scenario, rate, folder, options, cancel);
                new ChaosArtifact { LossTable = [new(row, WorkingTree.Commit())] }.Write(Results);
                Console.WriteLine(row);
                List<string> complaints = [.. runs.SelectMany(run => run.World.Complaints)];
                complaints.ForEach(complaint => Console.WriteLine($"       {complaint}"));
                folder.IsFine = row.Wrong == "" && complaints.Count == 0;
            }
            catch (Exception e) when (!cancel.IsCancellationRequested)
            {
                Console.WriteLine($"{scenario.About}, anti-entropy {antiEntropy}, delta pass {delta}: {e}");
            }
            if (!folder.IsFine)
                Console.WriteLine($"       logs and files are in {folder.Path}");
            areFine &= folder.IsFine;
        }
        return areFine;
    }

    /// <summary>
    /// What confirmed reads see, and what is lost where there were none: two runs where such a read could put back what was
    /// missed, else one.
    /// </summary>
    private static async Task<(LossRow Row, IReadOnlyList<ScenarioRun> Runs)> LossAsync(
        ChaosScenario asked,
        int rate,
        ScenarioFolder folder,
        ChaosOptions options,
        CancellationToken cancel
    )
    {
        var scenario = LossPlay.Retaining(asked);
        async Task<(ScenarioRun Run, LossCount Count)> OnceAsync(bool readsConfirmed)
        {
            var part = Path.Combine(folder.Path, readsConfirmed ? "read" : "left");
            await using var run = new ScenarioRun(scenario, part, options.IsFull, cancel);
            return (run, await new LossPlay(scenario, run, readsConfirmed).PlayAsync());
        }
        var read = await OnceAsync(true);
        if (scenario.Delta)
            return (LossRow.Of(scenario, rate, left: read.Count, read: read.Count), [read.Run]);
        var left = await OnceAsync(false);
        return (LossRow.Of(scenario, rate, left: left.Count, read: read.Count), [left.Run, read.Run]);
    }

    private static async Task<ScenarioResult> PlayAsync(
        ChaosScenario asked,
        ChaosOptions options,
        CancellationToken cancel
    )
    {
        var clock = Stopwatch.StartNew();
        var scenario = asked.AtMost(options.Size);
        await using var folder = new ScenarioFolder(scenario.Name, options.IsKept);
        List<string> complaints = [];
        SortedDictionary<string, long> faults = new(StringComparer.Ordinal);
        IReadOnlyList<ScenarioRun> runs = [];
        try
        {
            if (scenario.Play == ChaosPlay.Loss)
            {
                (var row, runs) = await LossAsync(scenario, 0, folder, options, cancel);
                if (row.Wrong != "")
                    complaints.Add(row.Wrong);
                faults["documents missing from eventual reads"] = row.MissingEventual;
                faults["missing from confirmed reads"] = row.MissingConfirmed;
                if (row.MissingAfterPass >= 0)
                    faults["missing from eventual reads after anti-entropy"] = row.MissingAfterPass;
                if (row.SourceKept)
                    faults["runs that kept the source"] = runs.Count;
            }
            else
            {
                await using var run = new ScenarioRun(scenario, folder.Path, options.IsFull, cancel);
                runs = [run];
                if (scenario.Play == ChaosPlay.Gates)
                    await new GatePlay(scenario, run, folder.Path).PlayAsync();
                else
                    await run.PlayAsync();
            }
        }
        catch (Exception e) when (!cancel.IsCancellationRequested)
        {
            complaints.Add(e is InvalidOperationException ? e.Message : e.ToString());
        }
        foreach (var run in runs)
        {
            complaints.AddRange(run.World.Complaints);
            if (scenario.Mutant == "" && !run.IsVerdictFine)
                complaints.Add("the checker found fault");
            foreach (var (name, count) in run.World.Faults)
                faults[name] = faults.GetValueOrDefault(name) + count;
        }
        folder.IsFine = complaints.Count == 0;
        if (!folder.IsFine)
            complaints.Add($"logs and files are in {folder.Path}");
        return new ScenarioResult
        {
            Name = asked.FullName,
            About = asked.About,
            Writes = scenario.Writes,
            FullWrites = asked.Writes,
            Operations = runs.Sum(run => run.Operations),
            AcknowledgedWrites = runs.Sum(run => run.Acknowledged),
            Faults = faults,
            Phases = [.. runs.SelectMany(run => run.Phases).Distinct()],
            Verdict = Sum(runs.Select(run => run.Verdict)),
            IsSeeded = scenario.Mutant != "",
            Complaints = complaints,
            Seconds = clock.Elapsed.TotalSeconds,
        };
    }

    private static SortedDictionary<string, long> Sum(IEnumerable<IReadOnlyDictionary<string, long>> verdicts)
    {
        SortedDictionary<string, long> sum = new(StringComparer.Ordinal);
        foreach (var (name, count) in verdicts.SelectMany(verdict => verdict))
            sum[name] = sum.GetValueOrDefault(name) + count;
        return sum;
    }
}
