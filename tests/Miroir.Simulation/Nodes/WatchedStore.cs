using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Simulation.Nodes;

/// <summary>A store that tells of puts: before each call, and after it with what was answered.</summary>
internal sealed class WatchedStore(INodeStore inner, Action before, Action<IReadOnlyList<PutCommand>, PutReply[]> after)
    : INodeStore
{
    public async Task<PutReply[]> Put(IReadOnlyList<PutCommand> commands, CancellationToken cancel)
    {
        before();
        var replies = await inner.Put(commands, cancel);
        after(commands, replies);
        return replies;
    }

    public Task<ReadReply[]> Read(IReadOnlyList<ReadCommand> commands, CancellationToken cancel) =>
        inner.Read(commands, cancel);

    public Task<BarrierReply[]> RaiseBarriers(IReadOnlyList<BarrierCommand> commands, CancellationToken cancel) =>
        inner.RaiseBarriers(commands, cancel);

    public Task<MakeReply> Make(MakeCommand command, CancellationToken cancel) => inner.Make(command, cancel);

    public Task<DropReply> Drop(DropCommand command, CancellationToken cancel) => inner.Drop(command, cancel);

    public Task<ScanReply> ScanPage(ScanCommand command, CancellationToken cancel) => inner.ScanPage(command, cancel);

    public Task<ScanReply> ScanRangesPage(RangesCommand command, CancellationToken cancel) =>
        inner.ScanRangesPage(command, cancel);

    public Task<StoreStatus[]> Stores(CancellationToken cancel) => inner.Stores(cancel);

    public Task<DigestReply> Digests(DigestCommand command, CancellationToken cancel) => inner.Digests(command, cancel);

    public Task<HealReply[]> Heal(IReadOnlyList<HealCommand> commands, CancellationToken cancel) =>
        inner.Heal(commands, cancel);

    public Task<ScrubReply> Scrub(ScrubCommand command, CancellationToken cancel) => inner.Scrub(command, cancel);

    public Task<PurgeReply> Purge(PurgeCommand command, CancellationToken cancel) => inner.Purge(command, cancel);

    public Task<ChangesReply> Changes(ChangesCommand command, CancellationToken cancel) =>
        inner.Changes(command, cancel);

    public Task<LogChangesReply> LogChanges(LogChangesCommand command, CancellationToken cancel) =>
        inner.LogChanges(command, cancel);

    public Task<MakeReply> BeginFill(MakeCommand command, CancellationToken cancel) => inner.BeginFill(command, cancel);

    public Task<ScanReply> ScanFilling(ScanCommand command, CancellationToken cancel) =>
        inner.ScanFilling(command, cancel);

    public Task<bool> EndFill(ShardId store, Guid incarnation, CancellationToken cancel) =>
        inner.EndFill(store, incarnation, cancel);

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
