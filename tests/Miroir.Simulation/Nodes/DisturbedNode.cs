using System.Runtime.CompilerServices;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Simulation.Nodes;

/// <summary>A node whose scans and reads are changed on their way, by what a test asks for.</summary>
internal sealed class DisturbedNode(INode inner) : INode
{
    /// <summary>Before a page is handed on; may throw, wait, or change it. The number counts pages from 1.</summary>
    public Func<int, ScanReply, ScanReply> OnPage { get; init; } = (_, reply) => reply;

    public Action BeforeRead { get; init; } = () => { };

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

    public Task<MakeReply> Make(MakeCommand command, CancellationToken cancel) => inner.Make(command, cancel);

    public Task<DropReply> Drop(DropCommand command, CancellationToken cancel) => inner.Drop(command, cancel);

    public async IAsyncEnumerable<ScanReply> Scan(
        ScanCommand command,
        [EnumeratorCancellation] CancellationToken cancel
    )
    {
        await foreach (var reply in inner.Scan(command, cancel))
        {
            Pages++;
            yield return OnPage(Pages, reply);
        }
    }

    public IAsyncEnumerable<ReconcileReply> Reconcile(ReconcileCommand command, CancellationToken cancel) =>
        inner.Reconcile(command, cancel);

    public Task<NodeStatus> Status(CancellationToken cancel) => inner.Status(cancel);
}
