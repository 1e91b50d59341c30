using Miroir.Core;
using Miroir.Ports;
using Miroir.Simulation.Kernel;
using Miroir.Simulation.Network;
using Miroir.Simulation.Nodes;

namespace Miroir.Simulation.Cluster;

/// <summary>
/// A disk on which a write takes its time: one transaction for each store that a call writes to, each of them there at
/// once at its end, and none of it where the process dies before. So a crash leaves some of a call's stores written and
/// others not. A sync may also fail: the transaction is then there or not, and nobody can tell.
/// </summary>
public sealed class SyncingStore(
    INodeStore inner,
    SimProcess process,
    SimNetwork network,
    Func<PutCommand, bool> isHeld
) : PassingStore(inner)
{
    private static readonly TimeSpan HeldFor = TimeSpan.FromMilliseconds(20);

    public override async Task<PutReply[]> Put(IReadOnlyList<PutCommand> commands, CancellationToken cancel)
    {
        var replies = new PutReply[commands.Count];
        var isLate = commands.Any(isHeld);
        while (commands.Any(isHeld))
        {
            await Task.Delay(HeldFor, process.Time);
        }
        foreach (var store in Enumerable.Range(0, commands.Count).GroupBy(i => commands[i].Store))
        {
            int[] places = [.. store];
            PutCommand[] puts = [.. places.Select(i => commands[i])];
            var written = await Transaction(puts.Length, () => Inner.Put(puts, cancel));
            for (var i = 0; i < places.Length; i++)
            {
                if (isLate && written[i].IsStaleEpoch)
                {
                    network.Count("late put refused");
                }
                replies[places[i]] = written[i];
            }
        }
        return replies;
    }

    public override Task<BarrierReply[]> RaiseBarriers(
        IReadOnlyList<BarrierCommand> commands,
        CancellationToken cancel
    ) => Transaction(commands.Count, () => Inner.RaiseBarriers(commands, cancel));

    public override Task<MakeReply> Make(MakeCommand command, CancellationToken cancel) =>
        Transaction(1, () => Inner.Make(command, cancel));

    public override Task<DropReply> Drop(DropCommand command, CancellationToken cancel) =>
        Transaction(1, () => Inner.Drop(command, cancel));

    public override Task<HealReply[]> Heal(IReadOnlyList<HealCommand> commands, CancellationToken cancel) =>
        Transaction(commands.Count, () => Inner.Heal(commands, cancel));

    public override Task<PurgeReply> Purge(PurgeCommand command, CancellationToken cancel) =>
        Transaction(1, () => Inner.Purge(command, cancel));

    public override Task<LogChangesReply> LogChanges(LogChangesCommand command, CancellationToken cancel) =>
        Transaction(1, () => Inner.LogChanges(command, cancel));

    public override Task<MakeReply> BeginFill(MakeCommand command, CancellationToken cancel) =>
        Transaction(1, () => Inner.BeginFill(command, cancel));

    public override Task<bool> EndFill(ShardId store, Guid incarnation, CancellationToken cancel) =>
        Transaction(1, () => Inner.EndFill(store, incarnation, cancel));

    private async Task<T> Transaction<T>(int writes, Func<Task<T>> commit)
    {
        var kernel = network.Kernel;
        var faults = network.Faults;
        if (faults.MaxSyncMs > 0)
        {
            var lost = process.OnKill(() => network.Count("unsynced write lost", writes));
            await Task.Delay(kernel.Duration(0, faults.MaxSyncMs), process.Time);
            process.ForgetOnKill(lost);
        }
        if (!kernel.Chance(faults.FailSync))
        {
            return await commit();
        }
        network.Count("failed sync", writes);
        if (kernel.Chance(0.5))
        {
            await commit();
        }
        throw new IOException("the disk did not say whether it had written");
    }
}
