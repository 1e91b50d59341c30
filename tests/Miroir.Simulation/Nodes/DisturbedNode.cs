using System.Runtime.CompilerServices;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Simulation.Nodes;

/// <summary>A node whose scans, reads, digests and makings are changed on their way, by what a test asks for.</summary>
internal sealed class DisturbedNode(INode inner) : INode
{
    /// <summary>Before a page is handed on; may throw, wait, or change it. The number counts pages from 1.</summary>
    public Func<int, ScanReply, ScanReply> OnPage { get; init; } = (_, reply) => reply;

    public Action BeforeRead { get; init; } = () => { };

    /// <summary>Answers a page of changes in the node's place; null: the node answers.</summary>
    public Func<ChangesCommand, ChangesReply?> OnChanges { get; init; } = _ => null;

    public Func<Task> BeforeMake { get; init; } = () => Task.CompletedTask;

    public int Pages { get; private set; }

    public string Name => inner.Name;

    public Task<PutReply[]> Put(IReadOnlyList<PutCommand> commands, CancellationToken cancel) =>
        inner.Put(commands, cancel);

    public Task<ReadReply[]> Read(IReadOnlyList<ReadCommand> commands, CancellationToken cancel)
    {
        BeforeRead();
        return inner.Read(commands, cancel);
    }

    public Task<BarrierReply[]> RaiseBarriers(IReadOnlyList<BarrierCommand> commands, CancellationToken cancel) =>
        inner.RaiseBarriers(commands, cancel);

    public async Task<MakeReply> Make(MakeCommand command, CancellationToken cancel)
    {
        await BeforeMake();
        return await inner.Make(command, cancel);
    }

    public Task<DropReply> Drop(DropCommand command, CancellationToken cancel) => inner.Drop(command, cancel);

    public IAsyncEnumerable<ScanReply> Scan(ScanCommand command, CancellationToken cancel) =>
        Disturb(inner.Scan(command, cancel), cancel);

    public IAsyncEnumerable<ReconcileReply> Reconcile(ReconcileCommand command, CancellationToken cancel) =>
        inner.Reconcile(command, cancel);

    public Task<DigestReply> Digests(DigestCommand command, CancellationToken cancel)
    {
        BeforeRead();
        return inner.Digests(command, cancel);
    }

    public IAsyncEnumerable<ScanReply> ScanRanges(RangesCommand command, CancellationToken cancel) =>
        Disturb(inner.ScanRanges(command, cancel), cancel);

    public Task<HealReply[]> Heal(IReadOnlyList<HealCommand> commands, CancellationToken cancel) =>
        inner.Heal(commands, cancel);

    public Task<ScrubReply> Scrub(ScrubCommand command, CancellationToken cancel) => inner.Scrub(command, cancel);

    public Task<PurgeReply> Purge(PurgeCommand command, CancellationToken cancel) => inner.Purge(command, cancel);

    public Task<ChangesReply> Changes(ChangesCommand command, CancellationToken cancel)
    {
        BeforeRead();
        return OnChanges(command) is { } answer ? Task.FromResult(answer) : inner.Changes(command, cancel);
    }

    public Task<LogChangesReply> LogChanges(LogChangesCommand command, CancellationToken cancel) =>
        inner.LogChanges(command, cancel);

    public Task<NodeStatus> Status(CancellationToken cancel) => inner.Status(cancel);

    private async IAsyncEnumerable<ScanReply> Disturb(
        IAsyncEnumerable<ScanReply> replies,
        [EnumeratorCancellation] CancellationToken cancel
    )
    {
        await foreach (var reply in replies.WithCancellation(cancel))
        {
            Pages++;
            yield return OnPage(Pages, reply);
        }
    }
}
