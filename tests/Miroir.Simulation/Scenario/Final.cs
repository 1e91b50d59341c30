using Miroir.Core;
using Miroir.Oracle;
using Miroir.Runtime.Coordination;
using Miroir.Simulation.Cluster;
using Miroir.Stores.Memory;
using Placement = Miroir.Oracle.Placement;

namespace Miroir.Simulation.Scenario;

/// <summary>What is left when all is over: every store, against the routes and against the history.</summary>
public static class Final
{
    /// <summary>Stores that no route knows, and replicas that have no store.</summary>
    public static IReadOnlyList<string> Misplaced(SimCluster cluster)
    {
        var table = Table(cluster);
        var expected = table
            .Routes.Where(route => !route.Stage.IsRetired)
            .SelectMany(route => route.Owners.Select(owner => $"{owner}:{route.Shard}"))
            .ToHashSet(StringComparer.Ordinal);
        var moving = table
            .Routes.Where(route => !route.Stage.IsOwned)
            .Select(route => $"route {route.Shard} is {route.Stage}");
        // Who lost a target's store while the others of a write quorum certified it stays without: nothing restores it yet.
        bool IsForgiven(string store) =>
            cluster.LostDisks.Any(n => store.StartsWith($"{n}:", StringComparison.Ordinal));
        var found = cluster
            .Disks.SelectMany(disk => Stores(disk.Value).Select(store => $"{disk.Key}:{store.Store}"))
            .ToHashSet(StringComparer.Ordinal);
        return
        [
            .. moving,
            .. found
                .Where(store => !expected.Contains(store))
                .Order(StringComparer.Ordinal)
                .Select(s => $"{s} is left over"),
            .. expected
                .Where(store => !found.Contains(store) && !IsForgiven(store))
                .Order(StringComparer.Ordinal)
                .Select(s => $"{s} is missing"),
        ];
    }

    public static void Judge(SimIndex index, IReadOnlyList<FinalRead> reads, SimCluster cluster, Findings findings)
    {
        var table = Table(cluster);
        Placement? PlacementOf(string key)
        {
            var route = table.Resolve(index.Uid, Key.Of(key).Hash);
            return route.IsValueSome
                ? new Placement(
                    route.Value.Shard.ToString(),
                    route.Value.Owners,
                    Quorum.write(route.Value.Owners.Length)
                )
                : null;
        }

        var classes = Classifier.Classify(
            index.History,
            reads,
            Dump(index.Uid, cluster),
            PlacementOf,
            new CheckerOptions()
        );
        foreach (var each in Enum.GetValues<DocumentClass>())
        {
            if (each != DocumentClass.Fine && classes.Count(each) > 0)
            {
                findings.Count(each.ToString().ToLowerInvariant(), classes.Count(each));
            }
        }
        foreach (var example in classes.Examples)
        {
            findings.Tell(example);
        }
        if (classes.LeftoverTombstones > 0)
        {
            findings.Add("leftover", $"{classes.LeftoverTombstones} tombstones are where they do not belong");
        }
    }

    private static RoutingTable Table(SimCluster cluster)
    {
        IndexInfo[] indexes =
        [
            .. cluster.Metadata.Read(CatalogKeys.Indexes).Select(entry => Codec.indexOfBytes(entry.Value!)),
        ];
        return RoutingTable.Empty.Apply(
            new TableUpdate(1, true, indexes, [], [.. cluster.Routes()], [], [], [], [], [])
        );
    }

    private static List<DumpEntry> Dump(string index, SimCluster cluster)
    {
        List<DumpEntry> dump = [];
        foreach (var (node, disk) in cluster.Disks)
        {
            var store = Open(disk);
            foreach (var status in Stores(disk).Where(s => s.Store.Index == index))
            {
                // Newer than any route: a dump is never stale, and nothing runs behind it.
                var stamp = new RouteStamp(status.Store, long.MaxValue);
                var scan = new ScanCommand(stamp, status.Store, HashRange.Full, null, int.MaxValue, int.MaxValue, true);
                if (store.ScanPage(scan, CancellationToken.None).Result is not ScanReply.Page { Item: var page })
                {
                    continue;
                }
                for (var i = 0; i < page.Entries.Length; i++)
                {
                    var entry = page.Entries[i];
                    dump.Add(
                        new DumpEntry(
                            node,
                            status.Store.ToString(),
                            entry.Key.Text,
                            DumpVersion.Of((ulong)entry.Version.Term, (ulong)entry.Version.Clock),
                            entry.IsTombstone ? null : SimClient.FieldsOf(page.Bodies[i])
                        )
                    );
                }
            }
        }
        return dump;
    }

    private static MemoryNodeStore Open(MemoryDisk disk) => new(new Ports.SeededEntropy(0), disk);

    private static StoreStatus[] Stores(MemoryDisk disk) => Open(disk).Stores(CancellationToken.None).Result;
}
