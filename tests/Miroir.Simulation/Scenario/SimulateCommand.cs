using System.Diagnostics;
using Miroir.Simulation.Chaos;

namespace Miroir.Simulation.Scenario;

/// <summary>The simulator's command line. Exit code 0: nothing wrong; 1: something was; 2: not understood.</summary>
public static class SimulateCommand
{
    private const long SeedsOfAScenario = 5;

    public static int Run(string[] args)
    {
        SimulateOptions options;
        try
        {
            options = SimulateOptions.Parse(args);
        }
        catch (FormatException e)
        {
            Console.Error.WriteLine($"error: {e.Message}\n\n{SimulateOptions.Usage}");
            return 2;
        }
        if (options.Mutant != "" && !Mutant.AreThere)
        {
            Console.Error.WriteLine(
                $"error: there are no mutants in this build; '{options.Mutant}' needs a Debug build"
            );
            return 2;
        }
        using var active = Mutant.Activate(options.Mutant);
        return options switch
        {
            { Seed: { } seed, Scenarios: [var scenario, ..] } => One(
                OneOf(scenario.AtMost(options.Size), seed, !options.IsQuiet)
            ),
            { Seed: { } seed } => One(SeedRun.Run(seed, !options.IsQuiet)),
            { Scenarios.Count: > 0 } => Scenarios(options),
            { IsLossTable: true } => Losses(options),
            _ => Many(options),
        };
    }

    private static int One(SeedResult result)
    {
        foreach (var line in result.Story)
        {
            Console.WriteLine(line);
        }
        Tell(result);
        Console.WriteLine(
            $"seed {result.Seed}: trace {result.TraceHash:x16}, {result.Steps} steps, {result.Operations} operations, {result.VirtualTime.TotalSeconds:0.0} virtual seconds, {result.Completed} migrations complete, {result.Aborted} aborted, {result.FellBack} shards fell back, {result.DeltaCopied} documents by delta passes"
        );
        return result.IsRight ? 0 : 1;
    }

    private static void Tell(SeedResult result)
    {
        foreach (var violation in result.Violations)
        {
            Console.WriteLine($"seed {result.Seed}: {violation}\n");
        }
    }

    private static int Scenarios(SimulateOptions options)
    {
        List<ChaosResult> results = [];
        foreach (var scenario in options.Scenarios)
        {
            var played = scenario.AtMost(options.Size);
            if (scenario.Mutant != "" && !Mutant.AreThere)
            {
                Console.WriteLine($"{scenario.FullName}: needs a Debug build, where faults can be seeded");
                continue;
            }
            using var mutant = Mutant.Activate(scenario.Mutant);
            List<SeedResult> runs = [];
            SeedBatch.Run(
                options.From,
                options.Seeds ?? SeedsOfAScenario,
                options.Workers,
                static () => false,
                seed => ChaosPlays.Run(played, seed, false),
                result =>
                {
                    runs.Add(result);
                    Tell(result);
                }
            );
            results.Add(ChaosResult.Of(scenario, played, runs));
            Console.WriteLine(results[^1].Tell());
        }
        if (options.Json != "")
        {
            new SimulationReport { Scenarios = results }.Write(options.Json);
        }
        return results.TrueForAll(result => result.IsRight) ? 0 : 1;
    }

    private static SeedResult OneOf(ChaosScenario scenario, long seed, bool keepsStory)
    {
        using var mutant = Mutant.Activate(scenario.Mutant);
        return ChaosPlays.Run(scenario, seed, keepsStory);
    }

    private static int Losses(SimulateOptions options)
    {
        var rows = LossTable.Measure(options, options.Seeds ?? SeedsOfAScenario, Console.WriteLine);
        if (options.Json != "")
        {
            new SimulationReport { LossTable = rows }.Write(options.Json);
        }
        return rows.All(row => row.Wrong == "") ? 0 : 1;
    }

    private static int Many(SimulateOptions options)
    {
        var watch = Stopwatch.StartNew();
        var totals = new SimulationTotals();
        var elapsed = SeedBatch.Run(
            options.From,
            options.Seeds!.Value,
            options.Workers,
            () => watch.Elapsed.TotalSeconds >= options.Seconds || (options.EndsAtFirst && totals.WrongSeeds.Count > 0),
            static seed => SeedRun.Run(seed, false),
            result =>
            {
                totals.Add(result);
                if (!result.IsRight)
                {
                    Tell(result);
                    Console.WriteLine($"replay it with: simulate --seed {result.Seed}\n");
                }
            }
        );
        Console.WriteLine(totals.Tell(elapsed));
        if (options.Json != "")
        {
            totals.Report(elapsed).Write(options.Json);
        }
        return totals.WrongSeeds.Count == 0 ? 0 : 1;
    }
}
