using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// Reads a part of a store as it is on the disk, and compares: each body with its digest, each leaf's digest with the sum
/// over its entries. All in one snapshot, so that no write that goes on meanwhile looks like drift.
/// </summary>
internal static class ShardScrub
{
    // Tombstones have no bodies, and the snapshot must not stay open for all of them.
    private const int MaxEntries = 50_000;

    private const string Entries = """
        SELECT e.key, e.term, e.clock, e.deleted, e.digest, b.body, e.hash
        FROM entries e LEFT JOIN bodies b ON b.id = e.body WHERE e.hash >= ?1 ORDER BY e.hash, e.key
        """;

    /// <summary>What was found, drift not counted; and the leaves whose digests have to be looked at by the writer.</summary>
    /// <exception cref="DamagedFileException">An entry stands where its key does not belong.</exception>
    public static (ScrubPart Part, List<int> Suspects) Run(
        Database database,
        LeafDigests committed,
        int fromLeaf,
        long maxBytes
    )
    {
        var from = Math.Clamp(fromLeaf, 0, DigestGrid.Leaves - 1);
        using var rows = database.Prepare(
            "SELECT sum_a, sum_b, entries, leaf FROM leaf_digests WHERE leaf >= ?1 ORDER BY leaf"
        );
        using var entries = database.Prepare(Entries);
        // Rows below the first leaf belong to nobody, and are found by whoever begins at the beginning.
        rows.Bind(1, from == 0 ? long.MinValue : from);
        entries.Bind(1, ShardSchema.ToStored(DigestGrid.rangeOf(from).Lo));
        var hasRow = rows.Step();
        var hasEntry = entries.Step();
        var rotten = new List<RottenEntry>();
        var suspects = new List<int>();
        long seen = 0;
        long bytes = 0;
        while (hasRow || hasEntry)
        {
            var leaf = Math.Min(hasRow ? rows.Int64(3) : long.MaxValue, hasEntry ? LeafOf(entries) : long.MaxValue);
            if (seen > 0 && (bytes >= maxBytes || seen >= MaxEntries))
                return (new ScrubPart((int)leaf, seen, bytes, [.. rotten], 0), suspects);
            var stored = RangeDigest.Zero;
            if (hasRow && rows.Int64(3) == leaf)
            {
                stored = LeafTable.DigestIn(rows);
                hasRow = rows.Step();
            }

            var sum = RangeDigest.Zero;
            for (; hasEntry && LeafOf(entries) == leaf; hasEntry = entries.Step())
            {
                sum += Check(entries, rotten);
                seen++;
                bytes += entries.Text(5).Length;
            }

            var isInStore = leaf >= committed.First && leaf <= committed.Last;
            // What is in memory may be of a later moment: the writer compares again, in a transaction.
            if (!stored.Equals(sum) || !isInStore || !committed[(int)leaf].Equals(sum))
                suspects.Add((int)Math.Clamp(leaf, int.MinValue, int.MaxValue));
        }

        return (new ScrubPart(-1, seen, bytes, [.. rotten], 0), suspects);
    }

    private static RangeDigest Check(Statement entry, List<RottenEntry> rotten)
    {
        var key = Key.OfBytes(entry.Text(0));
        if (key.Hash != ShardSchema.FromStored(entry.Int64(6)))
            throw new DamagedFileException($"the entry of key \"{key}\" stands under a hash that is not the key's");
        var version = new DocumentVersion(entry.Int64(1), entry.Int64(2));
        var recorded = LeafTable.BodyDigest(entry.Blob(4));
        var actual = Digest.OfBody(entry.Text(5));
        if (!actual.Equals(recorded) && !Mutants.bodiesNotScrubbed())
            rotten.Add(new RottenEntry(key, version, recorded, actual));
        return RangeDigest.OfEntry(key, version, entry.Int64(3) != 0, recorded);
    }

    private static int LeafOf(Statement entry) => DigestGrid.leafOf(ShardSchema.FromStored(entry.Int64(6)));
}
