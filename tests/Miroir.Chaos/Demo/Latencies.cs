namespace Miroir.Chaos.Demo;

/// <summary>One finished operation: when it began and ended, in milliseconds since the run's start.</summary>
internal readonly record struct Sample(
    double StartMs,
    double EndMs,
    bool IsWrite,
    string Key = "",
    bool IsAcknowledged = true
)
{
    public double LatencyMs => EndMs - StartMs;
}

/// <summary>Percentiles of exact samples; the quantile is the nearest rank.</summary>
internal sealed record LatencySummary(int Count, double P50, double P99, double P999, double Max)
{
    public static LatencySummary Of(IEnumerable<Sample> samples)
    {
        var sorted = samples.Select(s => s.LatencyMs).Order().ToArray();
        if (sorted.Length == 0)
            return new(0, 0, 0, 0, 0);
        double At(double q) => sorted[Math.Clamp((int)Math.Ceiling(q * sorted.Length) - 1, 0, sorted.Length - 1)];
        return new(sorted.Length, At(0.5), At(0.99), At(0.999), sorted[^1]);
    }

    public override string ToString() =>
        $"p50 {P50, 7:F2}  p99 {P99, 8:F2}  p99.9 {P999, 8:F2}  max {Max, 8:F2} ms  ({Count:N0} writes)";
}

/// <summary>A line of blocks, one for each slice of time, on a logarithmic scale.</summary>
internal static class Sparkline
{
    private const string Blocks = "▁▂▃▄▅▆▇█";

    public static string Of(IReadOnlyList<double> values)
    {
        var known = values.Where(v => v > 0).ToArray();
        if (known.Length == 0)
            return "";
        var low = Math.Log(known.Min());
        var high = Math.Log(known.Max());
        var step = high > low ? (Blocks.Length - 1) / (high - low) : 0;
        return string.Concat(values.Select(v => v <= 0 ? ' ' : Blocks[(int)Math.Round((Math.Log(v) - low) * step)]));
    }

    /// <summary>The p99 of writes in each slice.</summary>
    public static double[] P99(IReadOnlyList<Sample> writes, double fromMs, double toMs, int slices)
    {
        var width = (toMs - fromMs) / slices;
        var result = new double[slices];
        foreach (
            var group in writes
                .Where(s => s.EndMs >= fromMs && s.EndMs < toMs)
                .GroupBy(s => Math.Min(slices - 1, (int)((s.EndMs - fromMs) / width)))
        )
            result[group.Key] = LatencySummary.Of(group).P99;
        return result;
    }
}
