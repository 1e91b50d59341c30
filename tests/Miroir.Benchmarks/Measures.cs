using System.Diagnostics;

namespace Miroir.Benchmarks;

internal static class Measures
{
    /// <summary>The middle one; of an even number, the mean of the two in the middle.</summary>
    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        var half = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    }
}

/// <summary>
/// Time by the clock, and by the processors: the second says more on a machine that is busy otherwise.
/// </summary>
/// <param name="Elapsed">By the clock.</param>
/// <param name="Cpu">Of the processes watched, together.</param>
internal readonly record struct Spent(TimeSpan Elapsed, TimeSpan Cpu)
{
    /// <summary>This process alone.</summary>
    public static Spent Start() => new(Stopwatch.GetElapsedTime(0), Environment.CpuUsage.TotalTime);

    /// <summary>Other processes. Asking for theirs takes a while, which is not to be in the time by the clock.</summary>
    public static Spent Start(params int[] processes)
    {
        var cpu = CpuOf(processes);
        return new(Stopwatch.GetElapsedTime(0), cpu);
    }

    public Spent Now() => Start().Since(this);

    public Spent Now(params int[] processes)
    {
        var now = Stopwatch.GetElapsedTime(0);
        return new Spent(now, CpuOf(processes)).Since(this);
    }

    private static TimeSpan CpuOf(int[] processes) => TimeSpan.FromTicks(processes.Sum(CpuTicks));

    private Spent Since(Spent start) => new(Elapsed - start.Elapsed, Cpu - start.Cpu);

    private static long CpuTicks(int id)
    {
        using var process = Process.GetProcessById(id);
        return process.TotalProcessorTime.Ticks;
    }
}
