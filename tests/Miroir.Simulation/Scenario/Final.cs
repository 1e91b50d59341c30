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
                .Where(store => !found.Contains(store))
                .Order(StringComparer.Ordinal)
                .Select(s => $"{s} is missing"),
        ];
    }

    /// <summary>Answers how many documents are lost, stale or resurrected.</summary>
    public static int Judge(SimIndex index, IReadOnlyList<FinalRead> reads, SimCluster cluster, Findings findings)
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
        return classes.Wrong.Count(document =>
            document.Value.Any(c => c is DocumentClass.Lost or DocumentClass.Stale or DocumentClass.Resurrected)
        );
    }

    /// <summary>The newest of what any store has, by document.</summary>
    public static IReadOnlyDictionary<string, DumpEntry> Newest(string index, SimCluster cluster) =>
        Dump(index, cluster)
            .GroupBy(entry => entry.Key, StringComparer.Ordinal)
            .ToDictionary(
                entries => entries.Key,
                entries => entries.MaxBy(entry => (entry.Version.Term, entry.Version.Clock))!,
                StringComparer.Ordinal
            );

    public static RoutingTable Table(SimCluster cluster)
    {
        IndexInfo[] indexes =
        [
            .. cluster.Metadata.Read(CatalogKeys.Indexes).Select(entry => Codec.indexOfBytes(entry.Value!)),
        ];
        NodeInfo[] nodes =
        [
            .. cluster.Metadata.Read(CatalogKeys.Nodes).Select(entry => Codec.nodeOfBytes(entry.Value!)),
        ];
        return RoutingTable.Empty.Apply(
            new TableUpdate(1, true, indexes, [], [.. cluster.Routes()], [], nodes, [], [], [])
        );
    }

    private static List<DumpEntry> Dump(string index, SimCluster cluster) =>
        [
            .. cluster.Disks.SelectMany(disk =>
                disk.Value.Documents(index)
                    .Select(found => new DumpEntry(
                        disk.Key,
                        found.Store.ToString(),
                        found.Document.Key.Text,
                        DumpVersion.Of((ulong)found.Document.Version.Term, (ulong)found.Document.Version.Clock),
                        found.Document.IsTombstone ? null : SimClient.FieldsOf(found.Document.Body)
                    ))
            ),
        ];

    private static MemoryNodeStore Open(MemoryDisk disk) => new(new Ports.SeededEntropy(0), disk);

    private static StoreStatus[] Stores(MemoryDisk disk) => Open(disk).Stores(CancellationToken.None).Result;
}
