using Miroir.Core;

namespace Miroir.Stores.Memory;

/// <summary>
/// What outlives a <see cref="MemoryNodeStore"/>: hand it to the next one, and the node has restarted; hand over a
/// new one, and the node has lost its disk. Everything in it is guarded by <see cref="Lock"/>.
/// </summary>
public sealed class MemoryDisk
{
    internal object Lock { get; } = new();
    internal Dictionary<ShardId, MemoryBarrier> Barriers { get; } = [];
    internal Dictionary<ShardId, MemoryShard> Shards { get; } = [];

    /// <summary>
    /// Everything that an index's stores hold, tombstones included, in key order within each store: read past every barrier,
    /// and raising none.
    /// </summary>
    public IReadOnlyList<(ShardId Store, Document Document)> Documents(string index)
    {
        lock (Lock)
        {
            return
            [
                .. Shards
                    .Where(shard => shard.Key.Index == index)
                    .OrderBy(shard => shard.Key.Generation)
                    .ThenBy(shard => shard.Key.Shard)
                    .SelectMany(shard => shard.Value.Documents.Select(document => (shard.Key, document))),
            ];
        }
    }
}

/// <summary>The lowest epoch still admitted for one shard's route, and the newest route that came with a raising.</summary>
internal readonly record struct MemoryBarrier(long Epoch, Route? Told);
