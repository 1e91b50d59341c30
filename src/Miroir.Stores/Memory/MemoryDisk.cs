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

    /// <summary>The session in which each incarnation was opened last: a shard that carries another one is an older copy.</summary>
    private readonly Dictionary<Guid, long> _sessions = [];

    /// <summary>The stores' data as they are now, for <see cref="Restore"/>; a shard's file copied away.</summary>
    public MemoryDisk Copy()
    {
        lock (Lock)
        {
            var copy = new MemoryDisk();
            foreach (var (store, shard) in Shards)
                copy.Shards.Add(store, shard.Copy());
            return copy;
        }
    }

    /// <summary>Puts an older copy of the stores' data in the place of what is there; barriers stay.</summary>
    public void Restore(MemoryDisk older)
    {
        lock (Lock)
        {
            Shards.Clear();
            foreach (var (store, shard) in older.Copy().Shards)
                Shards.Add(store, shard);
        }
    }

    /// <summary>A node starts with it. An older copy of a store's data is set aside: the store is to be filled anew.</summary>
    internal void Open()
    {
        lock (Lock)
        {
            foreach (var (store, shard) in Shards.ToArray())
            {
                var last = _sessions.GetValueOrDefault(shard.Incarnation);
                if (shard.Session != last && !Mutants.olderCopyServes())
                    Shards.Remove(store);
                else
                    shard.Session = _sessions[shard.Incarnation] = last + 1;
            }
        }
    }

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
