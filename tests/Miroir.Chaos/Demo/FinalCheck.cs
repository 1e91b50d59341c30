using System.Text.Json;
using Miroir.Core;
using Miroir.Oracle;
using Miroir.Stores.Sqlite.Native;
using Placement = Miroir.Oracle.Placement;

namespace Miroir.Chaos.Demo;

/// <summary>Every key read back, every store dumped, both held against the history.</summary>
internal static class FinalCheck
{
    private const int Readers = 32;

    public static async Task<List<FinalRead>> ReadAllAsync(
        DocumentClient client,
        Uri[] routers,
        IReadOnlyCollection<string> keys
    )
    {
        List<FinalRead> reads = [];
        await Parallel.ForEachAsync(
            keys.Select((key, i) => (key, i)),
            new ParallelOptions { MaxDegreeOfParallelism = Readers },
            async (item, _) =>
            {
                var reply = await client.ReadAsync(() => routers[item.i % routers.Length], item.key);
                lock (reads)
                    reads.Add(new FinalRead(item.key, reply));
            }
        );
        return reads;
    }

    /// <summary>All entries of all shard files under a node's folder, read by SQLite itself.</summary>
    public static List<DumpEntry> Dump(string node, string folder)
    {
        List<DumpEntry> entries = [];
        var shards = Path.Combine(folder, "shards");
        if (!Directory.Exists(shards))
            return entries;
        foreach (
            var file in Directory
                .EnumerateFiles(shards, "*.db", SearchOption.AllDirectories)
                .Order(StringComparer.Ordinal)
        )
        {
            using var database = Database.Open(file, new DatabaseOptions { Access = DatabaseAccess.ReadOnly });
            using var rows = database.Prepare(
                "SELECT e.key, e.term, e.clock, e.deleted, b.body FROM entries e LEFT JOIN bodies b ON b.id = e.body"
            );
            var shard = Path.GetFileNameWithoutExtension(file);
            while (rows.Step())
                entries.Add(
                    new DumpEntry(
                        node,
                        shard,
                        System.Text.Encoding.UTF8.GetString(rows.Text(0)),
                        DumpVersion.Of((ulong)rows.Int64(1), (ulong)rows.Int64(2)),
                        rows.Int64(3) != 0 ? null : DocumentClient.Fields(rows.Text(4).ToArray())
                    )
                );
        }

        return entries;
    }

    /// <summary>Who owns a key, from the routes as they are now; shards named as the nodes name their files.</summary>
    public static Func<string, Placement> Owners(JsonElement cluster, JsonElement routes, string index)
    {
        var info = cluster
            .GetProperty("indexes")
            .EnumerateArray()
            .Single(i => i.GetProperty("uid").GetString() == index);
        var layout = info.GetProperty("layout");
        var generation = layout.GetProperty("generation").GetInt32();
        var count = layout.GetProperty("shardCount").GetInt32();
        var owners = routes
            .GetProperty("results")
            .EnumerateArray()
            .Where(r => r.GetProperty("generation").GetInt32() == generation)
            .ToDictionary(
                r => r.GetProperty("shard").GetInt32(),
                r => r.GetProperty("owners").EnumerateArray().Select(o => o.GetString()!).ToArray()
            );
        return key =>
        {
            var shard = Layout.shardOf(count, Key.Of(key).Hash);
            return new Placement($"{generation}-{shard}", owners[shard], Quorum.write(owners[shard].Length));
        };
    }
}
