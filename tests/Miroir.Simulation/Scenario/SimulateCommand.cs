using System.Diagnostics;
using System.Globalization;
using Miroir.Core;

namespace Miroir.Simulation.Scenario;

/// <summary>The simulator's command line. Exit code 0: nothing wrong; 1: something was; 2: not understood.</summary>
public static class SimulateCommand
{
    private const string Usage =
        "usage: simulate --seeds N [--from S] [--seconds T] [--mutant NAME]   many seeds\n"
        + "       simulate --seed N [--mutant NAME] [--quiet]                   one, with its story";

    public static int Run(string[] args)
    {
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < args.Length; i++)
        {
            var name = args[i];
            var isKnown = name is "--seeds" or "--from" or "--seconds" or "--seed" or "--mutant";
            if (name == "--quiet")
            {
                options[name] = "";
            }
            else if (isKnown && i + 1 < args.Length && (name == "--mutant" || IsNumber(args[i + 1])))
            {
                options[name] = args[++i];
            }
            else
            {
                Console.Error.WriteLine($"error: '{name}' is not understood here\n\n{Usage}");
                return 2;
            }
        }
        if (options.TryGetValue("--mutant", out var mutant))
        {
#if MUTANTS
            Mutants.activate([mutant]);
#else
            Console.Error.WriteLine($"error: there are no mutants in this build; '{mutant}' needs a Debug build");
            return 2;
#endif
        }
        if (options.TryGetValue("--seed", out var seed))
        {
            return One(Number(seed), options.ContainsKey("--quiet"));
        }
        if (!options.TryGetValue("--seeds", out var seeds))
        {
            Console.Error.WriteLine(Usage);
            return 2;
        }
        var seconds = options.TryGetValue("--seconds", out var given) ? Number(given) : long.MaxValue;
        return Many(options.TryGetValue("--from", out var from) ? Number(from) : 1, Number(seeds), seconds);
    }

    private static bool IsNumber(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _);

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private static int One(long seed, bool isQuiet)
    {
        var result = SeedRun.Run(seed, !isQuiet);
        foreach (var line in result.Story)
        {
            Console.WriteLine(line);
        }
        Report(result);
        Console.WriteLine(
            $"seed {seed}: trace {result.TraceHash:x16}, {result.Steps} steps, {result.Operations} operations, {result.VirtualTime.TotalSeconds:0.0} virtual seconds, {result.Completed} migrations complete, {result.Aborted} aborted, {result.FellBack} shards fell back, {result.DeltaCopied} documents by delta passes"
        );
        return result.IsRight ? 0 : 1;
    }

    private static void Report(SeedResult result)
    {
        foreach (var violation in result.Violations)
        {
            Console.WriteLine($"seed {result.Seed}: {violation}\n");
        }
    }

    private static int Many(long from, long seeds, long seconds)
    {
        var watch = Stopwatch.StartNew();
        var totals = new SimulationTotals();
        for (var i = 0L; i < seeds && watch.Elapsed.TotalSeconds < seconds; i++)
        {
            var result = SeedRun.Run(from + i, false);
            totals.Add(result);
            if (!result.IsRight)
            {
                Report(result);
                Console.WriteLine($"replay it with: simulate --seed {result.Seed}\n");
            }
        }
        Console.WriteLine(totals.Tell(watch.Elapsed));
        return totals.WrongSeeds.Count == 0 ? 0 : 1;
    }
}
