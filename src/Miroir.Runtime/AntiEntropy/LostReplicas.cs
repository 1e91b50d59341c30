using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Coordination;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>Finds replicas that their node does not answer for, although it answers: the disk was lost, or is not trusted.</summary>
internal sealed class LostReplicas(EntropyWorld world)
{
    /// <summary>Shards that nothing moves, of indexes that are wholly made, with a lost replica and one that is not.</summary>
    public async Task<IReadOnlyList<ShardId>> FindAsync(CancellationToken cancel)
    {
        var statuses = await Task.WhenAll(world.Table.Nodes.Select(node => StatusAsync(node.Name, cancel)));
        var serving = statuses
            .OfType<NodeStatus>()
            .ToDictionary(
                status => status.Name,
                status => status.Stores.Where(s => s.Health == StoreHealth.Serving).Select(s => s.Store).ToHashSet(),
                StringComparer.Ordinal
            );
        // Asked after the nodes were: a route that has moved since is not judged by what they had before.
        return
        [
            .. world
                .Table.Routes.Where(route =>
                    route.Stage.IsOwned
                    && route.Migration == 0
                    && route.Owners.Length > 1
                    && world.Catalog.Record(CatalogKeys.Makings + route.Shard.Index) is null
                    && route.Owners.Any(owner => IsLost(owner, route.Shard))
                    && route.Owners.Any(owner => serving.TryGetValue(owner, out var has) && has.Contains(route.Shard))
                )
                .Select(route => route.Shard),
        ];

        bool IsLost(string owner, ShardId shard) => serving.TryGetValue(owner, out var has) && !has.Contains(shard);
    }

    private async Task<NodeStatus?> StatusAsync(string name, CancellationToken cancel)
    {
        try
        {
            var node = world.Node(name);
            var status = await world.AskAsync(name, node.Status, cancel);
            return status.Name == name ? status : null;
        }
        catch (Exception e) when (e is UnreachableException or PassEndedException)
        {
            return null;
        }
    }
}
