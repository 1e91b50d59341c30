using Miroir.Core;

namespace Miroir.Runtime.Routing;

/// <summary>Part of an index's hash space in which all keys go to the same replicas.</summary>
internal readonly record struct Segment(Route Route, HashRange Range)
{
    public KeyPlan Plan => Route.Plan(Range.Lo);

    /// <summary>The segment that a hash is in; null where its shard has no route yet.</summary>
    public static Segment? At(RoutingTable table, string index, ulong hash)
    {
        var resolved = table.Resolve(index, hash);
        if (resolved.IsValueNone)
        {
            return null;
        }
        var route = resolved.Value;
        var range = route.Range;
        var target = route.TargetOf(hash);
        if (target.IsValueSome && range.Intersect(target.Value.Range) is { IsValueSome: true, Value: var part })
        {
            range = part;
        }
        // A retired shard's keys are served by several routes, and a merged shard's by one that is wider than the
        // shard itself, the rest of which others may still serve: never look beyond the layout's own shard.
        var info = table.TryIndex(index).Value;
        var count = info.Layout.ShardCount;
        var shard = Layout.range(count, Layout.shardOf(count, hash));
        return range.Intersect(shard) is { IsValueSome: true, Value: var own } ? new Segment(route, own) : null;
    }

    /// <summary>All of an index, in hash order; null where a shard has no route yet.</summary>
    public static List<Segment>? All(RoutingTable table, string index)
    {
        var all = new List<Segment>();
        var hash = 0UL;
        do
        {
            if (At(table, index, hash) is not { } segment)
            {
                return null;
            }
            all.Add(segment);
            hash = segment.Range.Hi;
        } while (hash != 0);
        return all;
    }
}
