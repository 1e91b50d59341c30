using System.Globalization;
using Miroir.Simulation.Chaos;

namespace Miroir.Chaos.Scenarios;

/// <summary>What `chaos` is asked to do.</summary>
internal sealed record ChaosOptions
{
    public const string Usage = """
        usage: chaos [NAME...]      the named scenarios with real processes; `all`, and no name, is all of them
               chaos --loss-table   what is missed with and without anti-entropy and delta pass
               chaos --row off/skipped/2   one row of that table: anti-entropy, delta pass, percent that fail
               chaos --report       docs/chaos_testing_report.md, from what runs left in artifacts/
          --size N     documents, and writes, of a scenario at most (default 5,000)
          --full       as many as they are to have
          --report     behind names or --loss-table: run them, then write the report
          --keep       leave the files of what went right, too
        """;

    public IReadOnlyList<ChaosScenario> Scenarios { get; private init; } = [];

    /// <summary>Of the loss table.</summary>
    public IReadOnlyList<(bool AntiEntropy, bool Delta, int Rate)> Rows { get; private init; } = [];
    public bool IsLossTable => Rows.Count > 0;
    public bool IsReport { get; private init; }

    /// <summary>Documents, and writes, of a scenario at most.</summary>
    public int Size { get; private init; } = 5_000;
    public bool IsFull => Size == int.MaxValue;
    public bool IsKept { get; private init; }

    /// <exception cref="ArgumentException">Which argument is wrong, and what was expected.</exception>
    public static ChaosOptions Parse(IReadOnlyList<string> arguments)
    {
        var options = new ChaosOptions();
        for (var i = 0; i < arguments.Count; i++)
        {
            var name = arguments[i];
            options = name switch
            {
                "--loss-table" => options with { Rows = RealLossRow.All },
                "--row" => options with
                {
                    Rows = [.. options.Rows, RealLossRow.Named(i + 1 < arguments.Count ? arguments[++i] : "")],
                },
                "--report" => options with { IsReport = true },
                "--full" => options with { Size = int.MaxValue },
                "--keep" => options with { IsKept = true },
                "--size" => options with { Size = Number(name, i + 1 < arguments.Count ? arguments[++i] : "") },
                "all" => options with { Scenarios = ChaosScenarios.All },
                _ when name.StartsWith('-') => throw new ArgumentException($"'{name}' is no option of chaos\n{Usage}"),
                _ => options with { Scenarios = [.. options.Scenarios, Named(name)] },
            };
        }
        return options is { Scenarios.Count: 0, IsLossTable: false, IsReport: false }
            ? options with
            {
                Scenarios = ChaosScenarios.All,
            }
            : options;
    }

    private static ChaosScenario Named(string name)
    {
        try
        {
            return ChaosScenarios.Named(name);
        }
        catch (FormatException e)
        {
            throw new ArgumentException(e.Message);
        }
    }

    private static int Number(string name, string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n >= 100
            ? n
            : throw new ArgumentException($"{name} must be a whole number of 100 or more, not '{text}'");
}
