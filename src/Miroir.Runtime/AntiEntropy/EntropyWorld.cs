using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Coordination;

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

    public long NowUnixMs => time.GetUtcNow().ToUnixTimeMilliseconds();

    /// <exception cref="PassEndedException">The metadata know no such node.</exception>
    public INode Node(string name) =>
        Table.TryNode(name) is { IsValueSome: true, Value: var node }
            ? nodes.Get(name, node.Address)
            : throw new PassEndedException($"no node '{name}' is known");

    public string AddressOf(string name) =>
        Table.TryNode(name) is { IsValueSome: true, Value: var node } ? node.Address : "";

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
    public async Task<T> AskAsync<T>(string peer, Func<CancellationToken, Task<T>> ask, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(options.CallTimeoutMs), time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            return await ask(both.Token);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new UnreachableException(peer, $"no answer within {options.CallTimeoutMs} ms");
        }
    }
}
