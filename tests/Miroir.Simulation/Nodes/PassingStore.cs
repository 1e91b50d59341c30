using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Simulation.Nodes;

/// <summary>A store that passes every call on to another: what derives from it changes the calls that it is about.</summary>
public abstract class PassingStore(INodeStore inner) : INodeStore
{
    protected INodeStore Inner => inner;

    public virtual Task<PutReply[]> Put(IReadOnlyList<PutCommand> commands, CancellationToken cancel) =>
        inner.Put(commands, cancel);

    public virtual Task<ReadReply[]> Read(IReadOnlyList<ReadCommand> commands, CancellationToken cancel) =>
        inner.Read(commands, cancel);

    public virtual Task<BarrierReply[]> RaiseBarriers(
        IReadOnlyList<BarrierCommand> commands,
        CancellationToken cancel
    ) => inner.RaiseBarriers(commands, cancel);

    public virtual Task<MakeReply> Make(MakeCommand command, CancellationToken cancel) => inner.Make(command, cancel);

    public virtual Task<DropReply> Drop(DropCommand command, CancellationToken cancel) => inner.Drop(command, cancel);

    public virtual Task<ScanReply> ScanPage(ScanCommand command, CancellationToken cancel) =>
        inner.ScanPage(command, cancel);

    public virtual Task<ScanReply> ScanRangesPage(RangesCommand command, CancellationToken cancel) =>
        inner.ScanRangesPage(command, cancel);

    public virtual Task<StoreStatus[]> Stores(CancellationToken cancel) => inner.Stores(cancel);

    public virtual Task<DigestReply> Digests(DigestCommand command, CancellationToken cancel) =>
        inner.Digests(command, cancel);

    public virtual Task<HealReply[]> Heal(IReadOnlyList<HealCommand> commands, CancellationToken cancel) =>
        inner.Heal(commands, cancel);

    public virtual Task<ScrubReply> Scrub(ScrubCommand command, CancellationToken cancel) =>
        inner.Scrub(command, cancel);

    public virtual Task<PurgeReply> Purge(PurgeCommand command, CancellationToken cancel) =>
        inner.Purge(command, cancel);

    public virtual Task<ChangesReply> Changes(ChangesCommand command, CancellationToken cancel) =>
        inner.Changes(command, cancel);

    public virtual Task<LogChangesReply> LogChanges(LogChangesCommand command, CancellationToken cancel) =>
        inner.LogChanges(command, cancel);

    public virtual Task<MakeReply> BeginFill(MakeCommand command, CancellationToken cancel) =>
        inner.BeginFill(command, cancel);

    public virtual Task<ScanReply> ScanFilling(ScanCommand command, CancellationToken cancel) =>
        inner.ScanFilling(command, cancel);

    public virtual Task<bool> EndFill(ShardId store, Guid incarnation, CancellationToken cancel) =>
        inner.EndFill(store, incarnation, cancel);

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
