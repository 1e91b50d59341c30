using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Runtime.Coordination;
using TaskStatus = Miroir.Core.Cutover.TaskStatus;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>What a pass proves to a migration that skipped its delta pass and waits in Switched for it.</summary>
internal sealed class ShardCertification(EntropyWorld world, Migrations migrations, Action<string> log)
{
    /// <summary>Hands the certificate to the migration that waits for it in Switched, if one does.</summary>
    public async Task CertifyAsync(
        Route route,
        TargetShard target,
        ReplicaGroup group,
        Comparison comparison,
        ShardReport report,
        CancellationToken cancel
    )
    {
        var runner = migrations.Of(route.Shard);
        var move = runner?.State.Moves.FirstOrDefault(m => m.Source.Equals(route.Shard));
        if (runner is null || move is not { Step.IsHolding: true })
            return;
        var at = Array.FindIndex(move.Targets, t => t.Shard.Equals(target.Shard));
        if (at < 0 || move.Certificates.Any(c => c.Target.Equals(target.Shard)))
            return;
        var takers = Known(move.Takers[at], group);
        var owners = Known([.. move.Owners.Where(IsConfirmed)], group);
        if (!await CarryChangesAsync(route, target, takers, owners, report, cancel))
            return;
        var certificate = new Certificate(
            target.Shard,
            move.JointEpoch,
            takers,
            owners,
            comparison.Equal.Entries + comparison.Compared,
            report.Repaired,
            comparison.Equal.Sum,
            comparison.Watermark
        );
        if (await runner.OrderAsync(Order.NewCertify(route.Shard, certificate), cancel) is { } rejection)
            report.Blame($"the migration did not take the certificate of {target.Shard}: {rejection.Message}");
        else
            log($"anti-entropy certified {target.Shard} for migration {runner.Id}");
    }

    /// <summary>What the owners' change logs retain goes into those of the targets, which a delta pass would have done.</summary>
    private async Task<bool> CarryChangesAsync(
        Route route,
        TargetShard target,
        Tuple<Replica, Guid>[] takers,
        Tuple<Replica, Guid>[] owners,
        ShardReport report,
        CancellationToken cancel
    )
    {
        SourceReplica[] sources = [.. owners.Select(owner => world.SourceOf(owner.Item1, owner.Item2))];
        foreach (var (taker, _) in takers)
        {
            var range = route.Range.Intersect(target.Range).Value;
            var command = new ReconcileCommand(
                route.Stamp,
                taker.Store,
                range,
                sources,
                ReconcileMode.ChangeLog,
                null,
                0,
                route.Migration,
                1
            );
            var (done, why) = await world.ReconcileAsync(taker.Node, command, cancel);
            if (done is null)
            {
                report.Blame($"{taker} did not take over the change log: {why}");
                return false;
            }
        }

        return true;
    }

    private static bool IsConfirmed(Member owner) => owner.Is(TaskKind.Fencing, TaskStatus.Done);

    private static Tuple<Replica, Guid>[] Known(Member[] members, ReplicaGroup group) =>
        [
            .. members
                .Select(member => (member, at: IndexOf(group, member.Replica)))
                .Where(m => m.at >= 0 && group.Incarnations[m.at] == m.member.Incarnation)
                .Select(m => Tuple.Create(m.member.Replica, m.member.Incarnation)),
        ];

    private static int IndexOf(ReplicaGroup group, Replica replica)
    {
        for (var i = 0; i < group.Members.Count; i++)
        {
            if (group.Members[i].Replica.Equals(replica))
                return i;
        }

        return -1;
    }
}
