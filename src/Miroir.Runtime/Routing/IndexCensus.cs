using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Routing;

/// <summary>Numbers of an index from what its nodes tell of their stores.</summary>
internal static class IndexCensus
{
    /// <summary>The status of every node that holds a shard of the index and answers in time.</summary>
    public static async Task<IReadOnlyDictionary<string, NodeStatus>> AskAsync(
        RouterContext context,
        string index,
        CancellationToken cancel
    )
    {
        using var limit = new CancellationTokenSource(
            TimeSpan.FromMilliseconds(context.Options.AttemptTimeoutMs),
            context.Time
        );
        using var link = cancel.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), limit);
        var names = (Segment.All(context.Table, index) ?? [])
            .SelectMany(static segment => segment.Plan.Quorums.SelectMany(static set => set))
            .Select(static replica => replica.Node)
            .Distinct(StringComparer.Ordinal)
            .ToArray();
        var answers = await Task.WhenAll(names.Select(AskOneAsync));
        var statuses = new Dictionary<string, NodeStatus>(StringComparer.Ordinal);
        for (var i = 0; i < names.Length; i++)
        {
            if (answers[i] is { } status)
            {
                statuses.Add(names[i], status);
            }
        }
        return statuses;

        async Task<NodeStatus?> AskOneAsync(string name)
        {
            try
            {
                return context.Node(name) is { } node ? await node.Status(limit.Token) : null;
            }
            catch (Exception) when (!cancel.IsCancellationRequested)
            {
                context.Counters.Unanswered();
                return null;
            }
        }
    }

    /// <summary>Throws where no node of a shard answered.</summary>
    public static IndexStatistics Of(RoutingTable table, string index, IReadOnlyDictionary<string, NodeStatus> statuses)
    {
        var counted = new HashSet<ShardId>();
        var documents = 0L;
        var bytes = 0L;
        var isMoving = false;
        foreach (var segment in Segment.All(table, index) ?? [])
        {
            var route = segment.Route;
            isMoving |=
                route.Targets.Length > 0 || route.Shard.Generation != table.TryIndex(index).Value.Layout.Generation;
            var replicas = segment.Plan.Eventual;
            if (!counted.Add(replicas[0].Store))
            {
                continue;
            }
            var stores = replicas
                .Select(replica => Find(replica, statuses))
                .Where(static store => store is not null)
                .ToArray();
            if (stores.Length == 0)
            {
                throw new ScanInterruptedException($"no node of shard {route.Shard} answered", "", null);
            }
            // A replica that lags has fewer; none has documents that are not there.
            documents += stores.Max(static store => store!.Documents);
            bytes += stores.Max(static store => store!.Bytes);
        }
        return new IndexStatistics(documents, bytes, isMoving);
    }

    /// <summary>Live documents of a segment, where all its stores hold just that segment and say the same.</summary>
    public static long? AgreedCount(Segment segment, IReadOnlyDictionary<string, NodeStatus> statuses)
    {
        long? agreed = null;
        foreach (var set in segment.Plan.Quorums)
        {
            foreach (var replica in set)
            {
                var store = Find(replica, statuses);
                if (
                    store is null
                    || !store.Range.Equals(segment.Range)
                    || (agreed is { } known && known != store.Documents)
                )
                {
                    return null;
                }
                agreed = store.Documents;
            }
        }
        return agreed;
    }

    private static StoreStatus? Find(Replica replica, IReadOnlyDictionary<string, NodeStatus> statuses) =>
        statuses.TryGetValue(replica.Node, out var status)
            ? Array.Find(status.Stores, store => store.Store.Equals(replica.Store))
            : null;
}
