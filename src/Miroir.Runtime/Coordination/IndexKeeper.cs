using System.Globalization;
using System.Text;
using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Coordination;

/// <summary>
/// Makes and deletes indexes. What is to be made or dropped on nodes is written into the metadata with the routes
/// themselves, so that a crash leaves nothing unknown: a new leader goes on with it.
/// </summary>
internal sealed class IndexKeeper(
    Catalog catalog,
    INodeDirectory nodes,
    RouterRegistry routers,
    TimeProvider time,
    CoordinatorOptions options,
    Action<string> log
)
{
    private const int MaxUidLength = 200;
    private const int MaxPrimaryKeyLength = 256;
    private const int RetryMs = 200;

    private static bool IsUid(string uid) =>
        uid.Length is >= 1 and <= MaxUidLength && uid.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    private IndexInfo? Known(string uid)
    {
        var found = catalog.Table.TryIndex(uid);
        return found.IsSome ? found.Value : null;
    }

    private static AdminReply<IndexInfo> NotFound(string uid) =>
        AdminReply<IndexInfo>.Error(
            "index_not_found",
            $"Index `{uid}` not found. 'indexes list' shows those there are."
        );

    private static AdminReply<IndexInfo> NotLeader() =>
        AdminReply<IndexInfo>.Error("not_leader", "another coordinator leads now: ask that one");

    private int LastGeneration(string uid) =>
        catalog.Record(CatalogKeys.Generations + uid) is { } bytes
            ? int.Parse(Encoding.UTF8.GetString(bytes), CultureInfo.InvariantCulture)
            : 0;

    private AdminReply<IndexInfo>? Complaint(CreateIndexRequest request, int shards, int replication)
    {
        if (!IsUid(request.Uid))
            return AdminReply<IndexInfo>.Error(
                "invalid_index_uid",
                $"`{request.Uid}` is not a valid index uid: 1 to {MaxUidLength} letters, digits, - and _."
            );
        if (request.PrimaryKey.Length > MaxPrimaryKeyLength)
            return AdminReply<IndexInfo>.Error(
                "invalid_index_primary_key",
                $"a primary key's field name has at most {MaxPrimaryKeyLength} characters"
            );
        if (shards < 1 || shards > Layout.MaxShards)
            return AdminReply<IndexInfo>.Error(
                "invalid_shard_count",
                $"shards must be 1 to {Layout.MaxShards}, not {shards}"
            );
        if (replication < 1)
            return AdminReply<IndexInfo>.Error(
                "invalid_replication",
                $"replication must be 1 or more, not {replication}"
            );
        return Known(request.Uid) is null
            ? null
            : AdminReply<IndexInfo>.Error("index_already_exists", $"Index `{request.Uid}` already exists.");
    }

    /// <summary>Publishes the index and its routes; its stores are made by <see cref="MakeAsync"/>.</summary>
    public async Task<AdminReply<IndexInfo>> CreateAsync(CreateIndexRequest request, CancellationToken cancel)
    {
        var shards = request.Shards == 0 ? options.DefaultShards : request.Shards;
        var replication = request.Replication == 0 ? options.DefaultReplication : request.Replication;
        if (Complaint(request, shards, replication) is { } complaint)
            return complaint;

        var generation = LastGeneration(request.Uid) + 1;
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        var index = new IndexInfo(
            request.Uid,
            request.PrimaryKey,
            replication,
            new LayoutInfo(generation, shards),
            generation,
            now,
            now
        );
        var table = catalog.Table;
        var takers = NodeInfo.Takers(table.Nodes);
        List<CatalogWrite> writes =
        [
            CatalogWrite.Of(index),
            CatalogWrite.Record(CatalogKeys.Generations + request.Uid, Number(generation)),
            CatalogWrite.Record(CatalogKeys.Makings + request.Uid, Number(generation)),
        ];
        for (var shard = 0; shard < shards; shard++)
        {
            var id = new ShardId(request.Uid, generation, shard);
            var owners = Placement.owners(takers, replication, id);
            if (owners.IsError)
                return AdminReply<IndexInfo>.Error("no_placement", owners.ErrorValue);
            var router = routers.Choose(id, table.Routers);
            var writer = router is null ? new Writer("", 0, 0) : new Writer(router.Name, router.Incarnation, 1);
            writes.Add(
                CatalogWrite.Of(
                    new Route(id, Layout.range(shards, shard), 1, Stage.Owned, owners.ResultValue, [], writer, [], 0)
                )
            );
        }

        if (await catalog.CommitAsync(writes, cancel) != CommitOutcome.Committed)
            return NotLeader();
        log($"index {request.Uid}: {shards} shards, {replication} copies");
        return AdminReply<IndexInfo>.Ok(index);
    }

    private static byte[] Number(int value) => Encoding.UTF8.GetBytes(value.ToString(CultureInfo.InvariantCulture));

    /// <summary>Makes every store that an index still lacks. False: not all within the limit.</summary>
    public async Task<bool> MakeAsync(string uid, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(options.CreateIndexTimeoutMs), time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        var routes = catalog.Table.Routes.Where(r => r.Shard.Index == uid).ToList();
        try
        {
            await Task.WhenAll(
                routes
                    .SelectMany(r => r.Owners.Select(node => (Route: r, Node: node)))
                    .GroupBy(m => m.Node, StringComparer.Ordinal)
                    .Select(group => MakeOnAsync(group.Key, [.. group.Select(m => m.Route.Shard)], both.Token))
            );
        }
        catch (OperationCanceledException)
        {
            return false;
        }

        return await catalog.CommitAsync([CatalogWrite.Record(CatalogKeys.Makings + uid, null)], cancel)
            == CommitOutcome.Committed;
    }

    private async Task MakeOnAsync(string name, List<ShardId> shards, CancellationToken cancel)
    {
        foreach (var shard in shards)
        {
            // Under the route as it is by now: a writer that was named meanwhile has raised its barrier, and what comes
            // under an older epoch makes nothing.
            while (catalog.Table.TryRoute(shard) is { IsValueSome: true, Value: var route } && Owns(name, route))
            {
                try
                {
                    var reply = await Node(name).Make(new MakeCommand(route.Stamp, shard, route.Range, 0, 1), cancel);
                    if (reply.IsMade)
                        break;
                    log($"{name} does not make {shard}: {reply}");
                }
                catch (UnreachableException e)
                {
                    log($"{shard} could not be made: {e.Message}");
                }

                await Task.Delay(TimeSpan.FromMilliseconds(RetryMs), time, cancel);
            }
        }
    }

    private static bool Owns(string name, Route route) => !route.Stage.IsRetired && route.Owners.Contains(name);

    private INode Node(string name)
    {
        var node = catalog.Table.TryNode(name);
        return node.IsSome
            ? nodes.Get(name, node.Value.Address)
            : throw new UnreachableException(name, "no node of this name is known");
    }

    public async Task<AdminReply<IndexInfo>> SetPrimaryKeyAsync(string uid, string primaryKey, CancellationToken cancel)
    {
        if (Known(uid) is not { } index)
            return NotFound(uid);
        if (index.PrimaryKey == primaryKey)
            return AdminReply<IndexInfo>.Ok(index);
        if (index.PrimaryKey != "")
            return AdminReply<IndexInfo>.Error(
                "index_primary_key_already_exists",
                $"Index `{uid}` already has the primary key `{index.PrimaryKey}`: it can't be changed once documents are keyed by it."
            );
        if (primaryKey.Length is < 1 or > MaxPrimaryKeyLength)
            return AdminReply<IndexInfo>.Error(
                "invalid_index_primary_key",
                $"a primary key's field name has 1 to {MaxPrimaryKeyLength} characters"
            );
        var changed = index.WithPrimaryKey(primaryKey, time.GetUtcNow().ToUnixTimeMilliseconds());
        return await catalog.CommitAsync([CatalogWrite.Of(changed)], cancel) == CommitOutcome.Committed
            ? AdminReply<IndexInfo>.Ok(changed)
            : NotLeader();
    }

    public async Task<AdminReply<IndexInfo>> DeleteAsync(string uid, bool isMoving, CancellationToken cancel)
    {
        if (Known(uid) is not { } index)
            return NotFound(uid);
        if (isMoving)
            return AdminReply<IndexInfo>.Error(
                "index_is_moving",
                $"Index `{uid}` is moving and can't be deleted: wait for the migration, or abort it first."
            );

        var routes = catalog.Table.Routes.Where(r => r.Shard.Index == uid).ToList();
        List<CatalogWrite> writes =
        [
            CatalogWrite.RemoveIndex(uid),
            CatalogWrite.Record(CatalogKeys.Generations + uid, Number(index.LastGeneration)),
            CatalogWrite.Record(CatalogKeys.Makings + uid, null),
        ];
        foreach (var route in routes)
        {
            writes.Add(CatalogWrite.RemoveRoute(route.Shard));
            writes.Add(
                CatalogWrite.Record(CatalogKeys.Droppings + CatalogKeys.Route(route.Shard), Codec.routeToBytes(route))
            );
        }

        if (await catalog.CommitAsync(writes, cancel) != CommitOutcome.Committed)
            return NotLeader();
        return AdminReply<IndexInfo>.Ok(index);
    }

    /// <summary>Goes on with what is still to be made and dropped. Called again and again.</summary>
    public async Task TidyAsync(CancellationToken cancel)
    {
        foreach (var making in catalog.RecordsOf(CatalogKeys.Makings))
            await MakeAsync(making.Key[CatalogKeys.Makings.Length..], cancel);
        foreach (var dropping in catalog.RecordsOf(CatalogKeys.Droppings))
            await DropAsync(dropping.Key, Codec.routeOfBytes(dropping.Value), cancel);
    }

    private async Task DropAsync(string record, Route route, CancellationToken cancel)
    {
        // One epoch on: nothing of the deleted index's own time is admitted behind it.
        var stamp = new RouteStamp(route.Shard, route.Epoch + 1);
        foreach (var owner in route.Owners)
        {
            try
            {
                using var limit = new CancellationTokenSource(
                    TimeSpan.FromMilliseconds(options.NodeCallTimeoutMs),
                    time
                );
                using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
                var reply = await Node(owner).Drop(new DropCommand(stamp, route.Shard, Guid.Empty, 0), both.Token);
                if (reply.IsDropRefused || reply.IsDropStaleEpoch)
                    return;
            }
            catch (UnreachableException)
            {
                return;
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                return;
            }
        }

        await catalog.CommitAsync([CatalogWrite.Record(record, null)], cancel);
    }
}
