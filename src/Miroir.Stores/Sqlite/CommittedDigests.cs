using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// What the writing connection of a shard's file has committed of its leaf digests, in memory. Whoever holds
/// <see cref="Moment"/> sees values that no commit changes, on the disk as little as here: a snapshot begun meanwhile
/// belongs to them.
/// </summary>
internal sealed class CommittedDigests(HashRange range)
{
    public Lock Moment { get; } = new();

    /// <summary>Guarded by <see cref="Moment"/>, but for the one thread that writes.</summary>
    public LeafDigests Leaves { get; } = new(range);

    /// <summary>Tombstones below it may have been purged. Guarded likewise.</summary>
    public DocumentVersion Floor { get; set; } = DocumentVersion.Zero;

    /// <summary>The digests of the ranges, of the moment in which the reader's snapshot begins.</summary>
    public (DocumentVersion Floor, RangeDigest[] Digests) Of(HashRange[] ranges, ShardReader reader)
    {
        var digests = new RangeDigest[ranges.Length];
        var cut = new List<(int Position, HashRange Part)>();
        DocumentVersion floor;
        lock (Moment)
        {
            floor = Floor;
            for (var i = 0; i < ranges.Length; i++)
            {
                (digests[i], var parts) = Leaves.Cover(ranges[i]);
                foreach (var part in parts)
                    cut.Add((i, part));
            }

            if (cut.Count == 0)
                return (floor, digests);
            reader.BeginSnapshot();
        }

        try
        {
            foreach (var (position, part) in cut)
                digests[position] += reader.DigestOf(part);
            return (floor, digests);
        }
        finally
        {
            reader.End();
        }
    }
}
