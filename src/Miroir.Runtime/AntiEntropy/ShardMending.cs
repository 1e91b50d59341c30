using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>
/// What a pass does to a shard beside repairing documents: fill a lost replica, begin a new term, purge tombstones.
/// </summary>
internal sealed class ShardMending(
    EntropyWorld world,
    Func<ShardId, CancellationToken, Task<Route?>> renewTerm,
    Action<string> log
)
{
    /// <summary>Fills every owner's store that does not answer for its data, from the others. Only where nothing moves.</summary>
    public async Task RebuildAsync(Route route, ShardReport report, CancellationToken cancel)
    {
        if (route.Migration != 0 || !route.Stage.IsOwned || route.Owners.Length < 2)
            return;
        var health = await Task.WhenAll(route.OwnerReplicas.Select(replica => ProbeAsync(route, replica, cancel)));
        for (var i = 0; i < health.Length; i++)
        {
            if (health[i].IsLost)
                await FillAsync(route, i, health, report, cancel);
        }
    }

    /// <summary>Whether there are tombstones to purge, and every owner answers, and nothing moves.</summary>
    public async Task<bool> MayPurgeAsync(Route route, CancellationToken cancel)
    {
        var moves = (route.Migration != 0 || !route.Stage.IsOwned) && !Mutants.floorMovesInAMigration();
        if (moves || route.Writer.IsNone || route.Owners.Length < 2)
            return false;
        var tombstones = await Task.WhenAll(route.OwnerReplicas.Select(replica => TombstonesAsync(replica, cancel)));
        var areAllThere = tombstones.All(count => count >= 0) || Mutants.purgedWithAReplicaAway();
        return areAllThere && tombstones.Any(count => count > 0);
    }

    /// <summary>The first version of the shard's new term; null where it could not begin.</summary>
    public async Task<DocumentVersion?> NewTermAsync(Route route, CancellationToken cancel) =>
        Mutants.comparedInTheSameTerm() ? new DocumentVersion(route.Writer.Term + 1, 0)
        : await renewTerm(route.Shard, cancel) is { } renewed ? new DocumentVersion(renewed.Writer.Term, 0)
        : null;

    /// <summary>
    /// Every owner holds every tombstone below the floor. Another term begins, so that nothing read under the last one
    /// can be put back any more, and each node is told under its epoch.
    /// </summary>
    public async Task<long> PurgeAsync(
        Route proven,
        DocumentVersion floor,
        IReadOnlyDictionary<Replica, Guid> incarnations,
        CancellationToken cancel
    )
    {
        var current = world.RouteOf(proven.Shard);
        var areAllKnown = proven.OwnerReplicas.All(incarnations.ContainsKey) || Mutants.purgedWithAReplicaAway();
        if (current is null || current.Epoch != proven.Epoch || !areAllKnown)
            return 0;
        var next = Mutants.purgedInTheSameTerm() ? current : await renewTerm(proven.Shard, cancel);
        if (next is not { } route)
            return 0;
        var purged = await Task.WhenAll(
            route
                .OwnerReplicas.Where(incarnations.ContainsKey)
                .Select(async replica =>
                {
                    var command = new PurgeCommand(route.Stamp, replica.Store, incarnations[replica], floor);
                    try
                    {
                        var node = world.Node(replica.Node);
                        var reply = await world.AskAsync(replica.Node, limit => node.Purge(command, limit), cancel);
                        return reply is PurgeReply.Purged done ? done.Tombstones : 0;
                    }
                    catch (UnreachableException e)
                    {
                        // The next pass does it: what is unpurged compares equal to what is purged.
                        log($"tombstones of {replica} were not purged: {e.Message}");
                        return 0;
                    }
                })
        );
        return purged.Max();
    }

    private async Task<(bool IsLost, Guid Incarnation)> ProbeAsync(
        Route route,
        Replica replica,
        CancellationToken cancel
    )
    {
        try
        {
            var node = world.Node(replica.Node);
            BarrierCommand[] raise = [new(route.Stamp, replica.Store, route)];
            var replies = await world.AskAsync(replica.Node, limit => node.RaiseBarriers(raise, limit), cancel);
            return replies[0] is BarrierReply.Confirmed confirmed
                ? (false, confirmed.Incarnation)
                : (replies[0].IsConfirmedNotServing, Guid.Empty);
        }
        catch (UnreachableException)
        {
            // It may come back with everything it had.
            return (false, Guid.Empty);
        }
    }

    private async Task FillAsync(
        Route route,
        int lost,
        (bool IsLost, Guid Incarnation)[] health,
        ShardReport report,
        CancellationToken cancel
    )
    {
        var owners = route.OwnerReplicas;
        SourceReplica[] sources =
        [
            .. Enumerable
                .Range(0, owners.Length)
                .Where(i => health[i].Incarnation != Guid.Empty)
                .Select(i => world.SourceOf(owners[i], health[i].Incarnation)),
        ];
        if (sources.Length < Quorum.barrier(owners.Length))
        {
            report.Blame(
                $"{owners[lost]} lost its data, and {sources.Length} other replicas are too few to fill it: {Quorum.barrier(owners.Length)} are needed"
            );
            return;
        }

        log($"{owners[lost]} does not answer for its data: it is made anew and filled from {sources.Length} others");
        var command = new ReconcileCommand(
            route.Stamp,
            owners[lost].Store,
            route.Range,
            sources,
            ReconcileMode.Rebuild,
            null,
            0,
            0,
            1
        );
        var (done, why) = await world.ReconcileAsync(owners[lost].Node, command, cancel);
        if (done is null)
        {
            report.Blame($"{owners[lost]} could not be filled: {why}");
            return;
        }

        log($"{owners[lost]} serves again, with {done.Copied} documents put");
        report.Repaired += done.Copied;
    }

    /// <summary>-1: it did not say.</summary>
    private async Task<long> TombstonesAsync(Replica replica, CancellationToken cancel)
    {
        try
        {
            var node = world.Node(replica.Node);
            var status = await world.AskAsync(replica.Node, node.Status, cancel);
            var store = status.Stores.FirstOrDefault(s => s.Store.Equals(replica.Store));
            return store is { Health: StoreHealth.Serving } ? store.Tombstones : -1;
        }
        catch (UnreachableException)
        {
            return -1;
        }
    }
}
