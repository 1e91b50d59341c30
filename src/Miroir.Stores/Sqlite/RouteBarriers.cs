using System.Collections.Concurrent;
using Miroir.Core;

namespace Miroir.Stores.Sqlite;

/// <summary>Every barrier that the node was ever told of.</summary>
internal sealed class RouteBarriers
{
    private readonly ConcurrentDictionary<ShardId, RouteBarrier> _byShard = new();
    private int _order;

    public RouteBarrier Of(ShardId shard) =>
        _byShard.TryGetValue(shard, out var barrier)
            ? barrier
            : _byShard.GetOrAdd(shard, id => new RouteBarrier(id, Interlocked.Increment(ref _order)));

    /// <summary>Only a fault does this.</summary>
    public bool Forget(ShardId shard) => _byShard.TryRemove(shard, out _);
}
