using System.Globalization;

namespace Miroir.Chaos.Entropy;

/// <summary>What `entropy` is asked to do.</summary>
internal sealed record EntropyDrillOptions
{
    public const string Usage = """
        usage: entropy            anti-entropy against real processes: under writes, and with everything that goes wrong with a disk
          --documents N   loaded first (default 20,000)
          --runs N        under writes (default 10)
          --seconds S     of each run, in which nothing may be called different that is not (default 60)
          --rate N        acknowledged writes a second; a run with fewer does not count (default 2,000)
          --keep          leave the files of what went right, too
        """;

    public int Documents { get; private init; } = 20_000;
    public int Runs { get; private init; } = 10;
    public int Seconds { get; private init; } = 60;
    public int WritesPerSecond { get; private init; } = 2_000;
    public bool IsKept { get; private init; }

    /// <exception cref="ArgumentException">Which argument is wrong, and what was expected.</exception>
    public static EntropyDrillOptions Parse(IReadOnlyList<string> arguments)
    {
        var options = new EntropyDrillOptions();
        for (var i = 0; i < arguments.Count; i++)
        {
            var name = arguments[i];
            string Next() => i + 1 < arguments.Count ? arguments[++i] : "";
            options = name switch
            {
                "--documents" => options with { Documents = Number(name, Next(), 1_000) },
                "--runs" => options with { Runs = Number(name, Next(), 1) },
                "--seconds" => options with { Seconds = Number(name, Next(), 5) },
                "--rate" => options with { WritesPerSecond = Number(name, Next(), 1) },
                "--keep" => options with { IsKept = true },
                _ => throw new ArgumentException($"'{name}' is no option of entropy\n{Usage}"),
            };
        }
        return options;
    }

    private static int Number(string name, string text, int least) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n >= least
            ? n
            : throw new ArgumentException($"{name} must be a whole number of {least} or more, not '{text}'");
}
