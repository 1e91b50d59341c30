using Miroir.Core;
using Miroir.Stores.Sqlite;
using Miroir.Stores.Sqlite.Native;
using Miroir.Stores.Tests.Conformance;
using static Miroir.Stores.Tests.NodeCalls;

namespace Miroir.Stores.Tests.Crash;

/// <summary>Opens a node's directory with SQLite's own VFS, and compares it with what it has to be.</summary>
internal static class NodeCheck
{
    /// <summary>What is wrong, or null.</summary>
    public static async Task<string?> WrongIn(string folder, NodeExpectation expected)
    {
        var served = new HashSet<string>();
        await using (
            var store = SqliteNodeStore.Open(folder, new() { WriterThreads = 1, Changes = NodeScript.Retention })
        )
        {
            if (expected.NodeId is { } id && id != store.NodeId)
                return $"the node was {id}, and is {store.NodeId}";
            var statuses = (await store.Stores(CancellationToken.None)).ToDictionary(status => status.Store.Shard);
            for (var shard = 0; shard < expected.Shards.Length; shard++)
            {
                statuses.Remove(shard, out var status);
                var wrong =
                    expected.Shards[shard].Contradiction ?? await WrongIn(store, shard, status, expected.Shards[shard]);
                if (wrong is not null)
                    return $"shard {shard}: {wrong}";
                if (status is not null)
                    served.Add(Path.Combine(folder, "shards", "movies", $"1-{shard}.db"));
            }

            if (statuses.Count > 0)
                return $"there are stores that nobody made: {string.Join(' ', statuses.Keys)}";
        }

        if (Integrity(Path.Combine(folder, "node.db")) is { } broken)
            return $"node.db: {broken}";
        var shards = Path.Combine(folder, "shards");
        var files = Directory.Exists(shards)
            ? Directory.EnumerateFiles(shards, "*", SearchOption.AllDirectories).ToArray()
            : [];
        foreach (var file in files)
        {
            var wrong = served.Contains(file) ? WrongInFile(file) : "it is left over";
            if (wrong is not null)
                return $"{Path.GetRelativePath(folder, file)}: {wrong}";
        }

        return null;
    }

    private static async Task<string?> WrongIn(
        SqliteNodeStore store,
        int shard,
        StoreStatus? status,
        ShardExpectation expected
    )
    {
        var told = await store.ReadOne(shard, 0, "0") as ReadReply.ReadStaleEpoch;
        var epoch = told?.Epoch ?? 0;
        if (epoch < expected.LowestEpoch || epoch > expected.HighestEpoch)
            return $"the barrier stands at {epoch}, not within {expected.LowestEpoch} to {expected.HighestEpoch}";
        var route = told?.Route?.Value;
        if ((route?.Epoch ?? 0) < expected.LowestRouteEpoch)
            return $"the barrier tells route {route?.Epoch}, where {expected.LowestRouteEpoch} was confirmed";
        if (route is not null && !route.Equals(StoreUniverse.RouteAt(shard, (int)route.Epoch)))
            return $"the barrier tells a route that is not the one of epoch {route.Epoch}";

        if (status is null)
            return expected.MayBeGone ? null : "its store is lost";
        if (status.Health != StoreHealth.Serving)
            return $"its store is {status.Health}";
        if (!expected.MayBeThere)
            return "its store is there, and was dropped or never made";
        if (expected.Incarnation is { } incarnation && incarnation != status.Incarnation)
            return $"its store was incarnation {incarnation}, and is {status.Incarnation}";

        var scan = new ScanCommand(Stamp(shard, epoch), Shard(shard), HashRange.Full, null, 1000, 1 << 30, true);
        var reply = await store.ScanPage(scan, CancellationToken.None);
        if (reply is not ScanReply.Page page)
            return $"it can't be read: {reply}";
        var documents = page.Item.Entries.Select((_, i) => page.Item.Document(i)).ToArray();
        var tombstones = documents.Count(document => document.IsTombstone);
        if (status.Tombstones != tombstones || status.Documents != documents.Length - tombstones)
            return $"it counts {status.Documents} documents and {status.Tombstones} tombstones, and has {documents.Length - tombstones} and {tombstones}";
        return expected.WrongIn(documents) ?? expected.Log.WrongIn(await store.WholeLog(shard, epoch));
    }

    private static string? WrongInFile(string file)
    {
        if (!file.EndsWith(".db", StringComparison.Ordinal))
            return "it is left over";
        if (Integrity(file) is { } broken)
            return broken;
        using var database = Database.Open(file, new() { Access = DatabaseAccess.ReadOnly });
        foreach (
            var (what, count) in new[]
            {
                (
                    "entries whose body is not there",
                    "entries WHERE deleted = 0 AND body NOT IN (SELECT id FROM bodies)"
                ),
                ("entries that are deleted and have a body", "entries WHERE (deleted = 0) <> (body IS NOT NULL)"),
                ("bodies of no entry", "bodies WHERE id NOT IN (SELECT body FROM entries WHERE body IS NOT NULL)"),
                ("counters that don't agree with the log", "counters WHERE changes <> (SELECT count(*) FROM changes)"),
                (
                    "counters that don't agree with the bodies",
                    "counters WHERE body_bytes <> (SELECT coalesce(sum(length(CAST(body AS BLOB))), 0) FROM bodies)"
                ),
            }
        )
        {
            if (database.QueryInt64($"SELECT count(*) FROM {count}") is not 0)
                return $"there are {what}";
        }

        return WrongInDigests(database);
    }

    /// <summary>Each leaf's stored digest against the sum over its entries.</summary>
    private static string? WrongInDigests(Database database)
    {
        var sums = new SortedDictionary<long, RangeDigest>();
        using (var entries = database.Prepare("SELECT key, term, clock, deleted, digest FROM entries"))
        {
            while (entries.Step())
            {
                var leaf = DigestGrid.leafOf(Key.OfBytes(entries.Text(0)).Hash);
                sums[leaf] = sums.GetValueOrDefault(leaf) + LeafTable.DigestOf(entries);
            }
        }

        using var rows = database.Prepare("SELECT sum_a, sum_b, entries, leaf FROM leaf_digests");
        while (rows.Step())
        {
            var leaf = rows.Int64(3);
            if (!sums.Remove(leaf, out var sum) || !sum.Equals(LeafTable.DigestIn(rows)))
                return $"the digest of leaf {leaf} is {LeafTable.DigestIn(rows)}, and its entries' is {sum}";
        }

        return sums.Count == 0 ? null : $"leaves {string.Join(' ', sums.Keys)} have entries and no digest";
    }

    private static string? Integrity(string file)
    {
        using var database = Database.Open(file, new() { Access = DatabaseAccess.ReadOnly });
        var result = database.QueryText("PRAGMA integrity_check");
        return result == "ok" ? null : $"integrity_check says {result}";
    }
}
