using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Coordination;

/// <summary>Asks every node how it is, and says what is wrong with the cluster.</summary>
internal sealed class ClusterReport(
    Catalog catalog,
    INodeDirectory nodes,
    RouterRegistry routers,
    TimeProvider time,
    CoordinatorOptions options
)
{
    /// <summary>A node's status, or why it gave none.</summary>
    public async Task<(NodeStatus? Status, double LatencyMs, string Error)> AskAsync(
        NodeInfo node,
        CancellationToken cancel
    )
    {
        var started = time.GetTimestamp();
        try
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(options.StatusTimeoutMs), time);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
            var status = await nodes.Get(node.Name, node.Address).Status(both.Token);
            var latencyMs = time.GetElapsedTime(started).TotalMilliseconds;
            return status.Name == node.Name
                ? (status, latencyMs, "")
                : (null, latencyMs, $"the node at {node.Address} calls itself '{status.Name}', not '{node.Name}'");
        }
        catch (UnreachableException e)
        {
            return (null, 0, e.Message);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return (null, 0, $"no answer within {options.StatusTimeoutMs} ms");
        }
    }

    private async Task<NodeView> ViewAsync(NodeInfo node, CancellationToken cancel)
    {
        var (status, latencyMs, error) = await AskAsync(node, cancel);
        var state =
            status is null ? "Down"
            : node.Role.IsDraining ? "Draining"
            : status.LastError != "" ? "Degraded"
            : "Healthy";
        return new NodeView(
            node.Name,
            node.Address,
            node.Zone,
            node.Role.ToString(),
            state,
            node.Weight,
            node.CapacityBytes,
            status?.Stores.Length ?? -1,
            status?.Stores.Sum(s => s.Documents) ?? 0,
            status?.Stores.Sum(s => s.Bytes) ?? 0,
            latencyMs,
            status is null ? error : status.LastError
        );
    }

    public async Task<ClusterView> ClusterAsync(CancellationToken cancel)
    {
        var table = catalog.Table;
        var views = await Task.WhenAll(table.Nodes.Select(n => ViewAsync(n, cancel)));
        RouterView[] routerViews =
        [
            .. table.Routers.Select(r => new RouterView(
                r.Name,
                r.Address,
                r.Incarnation,
                routers.IsLive(r.Name, r.Incarnation) ? "Live" : "Silent",
                table.Routes.Count(route => !route.Stage.IsRetired && route.Writer.Is(r.Name, r.Incarnation))
            )),
        ];
        List<string> problems = [];
        problems.AddRange(
            views.Where(v => v.State is "Down" or "Degraded").Select(v => $"node {v.Name} is {v.State}: {v.LastError}")
        );
        if (views.Length == 0)
            problems.Add("there are no nodes: 'nodes add --node NAME --address URL' adds one");
        if (routerViews.All(r => r.State != "Live"))
            problems.Add("no router lives: nothing can be written");
        var orphaned = table.Routes.Count(r =>
            !r.Stage.IsRetired && !routers.IsLive(r.Writer.Router, r.Writer.Incarnation)
        );
        if (orphaned > 0)
            problems.Add($"{orphaned} shards have no live writer");
        return new ClusterView(
            problems.Count == 0,
            views,
            routerViews,
            table.Indexes,
            [.. problems],
            catalog.Term,
            table.Revision
        );
    }
}
