using System.Globalization;
using Miroir.Simulation.Chaos;

namespace Miroir.Chaos.Scenarios;

/// <summary>A row of the loss table, and the commit at which it was measured.</summary>
internal sealed record RealLossRow(LossRow Row, string Commit)
{
    /// <summary>All rows in their order: anti-entropy and delta pass, there or not, and percent of the puts that fail.</summary>
    public static IReadOnlyList<(bool AntiEntropy, bool Delta, int Rate)> All { get; } =
    [
        .. ChaosScenarios.LossCells.SelectMany(cell =>
            ChaosScenarios.LossRates.Select(rate => (cell.AntiEntropy, cell.Delta, rate))
        ),
    ];

    public static int PlaceOf(LossRow row) =>
        All.Select((key, place) => (Name: Name(key), place))
            .Where(named => named.Name == $"{row.AntiEntropy}/{row.Delta}/{row.RatePercent}")
            .Select(named => named.place)
            .FirstOrDefault(int.MaxValue);

    /// <summary>As "off/skipped/2": anti-entropy, delta pass, percent.</summary>
    /// <exception cref="ArgumentException">There is no such row.</exception>
    public static (bool AntiEntropy, bool Delta, int Rate) Named(string name) =>
        All.Any(key => Name(key) == name)
            ? All.First(key => Name(key) == name)
            : throw new ArgumentException($"--row must be one of {string.Join(", ", All.Select(Name))}, not '{name}'");

    private static string Name((bool AntiEntropy, bool Delta, int Rate) key) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{(key.AntiEntropy ? "on" : "off")}/{(key.Delta ? "on" : "skipped")}/{key.Rate}"
        );
}
