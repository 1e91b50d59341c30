using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Coordination;
using Miroir.Runtime.Nodes;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>What passes need of the world: the table, nodes and routers behind it, time, and the leader's record.</summary>
internal sealed class EntropyWorld(
    Catalog catalog,
    INodeDirectory nodes,
    IRouterDirectory routers,
    TimeProvider time,
    IEntropy entropy,
    EntropyOptions options
)
{
    public Catalog Catalog => catalog;

    public RoutingTable Table => catalog.Table;

    public TimeProvider Time => time;

    public IEntropy Entropy => entropy;

    public EntropyOptions Options => options;

    /// <summary>How long, and how often, nodes and writers are asked.</summary>
    public Patience Patience { get; } = options.Patience(time, entropy);

    public long NowUnixMs => time.GetUtcNow().ToUnixTimeMilliseconds();

    /// <exception cref="PassEndedException">The metadata know no such node.</exception>
    public INode Node(string name) =>
        Table.TryNode(name) is { IsValueSome: true, Value: var node }
            ? nodes.Get(name, node.Address)
            : throw new PassEndedException($"no node '{name}' is known");

    public string AddressOf(string name) =>
        Table.TryNode(name) is { IsValueSome: true, Value: var node } ? node.Address : "";

    public SourceReplica SourceOf(Replica replica, Guid incarnation) =>
        new(replica.Node, AddressOf(replica.Node), replica.Store, incarnation);

    public IRouterPeer? Router(string name) =>
        Table.TryRouter(name) is { IsValueSome: true, Value: var router }
            ? routers.Get(router.Name, router.Address)
            : null;

    public Route? RouteOf(ShardId shard) =>
        Table.TryRoute(shard) is { IsValueSome: true, Value: var route } ? route : null;

    public ReplicaGroup Group(Route route, Replica[] replicas, PassMeter meter, CancellationToken cancel) =>
        new(
            Array.ConvertAll(replicas, replica => new Participant(replica, route.Stamp, Node(replica.Node))),
            options,
            meter,
            time,
            entropy,
            cancel
        );

    /// <summary>One call with a limit; UnreachableException where no answer came in time.</summary>
    public Task<T> AskAsync<T>(string peer, Func<CancellationToken, Task<T>> ask, CancellationToken cancel) =>
        Patience.Ask(peer, ask, cancel);

    /// <summary>
    /// Has a node reconcile a store from others, to the end: the last progress, or null and why not. A node that tells no
    /// progress for the limit of a call is given up.
    /// </summary>
    public async Task<(ReconcileProgress? Done, string Why)> ReconcileAsync(
        string name,
        ReconcileCommand command,
        CancellationToken cancel
    )
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(options.CallTimeoutMs), time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            await foreach (var reply in Node(name).Reconcile(command, both.Token).WithCancellation(both.Token))
            {
                limit.CancelAfter(TimeSpan.FromMilliseconds(options.CallTimeoutMs));
                if (reply is not ReconcileReply.Progress { Item: var progress })
                    return (null, $"{reply}");
                if (progress.IsComplete)
                    return (progress, "");
            }

            return (null, "the node ended its answer early");
        }
        catch (UnreachableException e)
        {
            return (null, e.Message);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return (null, $"{name} told no progress within {options.CallTimeoutMs} ms");
        }
    }
}
