using System.Runtime.CompilerServices;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Nodes;

/// <summary>
/// A data node: its store behind bounds, and the pulling of what its store lacks from other nodes. A store that throws
/// leaves what was asked unknown, which is UnreachableException here as on the wire.
/// </summary>
public sealed class NodeService : INode
{
    private readonly NodeOptions options;
    private readonly INodeStore store;
    private readonly Action<string> log;
    private readonly Bulkhead puts;
    private readonly Bulkhead reads;
    private readonly Bulkhead scans;
    private readonly Bulkhead controls;
    private readonly Reconciler reconciler;
    private readonly Guid incarnation;
    private volatile string lastError = "";

    /// <param name="options">Its name and its bounds.</param>
    /// <param name="store">Its disk; the node does not dispose of it.</param>
    /// <param name="peers">How other nodes are reached.</param>
    /// <param name="time">Whose time.</param>
    /// <param name="entropy">Where this start's incarnation comes from.</param>
    /// <param name="log">Takes one line for each thing that an operator should know.</param>
    public NodeService(
        NodeOptions options,
        INodeStore store,
        INodeDirectory peers,
        TimeProvider time,
        IEntropy entropy,
        Action<string> log
    )
    {
        this.options = options;
        this.store = store;
        this.log = log;
        puts = new Bulkhead(options.MaxConcurrentPuts, options.MaxWaiting);
        reads = new Bulkhead(options.MaxConcurrentReads, options.MaxWaiting);
        scans = new Bulkhead(options.MaxConcurrentScans, options.MaxWaiting);
        controls = new Bulkhead(options.MaxConcurrentControls, options.MaxWaiting);
        reconciler = new Reconciler(options, this, store, peers, time, entropy, Note);
        incarnation = entropy.NewGuid();
    }

    public string Name => options.Name;

    public Task<PutReply[]> Put(IReadOnlyList<PutCommand> commands, CancellationToken cancel) =>
        Pass(puts, commands, store.Put, All<PutCommand, PutReply>(PutReply.NewRefused), cancel);

    public Task<ReadReply[]> Read(IReadOnlyList<ReadCommand> commands, CancellationToken cancel) =>
        Pass(reads, commands, store.Read, All<ReadCommand, ReadReply>(ReadReply.NewReadRefused), cancel);

    public Task<BarrierReply[]> RaiseBarriers(IReadOnlyList<BarrierCommand> commands, CancellationToken cancel) =>
        Pass(
            controls,
            commands,
            store.RaiseBarriers,
            All<BarrierCommand, BarrierReply>(BarrierReply.NewBarrierRefused),
            cancel
        );

    public Task<MakeReply> Make(MakeCommand command, CancellationToken cancel) =>
        Pass(controls, command, store.Make, (_, refusal) => MakeReply.NewMakeRefused(refusal), cancel);

    public Task<DropReply> Drop(DropCommand command, CancellationToken cancel) =>
        Pass(controls, command, store.Drop, (_, refusal) => DropReply.NewDropRefused(refusal), cancel);

    public IAsyncEnumerable<ScanReply> Scan(ScanCommand command, CancellationToken cancel) =>
        Pages(command, store.ScanPage, (asked, last) => asked.Behind(last), cancel);

    public IAsyncEnumerable<ReconcileReply> Reconcile(ReconcileCommand command, CancellationToken cancel) =>
        reconciler.Run(command, cancel);

    public Task<DigestReply> Digests(DigestCommand command, CancellationToken cancel) =>
        Pass(reads, command, store.Digests, (_, refusal) => DigestReply.NewDigestRefused(refusal), cancel);

    public IAsyncEnumerable<ScanReply> ScanRanges(RangesCommand command, CancellationToken cancel) =>
        Pages(command, store.ScanRangesPage, (asked, last) => asked.Behind(last), cancel);

    public Task<HealReply[]> Heal(IReadOnlyList<HealCommand> commands, CancellationToken cancel) =>
        Pass(puts, commands, store.Heal, All<HealCommand, HealReply>(HealReply.NewHealRefused), cancel);

    public Task<ScrubReply> Scrub(ScrubCommand command, CancellationToken cancel) =>
        Pass(scans, command, store.Scrub, (_, refusal) => ScrubReply.NewScrubRefused(refusal), cancel);

    public Task<PurgeReply> Purge(PurgeCommand command, CancellationToken cancel) =>
        Pass(controls, command, store.Purge, (_, refusal) => PurgeReply.NewPurgeRefused(refusal), cancel);

    public Task<ChangesReply> Changes(ChangesCommand command, CancellationToken cancel) =>
        Pass(reads, command, store.Changes, (_, refusal) => ChangesReply.NewChangesRefused(refusal), cancel);

    public Task<LogChangesReply> LogChanges(LogChangesCommand command, CancellationToken cancel) =>
        Pass(puts, command, store.LogChanges, (_, refusal) => LogChangesReply.NewLogRefused(refusal), cancel);

    public async Task<NodeStatus> Status(CancellationToken cancel) =>
        new(options.Name, incarnation, options.Version, await Stores(cancel), lastError);

    private async Task<StoreStatus[]> Stores(CancellationToken cancel)
    {
        try
        {
            return await store.Stores(cancel);
        }
        catch (Exception e) when (IsStoreFailure(e))
        {
            throw Failed(e);
        }
    }

    private async IAsyncEnumerable<ScanReply> Pages<TCommand>(
        TCommand command,
        Func<TCommand, CancellationToken, Task<ScanReply>> serve,
        Func<TCommand, Key, TCommand> behind,
        [EnumeratorCancellation] CancellationToken cancel
    )
    {
        // A place is held for a page, not for the stream: a slow reader keeps nobody waiting.
        while (true)
        {
            var reply = await Pass(scans, command, serve, (_, refusal) => ScanReply.NewScanRefused(refusal), cancel);
            yield return reply;
            if (reply is not ScanReply.Page { Item: { IsLast: false, Entries: [.., var last] } })
            {
                yield break;
            }

            command = behind(command, last.Key);
        }
    }

    private async Task<TReply> Pass<TCommand, TReply>(
        Bulkhead gate,
        TCommand command,
        Func<TCommand, CancellationToken, Task<TReply>> serve,
        Func<TCommand, Refusal, TReply> refuse,
        CancellationToken cancel
    )
    {
        if (!await gate.Enter(cancel))
        {
            var full = $"node {options.Name} has {options.MaxWaiting} calls waiting already: try again later";
            return refuse(command, new Refusal(RefusalCode.Overloaded, full));
        }

        try
        {
            return await serve(command, cancel);
        }
        catch (Exception e) when (IsStoreFailure(e))
        {
            throw Failed(e);
        }
        finally
        {
            gate.Leave();
        }
    }

    private static Func<IReadOnlyList<TCommand>, Refusal, TReply[]> All<TCommand, TReply>(
        Func<Refusal, TReply> refuse
    ) =>
        (commands, refusal) =>
        {
            var replies = new TReply[commands.Count];
            Array.Fill(replies, refuse(refusal));
            return replies;
        };

    private static bool IsStoreFailure(Exception e) => e is not (OperationCanceledException or UnreachableException);

    private UnreachableException Failed(Exception e)
    {
        Note($"store: {e}");
        return new UnreachableException(options.Name, $"its store failed: {e.Message}", e);
    }

    private void Note(string error)
    {
        lastError = error;
        log($"node {options.Name}: {error}");
    }
}
