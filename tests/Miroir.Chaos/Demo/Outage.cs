using System.Globalization;
using System.Text.Json;
using Miroir.Core;

namespace Miroir.Chaos.Demo;

/// <summary>How long the shards of a router that was killed took no writes, as its clients saw it.</summary>
internal sealed class Outage
{
    /// <summary>Nobody is written off for longer than an operation may last.</summary>
    private const double WindowMs = 15_000;

    private readonly List<(ulong Lo, ulong Last)> _ranges = [];
    private double _killedMs;

    /// <summary>To be called right before the kill. What the victim writes for is what the routes name it for.</summary>
    public static Outage Of(string victim, JsonElement routes, double nowMs)
    {
        var outage = new Outage { _killedMs = nowMs };
        foreach (var route in routes.GetProperty("results").EnumerateArray())
        {
            var isServed = route.GetProperty("stage").GetString() != "Retired";
            if (isServed && route.GetProperty("writer").GetProperty("router").GetString() == victim)
                outage._ranges.Add((Hash(route, "lo"), Hash(route, "last")));
        }
        return outage;
    }

    private static ulong Hash(JsonElement route, string end) =>
        ulong.Parse(
            route.GetProperty("range").GetProperty(end).GetString()!,
            NumberStyles.AllowHexSpecifier,
            CultureInfo.InvariantCulture
        );

    /// <summary>For each shard, the longest time between two acknowledged writes that ended after the kill began.</summary>
    private IEnumerable<double> Gaps(IReadOnlyList<Sample> samples)
    {
        var acknowledged = samples
            .Where(s => s.IsWrite && s.IsAcknowledged && s.EndMs < _killedMs + WindowMs)
            .Select(s => (Key.Of(s.Key).Hash, s.EndMs))
            .OrderBy(s => s.EndMs)
            .ToList();
        foreach (var (lo, last) in _ranges)
        {
            var ends = acknowledged.Where(s => s.Hash >= lo && s.Hash <= last).Select(s => s.EndMs).ToList();
            var gaps = ends.Zip(ends.Skip(1))
                .Where(gap => gap.Second >= _killedMs)
                .Select(gap => gap.Second - gap.First);
            yield return gaps.DefaultIfEmpty(WindowMs).Max();
        }
    }

    public string Describe(IReadOnlyList<Sample> samples)
    {
        var gaps = Gaps(samples).Order().ToList();
        return gaps.Count == 0
            ? "the victim wrote for no shard"
            : $"its {gaps.Count} shards took no writes for {gaps[^1]:F0} ms at the longest ({gaps[gaps.Count / 2]:F0} ms in the middle), between two acknowledged writes";
    }
}
