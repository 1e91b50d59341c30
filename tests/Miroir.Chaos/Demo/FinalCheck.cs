using Miroir.Chaos.Processes;
using Miroir.Core;
using Miroir.Oracle;
using Miroir.Server.Coordination;
using Miroir.Stores.Sqlite.Native;
using Placement = Miroir.Oracle.Placement;

namespace Miroir.Chaos.Demo;

/// <summary>Every key read back, every store dumped, both held against the history.</summary>
internal static class FinalCheck
{
    private const int Readers = 32;

    /// <param name="Operations">That the history has.</param>
    public sealed record Judgement(int Keys, int Dumped, int Operations, Classification Verdict);

    public static async Task<Judgement> JudgeAsync(
        Cluster cluster,
        DocumentClient client,
        string index,
        History history
    )
    {
        var entries = history.Entries();
        var keys = entries.Select(e => e.Operation.Key).Distinct(StringComparer.Ordinal).ToList();
        Uri[] routers = [.. cluster.Routers.Select(r => new Uri(r.Address))];
        var reads = await ReadAllAsync(client, routers, keys);
        var dump = Dump(cluster, index);
        var owners = Owners(await TableAsync(cluster.Coordinator.Address), index);
        var verdict = Classifier.Classify(history, reads, dump, owners, new CheckerOptions());
        return new(reads.Count, dump.Count, entries.Length, verdict);
    }

    /// <summary>The routing table as the coordinator tells it to a router that knows nothing yet.</summary>
    public static async Task<RoutingTable> TableAsync(string coordinator)
    {
        using var http = new HttpCoordinator(coordinator);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(15));
        return RoutingTable.Empty.Apply(await http.Watch(0, limit.Token));
    }

    private static async Task<List<FinalRead>> ReadAllAsync(
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

    /// <summary>All entries of an index in the shard files of all nodes.</summary>
    public static List<DumpEntry> Dump(Cluster cluster, string index) =>
        [.. cluster.Nodes.SelectMany(node => Dump(node.Name, cluster.NodeFolder(node.Name), index))];

    /// <summary>Read by SQLite itself.</summary>
    private static List<DumpEntry> Dump(string node, string folder, string index)
    {
        List<DumpEntry> entries = [];
        var shards = Path.Combine(folder, "shards", index);
        if (!Directory.Exists(shards))
            return entries;
        foreach (var file in Directory.EnumerateFiles(shards, "*.db").Order(StringComparer.Ordinal))
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

    /// <summary>Who owns a key, by the routes; shards named as the nodes name their files.</summary>
    private static Func<string, Placement?> Owners(RoutingTable table, string index) =>
        key =>
        {
            var route = table.Resolve(index, Key.Of(key).Hash);
            return route.IsValueSome
                ? new Placement(
                    $"{route.Value.Shard.Generation}-{route.Value.Shard.Shard}",
                    route.Value.Owners,
                    Quorum.write(route.Value.Owners.Length)
                )
                : null;
        };
}
