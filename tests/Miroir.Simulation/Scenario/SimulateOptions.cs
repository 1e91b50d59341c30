using System.Globalization;
using Miroir.Simulation.Chaos;

namespace Miroir.Simulation.Scenario;

/// <summary>What the simulator's command line asks for.</summary>
public sealed record SimulateOptions
{
    public const string Usage = """
        usage: simulate --seeds N [--from S] [--seconds T]    many seeds
               simulate --seed N [--quiet]                    one, with its story
               simulate --scenarios [--seeds N] [--size N]    every named scenario, under some seeds each
               simulate --scenario NAME [--seeds N] [--size N] [--seed N]
               simulate --loss-table [--seeds N]              what is missed with and without anti-entropy and delta pass
        also:  --workers W   threads, each with runs of its own
               --json FILE   what was found, for other programs
               --mutant NAME a fault seeded into the protocol (Debug builds); several are joined by +
               --first       of many seeds, none further once one is wrong
               --size N      documents, and writes, of a scenario at most; 0: as many as it is to have
        """;

    /// <summary>How many seeds; null: none.</summary>
    public long? Seeds { get; private init; }

    /// <summary>The first of them.</summary>
    public long From { get; private init; } = 1;

    /// <summary>Begins no further seed after so many seconds.</summary>
    public long Seconds { get; private init; } = long.MaxValue;

    /// <summary>Threads that run seeds, each seed on one of them.</summary>
    public int Workers { get; private init; } = 1;

    /// <summary>The one seed whose story is wanted.</summary>
    public long? Seed { get; private init; }

    public bool IsQuiet { get; private init; }

    /// <summary>Whether to begin no further seed once one has found something.</summary>
    public bool EndsAtFirst { get; private init; }

    /// <summary>The named scenarios that are wanted.</summary>
    public IReadOnlyList<ChaosScenario> Scenarios { get; private init; } = [];

    /// <summary>Whether the loss table is to be measured.</summary>
    public bool IsLossTable { get; private init; }

    /// <summary>Documents, and writes, of a scenario at most.</summary>
    public int Size { get; private init; } = 5_000;

    /// <summary>The fault seeded into the protocol; "": none.</summary>
    public string Mutant { get; private init; } = "";

    /// <summary>Where the report goes; "": nowhere.</summary>
    public string Json { get; private init; } = "";

    /// <summary>Throws FormatException where an argument is not understood.</summary>
    public static SimulateOptions Parse(IReadOnlyList<string> args)
    {
        var options = new SimulateOptions();
        for (var i = 0; i < args.Count; i++)
        {
            var name = args[i];
            string Value() =>
                ++i < args.Count ? args[i] : throw new FormatException($"'{name}' needs a value behind it");
            long Number(long least)
            {
                var text = Value();
                return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n >= least
                    ? n
                    : throw new FormatException($"'{name}' needs a whole number of at least {least}, not '{text}'");
            }
            options = name switch
            {
                "--seeds" => options with { Seeds = Number(1) },
                "--from" => options with { From = Number(0) },
                "--seconds" => options with { Seconds = Number(1) },
                "--workers" => options with { Workers = (int)Math.Min(Number(1), Environment.ProcessorCount) },
                "--seed" => options with { Seed = Number(0) },
                "--first" => options with { EndsAtFirst = true },
                "--quiet" => options with { IsQuiet = true },
                "--scenarios" => options with { Scenarios = ChaosScenarios.All },
                "--loss-table" => options with { IsLossTable = true },
                "--scenario" => options with { Scenarios = [ChaosScenarios.Named(Value())] },
                "--size" => options with
                {
                    Size = Number(0) is > 0 and var size and < int.MaxValue ? (int)size : int.MaxValue,
                },
                "--mutant" => options with { Mutant = Value() },
                "--json" => options with { Json = Value() },
                _ => throw new FormatException($"'{name}' is not understood here"),
            };
        }
        return options.Seed is null && options.Seeds is null && options.Scenarios.Count == 0 && !options.IsLossTable
            ? throw new FormatException("nothing to simulate was given")
            : options;
    }
}
