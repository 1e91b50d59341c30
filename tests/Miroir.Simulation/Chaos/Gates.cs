using Miroir.Core;
using Miroir.Core.Cutover;

namespace Miroir.Simulation.Chaos;

/// <summary>The ways to have anti-entropy and the delta pass: one of them is unsafe, some deserve a warning.</summary>
public static class Gates
{
    /// <summary>The code with which the unsafe way is refused, everywhere.</summary>
    public const string Refusal = "UnsafeCutoverNoAntiEntropy";

    /// <summary>To which an index is to be resharded when it is asked whether that may be.</summary>
    public const int NewShards = 7;

    public static IReadOnlyList<(bool AntiEntropy, bool Skips)> Combinations { get; } =
    [(true, true), (true, false), (false, true), (false, false)];

    public static bool IsSafe(bool antiEntropy, bool skips) => antiEntropy || !skips;

    public static bool IsWarned(bool antiEntropy, bool skips) => IsSafe(antiEntropy, skips) && (skips || !antiEntropy);

    /// <summary>The section of miroir.toml that asks for it.</summary>
    public static string Toml(bool antiEntropy, bool skips) =>
        $"""
            [migration]
            skip_delta_pass = {Text(skips)}
            anti_entropy_enabled = {Text(antiEntropy)}

            """;

    private static string Text(bool value) => value ? "true" : "false";

    /// <summary>What the core says to a plan for the first index: "", or the code of its refusal.</summary>
    public static string Planned(RoutingTable table, bool antiEntropy, bool skips)
    {
        var limits = Limits.Configured(1_000, 0, skips, antiEntropy);
        var plan = Planning.compute(1, table.Indexes[0], table.Routes, table.Nodes, NewShards, limits);
        return plan.IsOk ? "" : plan.ErrorValue.Code;
    }
}
