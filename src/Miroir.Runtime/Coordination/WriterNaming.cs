using Miroir.Core;
using Miroir.Core.Cutover;

namespace Miroir.Runtime.Coordination;

/// <summary>Which router writes each shard: one that lives, in a term of its own.</summary>
internal sealed class WriterNaming(
    Catalog catalog,
    RouterRegistry registry,
    Migrations migrations,
    CommandQueue commands,
    Action<string> log
)
{
    /// <summary>Every shard whose writer is gone gets a live one: a new epoch, a new term.</summary>
    public async Task<bool> NameAsync(CancellationToken cancel)
    {
        var table = catalog.Table;
        List<CatalogWrite> writes = [];
        List<Task> ordered = [];
        foreach (var route in table.Routes)
        {
            if (route.Stage.IsRetired || !registry.IsSuspect(route.Writer))
                continue;
            if (registry.Choose(route.Shard, table.Routers) is not { } router)
                continue;
            if (migrations.Of(route.Shard) is { } runner)
            {
                // The migration answers for this route: the change of writer is one of its transitions.
                if (!Migrations.IsNaming(runner, route.Shard, router))
                    ordered.Add(
                        runner.OrderAsync(Order.NewAssignWriter(route.Shard, router.Name, router.Incarnation), cancel)
                    );
                continue;
            }

            writes.Add(CatalogWrite.Of(route.WrittenBy(router.Name, router.Incarnation)));
        }

        // Side by side, so that they go into the journal together.
        await Task.WhenAll(ordered);
        if (writes.Count > 0 && await catalog.CommitAsync(writes, cancel) == CommitOutcome.Committed)
            log($"{writes.Count} shards have a new writer");

        return true;
    }

    /// <summary>The same writer in another term, where nothing moves the shard; null where that can't be.</summary>
    public Task<Route?> RenewTermAsync(ShardId shard, CancellationToken cancel) =>
        commands.RunAsync(
            async limit =>
            {
                if (
                    catalog.Table.TryRoute(shard) is not { IsValueSome: true, Value: var route }
                    || route.Stage.IsRetired
                    || route.Writer.IsNone
                    || registry.IsSuspect(route.Writer)
                    || (migrations.Of(shard) is not null && !Mutants.floorMovesInAMigration())
                )
                    return null;
                var renewed = route.WrittenBy(route.Writer.Router, route.Writer.Incarnation);
                return await catalog.CommitAsync([CatalogWrite.Of(renewed)], limit) == CommitOutcome.Committed
                    ? renewed
                    : (Route?)null;
            },
            cancel
        );
}
