using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;
using Miroir.Runtime.Coordination;
using Miroir.Simulation.Kernel;

namespace Miroir.Simulation.Network;

/// <summary>A node as another process reaches it.</summary>
public sealed class SimNode(SimNetwork network, SimProcess from, string name) : INode
{
    public string Name => name;

    public Task<PutReply[]> Put(IReadOnlyList<PutCommand> commands, CancellationToken cancel) =>
        Call(
            $"put {commands[0].Document} under {commands[0].Stamp}",
            (node, limit) => node.Put(commands, limit),
            cancel
        );

    public Task<ReadReply[]> Read(IReadOnlyList<ReadCommand> commands, CancellationToken cancel) =>
        Call($"read {commands[0].Key} under {commands[0].Stamp}", (node, limit) => node.Read(commands, limit), cancel);

    public Task<BarrierReply[]> RaiseBarriers(IReadOnlyList<BarrierCommand> commands, CancellationToken cancel) =>
        Call($"barrier {commands[0].Stamp}", (node, limit) => node.RaiseBarriers(commands, limit), cancel);

    public Task<MakeReply> Make(MakeCommand command, CancellationToken cancel) =>
        Call($"make {command.Store} under {command.Stamp}", (node, limit) => node.Make(command, limit), cancel);

    public Task<DropReply> Drop(DropCommand command, CancellationToken cancel) =>
        Call($"drop {command.Store} under {command.Stamp}", (node, limit) => node.Drop(command, limit), cancel);

    public Task<DigestReply> Digests(DigestCommand command, CancellationToken cancel) =>
        Call(
            $"digests of {command.Store} under {command.Stamp}",
            (node, limit) => node.Digests(command, limit),
            cancel
        );

    public IAsyncEnumerable<ScanReply> ScanRanges(RangesCommand command, CancellationToken cancel) =>
        SimStream.Open(
            network,
            from,
            name,
            "scan of ranges",
            (service, limit) => ((INode)service).ScanRanges(command, limit),
            cancel
        );

    public Task<HealReply[]> Heal(IReadOnlyList<HealCommand> commands, CancellationToken cancel) =>
        Call(
            $"heal {commands[0].Document} under {commands[0].Stamp}",
            (node, limit) => node.Heal(commands, limit),
            cancel
        );

    public Task<ScrubReply> Scrub(ScrubCommand command, CancellationToken cancel) =>
        Call($"scrub {command.Store} under {command.Stamp}", (node, limit) => node.Scrub(command, limit), cancel);

    public Task<PurgeReply> Purge(PurgeCommand command, CancellationToken cancel) =>
        Call($"purge {command.Store} under {command.Stamp}", (node, limit) => node.Purge(command, limit), cancel);

    public Task<ChangesReply> Changes(ChangesCommand command, CancellationToken cancel) =>
        Call(
            $"changes of {command.Store} behind {command.After} under {command.Stamp}",
            (node, limit) => node.Changes(command, limit),
            cancel
        );

    public Task<LogChangesReply> LogChanges(LogChangesCommand command, CancellationToken cancel) =>
        Call(
            $"log {command.Changes.Length} changes in {command.Store} under {command.Stamp}",
            (node, limit) => node.LogChanges(command, limit),
            cancel
        );

    public Task<NodeStatus> Status(CancellationToken cancel) =>
        Call("status", (node, limit) => node.Status(limit), cancel);

    public IAsyncEnumerable<ScanReply> Scan(ScanCommand command, CancellationToken cancel) =>
        SimStream.Open(network, from, name, "scan", (service, limit) => ((INode)service).Scan(command, limit), cancel);

    public IAsyncEnumerable<ReconcileReply> Reconcile(ReconcileCommand command, CancellationToken cancel) =>
        SimStream.Open(
            network,
            from,
            name,
            "reconcile",
            (service, limit) => ((INode)service).Reconcile(command, limit),
            cancel
        );

    private Task<T> Call<T>(string what, Func<INode, CancellationToken, Task<T>> ask, CancellationToken cancel) =>
        network.Call(from, name, what, true, (service, limit) => ask((INode)service, limit), cancel);
}

/// <summary>The nodes, and the routers, as one process reaches them.</summary>
public sealed class SimDirectory(SimNetwork network, SimProcess from) : INodeDirectory, IRouterDirectory
{
    private readonly Dictionary<string, INode> _nodes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, IRouterPeer> _routers = new(StringComparer.Ordinal);

    INode INodeDirectory.Get(string name, string address) =>
        _nodes.TryGetValue(name, out var known) ? known : _nodes[name] = new SimNode(network, from, name);

    IRouterPeer IRouterDirectory.Get(string name, string address) =>
        _routers.TryGetValue(name, out var known) ? known : _routers[name] = new SimPeer(network, from, name);
}

/// <summary>
/// A router as another one reaches it. A write that is passed on is never sent twice: to do a client's write a second
/// time, later, is another write.
/// </summary>
public sealed class SimPeer(SimNetwork network, SimProcess from, string name) : IRouterPeer
{
    public Task<WriteOutcome[]> Write(
        IReadOnlyList<WriteCommand> commands,
        long minRevision,
        CancellationToken cancel
    ) =>
        network.Call(
            from,
            name,
            "passed-on write",
            false,
            (service, limit) => ((IRouterPeer)service).Write(commands, minRevision, limit),
            cancel
        );

    public Task<ReadOutcome> ReadAtWriter(string index, Key key, long minRevision, CancellationToken cancel) =>
        network.Call(
            from,
            name,
            "passed-on read",
            true,
            (service, limit) => ((IRouterPeer)service).ReadAtWriter(index, key, minRevision, limit),
            cancel
        );

    public Task<WriteOutcome> Inspect(InspectCommand inspected, long minRevision, CancellationToken cancel) =>
        network.Call(
            from,
            name,
            $"inspection of {inspected.Issued}",
            false,
            (service, limit) => ((IRouterPeer)service).Inspect(inspected, minRevision, limit),
            cancel
        );

    public Task<RepairOutcome[]> Repair(RepairCommand command, long minRevision, CancellationToken cancel) =>
        network.Call(
            from,
            name,
            "repair",
            true,
            (service, limit) => ((IRouterPeer)service).Repair(command, minRevision, limit),
            cancel
        );

    public Task<FeedBound[]> FeedBounds(IReadOnlyList<ShardId> shards, long minRevision, CancellationToken cancel) =>
        network.Call(
            from,
            name,
            "feed bounds",
            true,
            (service, limit) => ((IRouterPeer)service).FeedBounds(shards, minRevision, limit),
            cancel
        );

    public Task<long> Incarnation(CancellationToken cancel) =>
        network.Call(
            from,
            name,
            "incarnation",
            true,
            (service, limit) => ((IRouterPeer)service).Incarnation(limit),
            cancel
        );

    public Task<OpenWrites> Drain(RouteStamp stamp, CancellationToken cancel) =>
        network.Call(
            from,
            name,
            $"drain {stamp}",
            true,
            (service, limit) => ((IRouterPeer)service).Drain(stamp, limit),
            cancel
        );

    public Task<OpenWriteView[]> OpenWrites(CancellationToken cancel) =>
        network.Call(
            from,
            name,
            "open writes",
            true,
            (service, limit) => ((IRouterPeer)service).OpenWrites(limit),
            cancel
        );

    public Task<OpenWriteView[]> FailWrites(FailWritesRequest request, CancellationToken cancel) =>
        network.Call(
            from,
            name,
            "give writes up",
            true,
            (service, limit) => ((IRouterPeer)service).FailWrites(request, limit),
            cancel
        );
}

/// <summary>The coordinator as a router reaches it.</summary>
public sealed class SimCoordinator(SimNetwork network, SimProcess from) : ICoordinator
{
    public const string Name = "coordinator";

    public Task<RouterInfo> Register(string name, string address, long incarnation, CancellationToken cancel) =>
        Call("register", (c, limit) => c.Register(name, address, incarnation, limit), cancel);

    public Task<bool> Heartbeat(string name, long incarnation, CancellationToken cancel) =>
        Call("heartbeat", (c, limit) => c.Heartbeat(name, incarnation, limit), cancel);

    public Task<TableUpdate> Watch(long sinceRevision, CancellationToken cancel) =>
        Call("watch", (c, limit) => c.Watch(sinceRevision, limit), cancel);

    public Task<AdminReply<IndexInfo>> CreateIndex(CreateIndexRequest request, CancellationToken cancel) =>
        Call("create index", (c, limit) => c.CreateIndex(request, limit), cancel);

    public Task<AdminReply<IndexInfo>> SetPrimaryKey(string uid, string primaryKey, CancellationToken cancel) =>
        Call("set primary key", (c, limit) => c.SetPrimaryKey(uid, primaryKey, limit), cancel);

    public Task<AdminReply<IndexInfo>> DeleteIndex(string uid, CancellationToken cancel) =>
        Call("delete index", (c, limit) => c.DeleteIndex(uid, limit), cancel);

    /// <summary>An operator's command. It is sent once.</summary>
    public Task<T> Admin<T>(string what, Func<IAdmin, CancellationToken, Task<T>> ask, CancellationToken cancel) =>
        network.Call(from, Name, what, false, (service, limit) => ask((IAdmin)service, limit), cancel);

    /// <summary>An operator's word to anti-entropy. It is sent once.</summary>
    public Task<T> AntiEntropy<T>(
        string what,
        Func<IAntiEntropy, CancellationToken, Task<T>> ask,
        CancellationToken cancel
    ) =>
        network.Call(
            from,
            Name,
            what,
            false,
            (service, limit) => ask(((Coordinator)service).AntiEntropy, limit),
            cancel
        );

    private Task<T> Call<T>(
        string what,
        Func<ICoordinator, CancellationToken, Task<T>> ask,
        CancellationToken cancel
    ) => network.Call(from, Name, what, true, (service, limit) => ask((ICoordinator)service, limit), cancel);
}
