using System.Diagnostics;
using Miroir.Core;

namespace Miroir.Simulation.Scenario;

/// <summary>The simulator's command line. Exit code 0: nothing wrong; 1: something was; 2: not understood.</summary>
public static class SimulateCommand
{
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
        if (options.Mutant != "")
        {
#if MUTANTS
            Mutants.activate([options.Mutant]);
#else
            Console.Error.WriteLine(
                $"error: there are no mutants in this build; '{options.Mutant}' needs a Debug build"
            );
            return 2;
#endif
        }
        return options.Seed is { } seed ? One(seed, options.IsQuiet) : Many(options);
    }

    private static int One(long seed, bool isQuiet)
    {
        var result = SeedRun.Run(seed, !isQuiet);
        foreach (var line in result.Story)
        {
            Console.WriteLine(line);
        }
        Tell(result);
        Console.WriteLine(
            $"seed {seed}: trace {result.TraceHash:x16}, {result.Steps} steps, {result.Operations} operations, {result.VirtualTime.TotalSeconds:0.0} virtual seconds, {result.Completed} migrations complete, {result.Aborted} aborted, {result.FellBack} shards fell back, {result.DeltaCopied} documents by delta passes"
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

    private static int Many(SimulateOptions options)
    {
        var watch = Stopwatch.StartNew();
        var totals = new SimulationTotals();
        var elapsed = SeedBatch.Run(
            options.From,
            options.Seeds!.Value,
            options.Workers,
            () => watch.Elapsed.TotalSeconds >= options.Seconds,
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
