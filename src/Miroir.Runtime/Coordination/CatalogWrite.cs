using Miroir.Core;
using Miroir.Core.Cutover;

namespace Miroir.Runtime.Coordination;

/// <summary>One key's new value, with what it means where routers are to see it.</summary>
public sealed class CatalogWrite
{
    private CatalogWrite(string key, byte[]? value)
    {
        Key = key;
        Value = value;
    }

    public string Key { get; }

    /// <summary>null deletes the key.</summary>
    public byte[]? Value { get; }

    public IndexInfo? Index { get; private init; }
    public string? RemovedIndex { get; private init; }
    public Route? Route { get; private init; }
    public ShardId? RemovedRoute { get; private init; }
    public NodeInfo? Node { get; private init; }
    public string? RemovedNode { get; private init; }
    public RouterInfo? Router { get; private init; }

    public bool IsInTable =>
        Index is not null
        || RemovedIndex is not null
        || Route is not null
        || RemovedRoute is not null
        || Node is not null
        || RemovedNode is not null
        || Router is not null;

    public bool IsJournal => Key.StartsWith(CatalogKeys.Journals, StringComparison.Ordinal);

    public static CatalogWrite Of(IndexInfo index) =>
        new(CatalogKeys.Index(index.Uid), Codec.indexToBytes(index)) { Index = index };

    public static CatalogWrite Of(Route route) =>
        new(CatalogKeys.Route(route.Shard), Codec.routeToBytes(route)) { Route = route };

    public static CatalogWrite Of(NodeInfo node) =>
        new(CatalogKeys.Node(node.Name), Codec.nodeToBytes(node)) { Node = node };

    public static CatalogWrite Of(RouterInfo router) =>
        new(CatalogKeys.Router(router.Name), Codec.routerToBytes(router)) { Router = router };

    public static CatalogWrite Of(long migration, long position, Observation observation) =>
        new(CatalogKeys.JournalEntry(migration, position), Journal.toBytes(observation));

    /// <summary>A record that routers are not shown.</summary>
    public static CatalogWrite Record(string key, byte[]? value) => new(key, value);

    public static CatalogWrite RemoveIndex(string uid) => new(CatalogKeys.Index(uid), null) { RemovedIndex = uid };

    public static CatalogWrite RemoveRoute(ShardId shard) =>
        new(CatalogKeys.Route(shard), null) { RemovedRoute = shard };

    public static CatalogWrite RemoveNode(string name) => new(CatalogKeys.Node(name), null) { RemovedNode = name };
}
