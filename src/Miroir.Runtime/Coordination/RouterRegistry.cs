using System.Collections.Concurrent;
using System.Text;
using Miroir.Core;

namespace Miroir.Runtime.Coordination;

/// <summary>Which router incarnations live, by their heartbeats. Kept in memory: a new leader hears them again.</summary>
internal sealed class RouterRegistry(TimeProvider time, CoordinatorOptions options)
{
    private const int MaxReplaced = 64;

    private readonly record struct Sighting(long Incarnation, long At, bool IsGone);

    private readonly ConcurrentDictionary<string, Sighting> _seen = new(StringComparer.Ordinal);
    private readonly long _startedAt = time.GetTimestamp();

    private readonly ConcurrentDictionary<string, ConcurrentQueue<long>> _replaced = new(StringComparer.Ordinal);

    /// <summary>That start of the router is over for good: a late registration of it must not depose the newer one.</summary>
    public void Replace(string name, long incarnation)
    {
        var starts = _replaced.GetOrAdd(name, _ => new());
        starts.Enqueue(incarnation);
        while (starts.Count > MaxReplaced)
            starts.TryDequeue(out _);
    }

    public bool IsReplaced(string name, long incarnation) =>
        _replaced.TryGetValue(name, out var starts) && starts.Contains(incarnation);

    public void Hear(string name, long incarnation) => _seen[name] = new(incarnation, time.GetTimestamp(), false);

    /// <summary>Its port is closed, or another start answers there. Should it be heard again, it lives.</summary>
    public void Miss(string name, long incarnation)
    {
        if (_seen.TryGetValue(name, out var seen) && seen.Incarnation == incarnation)
            _seen.TryUpdate(name, seen with { IsGone = true }, seen);
    }

    public bool IsLive(string name, long incarnation) =>
        _seen.TryGetValue(name, out var seen)
        && seen.Incarnation == incarnation
        && !seen.IsGone
        && time.GetElapsedTime(seen.At).TotalMilliseconds <= options.RouterSilenceMs;

    /// <summary>
    /// False while a writer is to be left alone: it lives, or this leader is too young to have heard of it.
    /// </summary>
    public bool IsSuspect(Writer writer)
    {
        if (IsLive(writer.Router, writer.Incarnation))
            return false;

        // A newer incarnation is proof that the older one is gone, a closed port as good as one; silence only after the
        // grace.
        var isKnownGone =
            _seen.TryGetValue(writer.Router, out var seen) && (seen.IsGone || seen.Incarnation != writer.Incarnation);
        var hadTime = time.GetElapsedTime(_startedAt).TotalMilliseconds > options.GraceMs;
        return writer.IsNone || isKnownGone || hadTime;
    }

    /// <summary>The live router that a shard's writes go to: the best by rendezvous hashing, so that shards spread.</summary>
    public RouterInfo? Choose(ShardId shard, IReadOnlyList<RouterInfo> routers)
    {
        RouterInfo? best = null;
        ulong bestScore = 0;
        foreach (var router in routers.Where(r => IsLive(r.Name, r.Incarnation)))
        {
            var name = Encoding.UTF8.GetBytes($"{router.Name}|{shard.Index}|{shard.Shard}");
            var score = XxHash64.hash(0x777269746572UL, name);
            if (best is null || score > bestScore)
            {
                best = router;
                bestScore = score;
            }
        }

        return best;
    }
}
