using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;

namespace Miroir.Runtime.Coordination;

/// <summary>
/// The way back to the old owners while they are kept. It needs nothing of the targets: every acknowledged write is on a
/// write quorum of the old owners too. Of these it needs a write quorum that is there.
/// </summary>
internal sealed class Reverts(Catalog catalog, ClusterReport report, Migrations migrations)
{
    /// <returns>
    /// The view with the reason that says what the way back costs. Errors: <c>migration_not_found</c>,
    /// <c>invalid_shards</c>, <c>revert_is_whole</c>, <c>source_retired</c>, <c>owners_unavailable</c>.
    /// </returns>
    public async Task<AdminReply<MigrationView>> RevertAsync(RevertRequest request, CancellationToken cancel)
    {
        if (migrations.StateOf(request.Selector) is not { } state)
            return migrations.View(request.Selector);
        if (Refusal(request, state) is { } refusal)
            return refusal;
        var missing = await MissingAsync(state, cancel);
        if (missing.Length > 0 && !request.Force)
            return Refuse(
                "owners_unavailable",
                $"the way back is closed: {string.Join("; ", missing)}. Bring those nodes back, or let the migration go on to the new nodes; --force goes back all the same, and the shards take no writes until enough old owners serve"
            );
        var cost =
            missing.Length == 0
                ? "lossless, every acknowledged write is on a write quorum of the old owners too"
                : $"forced, {string.Join("; ", missing)}: what only a lost disk held is lost";
        return await migrations.OrderAsync(
            request.Selector,
            Order.NewAbort($"reverted by an operator: {cost}"),
            cancel
        );
    }

    private static AdminReply<MigrationView> Refuse(string code, string message) =>
        AdminReply<MigrationView>.Error(code, message);

    private static AdminReply<MigrationView>? Refusal(RevertRequest request, State state)
    {
        var plan = state.Plan;
        if (state.Status.IsComplete || state.Status.IsCompleting)
            return Refuse(
                "source_retired",
                $"migration {plan.Migration} has ended and its old owners are gone: a revert is a migration in the other direction now, "
                    + (
                        plan.KeepsLayout
                            ? $"'reshard start --index {plan.Index.Uid}' once the nodes that shall not have shards take none"
                            : $"'reshard start --index {plan.Index.Uid} --new-shards {plan.Index.Layout.ShardCount}'"
                    )
            );
        if (request.LastShard < 0)
            return null;
        var count = plan.Index.Layout.ShardCount;
        if (request.FirstShard < 0 || request.FirstShard > request.LastShard || request.LastShard >= count)
            return Refuse(
                "invalid_shards",
                $"shards {request.FirstShard}-{request.LastShard} are not all there: migration {plan.Migration} began with shards 0-{count - 1}"
            );
        int[] moved = [.. state.Moves.Select(m => m.Source.Shard)];
        return moved.All(shard => shard >= request.FirstShard && shard <= request.LastShard)
            ? null
            : Refuse(
                "revert_is_whole",
                $"a migration goes back as a whole, and migration {plan.Migration} moves shards outside {request.FirstShard}-{request.LastShard} too: say --shards {moved.Min()}-{moved.Max()}, or leave it out"
            );
    }

    /// <summary>Shards whose old owners are too few to take writes, in words. Asked only of those past Copying.</summary>
    private async Task<string[]> MissingAsync(State state, CancellationToken cancel)
    {
        Move[] past =
        [
            .. state.Moves.Where(m =>
                state.Routes.TryGetValue(m.Source, out var route) && (route.Stage.IsJoint || route.Stage.IsSwitched)
            ),
        ];
        var names = past.SelectMany(m => m.Owners).Select(o => o.Replica.Node).ToHashSet(StringComparer.Ordinal);
        if (names.Count == 0)
            return [];
        NodeInfo[] nodes = [.. catalog.Table.Nodes.Where(n => names.Contains(n.Name))];
        var answers = await Task.WhenAll(nodes.Select(n => report.AskAsync(n, cancel)));
        HashSet<Replica> there =
        [
            .. answers
                .Select(a => a.Status)
                .OfType<NodeStatus>()
                .SelectMany(status => status.Stores.Select(store => new Replica(status.Name, store.Store))),
        ];
        return
        [
            .. past.Select(m =>
                    (
                        m.Source.Shard,
                        Served: m.Owners.Count(o => there.Contains(o.Replica)),
                        Needed: Quorum.write(m.Owners.Length),
                        Lost: m.Owners.Where(o => !there.Contains(o.Replica)).Select(o => o.Replica.Node)
                    )
                )
                .Where(s => s.Served < s.Needed)
                .Select(s =>
                    $"shard {s.Shard} has {s.Served} of the {s.Needed} old owners that it needs (missing: {string.Join(", ", s.Lost)})"
                ),
        ];
    }
}
