using System.Globalization;

namespace Miroir.Simulation.Scenario;

/// <summary>What the simulator's command line asks for.</summary>
public sealed record SimulateOptions
{
    public const string Usage =
        "usage: simulate --seeds N [--from S] [--seconds T] [--workers W] [--mutant NAME] [--json FILE]   many seeds\n"
        + "       simulate --seed N [--mutant NAME] [--quiet]                                             one, with its story";

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
                "--quiet" => options with { IsQuiet = true },
                "--mutant" => options with { Mutant = Value() },
                "--json" => options with { Json = Value() },
                _ => throw new FormatException($"'{name}' is not understood here"),
            };
        }
        return options.Seed is null && options.Seeds is null
            ? throw new FormatException("nothing to simulate was given")
            : options;
    }
}
