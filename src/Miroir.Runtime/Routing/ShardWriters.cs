using Miroir.Core;

namespace Miroir.Runtime.Routing;

/// <summary>The shards that this incarnation writes for, as the table names them.</summary>
internal sealed class ShardWriters(RouterContext context)
{
    private const int SettleEveryMs = 1_000;
    private const int SettleAtOnce = 64;
    private readonly Lock _lock = new();
    private readonly Dictionary<ShardId, ShardWriter> _writers = [];

    /// <summary>Called with each change of the table, in order.</summary>
    public void OnChange(IReadOnlyList<Route> routes, IReadOnlyList<ShardId> removed)
    {
        foreach (var shard in removed)
        {
            if (Take(shard) is { } gone)
            {
                gone.Abandon();
            }
        }
        foreach (var changed in routes)
        {
            // What the table holds by now may be newer than what the update brought.
            var route = context.Table.TryRoute(changed.Shard);
            if (route.IsValueSome)
            {
                Follow(route.Value);
            }
        }
    }

    /// <summary>The writer of a route that names this incarnation; null where it may not write (yet, or any more).</summary>
    public ShardWriter? Find(Route route) => Of(route.Shard);

    /// <summary>The newest writer that this incarnation has been of the shard, unless another router's term has begun.</summary>
    public ShardWriter? Of(ShardId shard)
    {
        lock (_lock)
        {
            return _writers.GetValueOrDefault(shard);
        }
    }

    public void CloseAll()
    {
        foreach (var writer in All())
        {
            writer.Close();
        }
    }

    public ShardWriter[] All()
    {
        lock (_lock)
        {
            return [.. _writers.Values];
        }
    }

    /// <summary>Now and then sends again what was issued and never acknowledged, so that little of it is kept.</summary>
    public async Task SettleAsync(CancellationToken stop)
    {
        while (await context.DelayAsync(TimeSpan.FromMilliseconds(SettleEveryMs), stop))
        {
            await Task.WhenAll(
                All()
                    .Where(static writer => writer.Versions.UnsettledCount > 0)
                    .Select(writer => writer.SettleSomeAsync(SettleAtOnce, stop))
            );
        }
    }

    private void Follow(Route route)
    {
        ShardWriter? writer;
        lock (_lock)
        {
            writer = _writers.GetValueOrDefault(route.Shard);
        }
        writer?.Advance(route);
        if (writer is { IsCurrent: true })
        {
            return;
        }
        var isOurs = !route.Stage.IsRetired && context.IsWriterOf(route);
        lock (_lock)
        {
            if (isOurs)
            {
                writer = new ShardWriter(context, route);
                _writers[route.Shard] = writer;
            }
            else
            {
                _writers.Remove(route.Shard);
            }
        }
        if (isOurs)
        {
            _ = writer!.ActivateAsync();
        }
    }

    private ShardWriter? Take(ShardId shard)
    {
        lock (_lock)
        {
            return _writers.Remove(shard, out var writer) ? writer : null;
        }
    }
}
