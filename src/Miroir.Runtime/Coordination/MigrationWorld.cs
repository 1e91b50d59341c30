using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;

namespace Miroir.Runtime.Coordination;

/// <summary>The world as the cutover's effects meet it: nodes behind the directory, routes in the catalog.</summary>
internal sealed class MigrationWorld(
    Catalog catalog,
    INodeDirectory nodes,
    IRouterDirectory routers,
    TimeProvider time,
    CoordinatorOptions options
) : IWorld
{
    public TimeProvider Time => time;
    public int CallTimeoutMs => options.NodeCallTimeoutMs;
    public int SilenceTimeoutMs => options.ReconcileSilenceTimeoutMs;
    public int ProgressEveryMs => options.ProgressEveryMs;

    private NodeInfo Known(string name)
    {
        var node = catalog.Table.TryNode(name);
        return node.IsSome ? node.Value : throw new UnreachableException(name, "no node of this name is known");
    }

    public INode Node(string name) => nodes.Get(name, Known(name).Address);

    public string Address(string name) => Known(name).Address;

    public async Task<Answer> Drain(string router, RouteStamp stamp, CancellationToken cancel)
    {
        var known = catalog.Table.TryRouter(router);
        return known.IsSome
            ? Answer.NewWritesOpen(await routers.Get(router, known.Value.Address).Drain(stamp, cancel))
            : throw new UnreachableException(router, "no router of this name is known");
    }

    private Route? Current(ShardId shard)
    {
        var route = catalog.Table.TryRoute(shard);
        return route.IsSome ? route.Value : null;
    }

    private bool IsPublished(RouteChange change)
    {
        var current = Current(change.Shard);
        var wanted = change.Route?.Value;
        return current is null ? wanted is null : wanted is not null && current.Equals(wanted);
    }

    private CatalogWrite? LayoutWrite(LayoutChange layout)
    {
        var found = catalog.Table.TryIndex(layout.Index);
        if (found.IsNone)
            return null;
        var index = found.Value;
        if (index.Layout.Equals(layout.Layout) && index.LastGeneration >= layout.LastGeneration)
            return null;
        return CatalogWrite.Of(
            index.WithLayout(layout.Layout, layout.LastGeneration, time.GetUtcNow().ToUnixTimeMilliseconds())
        );
    }

    public async Task<Answer> Publish(
        RouteChange[] changes,
        FSharpOption<LayoutChange>? layout,
        CancellationToken cancel
    )
    {
        List<CatalogWrite> writes = [];
        foreach (var change in changes.Where(c => !IsPublished(c)))
        {
            if ((Current(change.Shard)?.Epoch ?? 0) != change.FromEpoch)
                return Answer.PublishConflict;
            writes.Add(
                change.Route is { } wanted ? CatalogWrite.Of(wanted.Value) : CatalogWrite.RemoveRoute(change.Shard)
            );
        }

        if (layout is { } wantedLayout && LayoutWrite(wantedLayout.Value) is { } index)
            writes.Add(index);
        if (writes.Count == 0)
            return Answer.Published;

        return await catalog.CommitAsync(writes, cancel) switch
        {
            CommitOutcome.Committed => Answer.Published,
            CommitOutcome.Deposed => Answer.PublishConflict,
            _ => Answer.NewPublishUnknown("the metadata store did not say whether it had written"),
        };
    }

    public Task<Answer> Inspect(ShardId[] shards, CancellationToken cancel) =>
        Task.FromResult(
            Answer.NewInspected([
                .. shards.Select(s =>
                    Current(s) is { } route ? FSharpOption<Route>.Some(route) : FSharpOption<Route>.None
                ),
            ])
        );
}
