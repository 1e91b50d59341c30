using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Routing;

namespace Miroir.Runtime.Feed;

/// <summary>How far the feeds of shards are settled, as their writers say.</summary>
internal sealed class FeedBounds(RouterContext context, ShardWriters writers, IRouterDirectory routers)
{
    /// <summary>What this router says as the shards' writer, in their order.</summary>
    public FeedBound[] Own(IReadOnlyList<ShardId> shards) =>
        [.. shards.Select(shard => writers.Of(shard)?.Bound() ?? FeedBound.NotTheWriter)];

    /// <summary>One question to each router that writes for any of these routes; who does not answer is left out.</summary>
    public async Task<IReadOnlyDictionary<ShardId, FeedBound.Bound>> AskAsync(
        RoutingTable table,
        IEnumerable<Route> routes,
        CancellationToken cancel
    )
    {
        var asked = routes
            .DistinctBy(static route => route.Shard)
            .GroupBy(static route => route.Writer.Router, StringComparer.Ordinal)
            .Select(group => (Router: group.Key, Shards: group.Select(static route => route.Shard).ToArray()))
            .ToArray();
        var answers = await Task.WhenAll(asked.Select(one => AskOneAsync(table, one.Router, one.Shards, cancel)));
        var bounds = new Dictionary<ShardId, FeedBound.Bound>();
        for (var i = 0; i < asked.Length; i++)
        {
            foreach (var (shard, answer) in asked[i].Shards.Zip(answers[i]))
            {
                if (answer is FeedBound.Bound bound)
                {
                    bounds.Add(shard, bound);
                }
            }
        }
        return bounds;
    }

    private async Task<FeedBound[]> AskOneAsync(
        RoutingTable table,
        string name,
        ShardId[] shards,
        CancellationToken cancel
    )
    {
        if (name == context.Options.Name)
        {
            return Own(shards);
        }
        if (table.TryRouter(name) is not { IsValueSome: true, Value: var router })
        {
            return [];
        }
        using var limit = new CancellationTokenSource(
            TimeSpan.FromMilliseconds(context.Options.AttemptTimeoutMs),
            context.Time
        );
        using var link = cancel.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), limit);
        try
        {
            return await routers.Get(name, router.Address).FeedBounds(shards, table.Revision, limit.Token);
        }
        catch (Exception) when (!cancel.IsCancellationRequested)
        {
            // It is asked again with the next round, or its successor is.
            return [];
        }
    }
}
