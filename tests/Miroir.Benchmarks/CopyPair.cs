using System.Collections.Concurrent;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Benchmarks;

/// <summary>A shard on one node, and the stores on another that it is copied to, one after the other.</summary>
internal sealed class CopyPair(INode source, string sourceAddress, INode target)
{
    private const int FillBatch = 2000;
    private const int FillInFlight = 2;
    private const long Migration = 1;

    private static readonly ShardId Shard = new("bench", 1, 0);
    private static readonly RouteStamp Stamp = new(Shard, 1);

    private readonly ConcurrentDictionary<int, Task<PutReply[]>> _onTarget = new();
    private long _clock;
    private int _documents;
    private int _copies;
    private int _revision;

    private ShardId Target => new("bench", 2, _copies);

    /// <summary>Puts so many documents into the source, in the order of their numbers and not of their hashes.</summary>
    public async Task FillAsync(int documents, CancellationToken cancel)
    {
        Expect<MakeReply.Made>(await source.Make(new(Stamp, Shard, HashRange.Full, 0, 1), cancel));
        Queue<Task<PutReply[]>> waiting = new();
        for (var from = 0; from < documents; from += FillBatch)
        {
            if (waiting.Count == FillInFlight)
                CheckAll(await waiting.Dequeue());
            var puts = new PutCommand[Math.Min(FillBatch, documents - from)];
            for (var i = 0; i < puts.Length; i++)
                puts[i] = new PutCommand(Stamp, Shard, MadeDocuments.Live(from + i, new(1, ++_clock)));
            waiting.Enqueue(source.Put(puts, cancel));
        }

        while (waiting.TryDequeue(out var last))
            CheckAll(await last);
        _documents = documents;
    }

    /// <summary>Makes an empty store for the next copy.</summary>
    public async Task MakeTargetAsync(CancellationToken cancel)
    {
        _copies++;
        Expect<MakeReply.Made>(await target.Make(new(Stamp, Target, HashRange.Full, Migration, 1), cancel));
    }

    public async Task DropTargetAsync(CancellationToken cancel)
    {
        var made = await IncarnationAsync(target, Target, cancel);
        Expect<DropReply>(await target.Drop(new(Stamp, Target, made, Migration), cancel), DropReply.Dropped);
    }

    /// <summary>
    /// One document replaced on both, as a router does with a shard that is being copied: the source's answer decides,
    /// and the client has it before the target's.
    /// </summary>
    /// <param name="client">Its next write waits for the target's answer to this one: what is on its way is bounded.</param>
    public async Task<bool> DualWriteAsync(int client, Random random, CancellationToken cancel)
    {
        if (_onTarget.TryRemove(client, out var before))
            CheckAll(await before);
        var number = random.Next(_documents);
        var version = new DocumentVersion(2, Interlocked.Increment(ref _clock));
        var document = MadeDocuments.Live(number, version, Interlocked.Increment(ref _revision) & 0x7FFF);
        _onTarget[client] = target.Put([new PutCommand(Stamp, Target, document)], cancel);
        CheckAll(await source.Put([new PutCommand(Stamp, Shard, document)], cancel));
        return true;
    }

    /// <summary>Waits for the target's answers to writes that their clients had the source's answer to.</summary>
    public async Task SettleAsync()
    {
        foreach (var client in _onTarget.Keys)
        {
            if (_onTarget.TryRemove(client, out var last))
                CheckAll(await last);
        }
    }

    /// <summary>Has the target pull until it is complete.</summary>
    public async Task<ReconcileProgress> ReconcileAsync(ReconcileMode mode, CancellationToken cancel)
    {
        var incarnation = mode == ReconcileMode.Delta ? await IncarnationAsync(source, Shard, cancel) : Guid.Empty;
        var command = new ReconcileCommand(
            Stamp,
            Target,
            HashRange.Full,
            [new SourceReplica(source.Name, sourceAddress, Shard, incarnation)],
            mode,
            null,
            0,
            Migration,
            1
        );
        await foreach (var reply in target.Reconcile(command, cancel))
        {
            if (reply is not ReconcileReply.Progress { Item: var progress })
                throw new InvalidOperationException($"the {mode} reconcile ended with {reply}");
            if (progress.IsComplete)
                return progress;
        }

        throw new InvalidOperationException($"the {mode} reconcile ended without a last progress");
    }

    private static async Task<Guid> IncarnationAsync(INode node, ShardId store, CancellationToken cancel)
    {
        var replies = await node.RaiseBarriers([new BarrierCommand(Stamp, store, null)], cancel);
        return Expect<BarrierReply.Confirmed>(replies[0]).Incarnation;
    }

    private static void CheckAll(PutReply[] replies)
    {
        foreach (var reply in replies)
        {
            if (reply is not (PutReply.Applied or PutReply.Superseded))
                throw new InvalidOperationException($"a put was answered {reply}");
        }
    }

    private static T Expect<T>(object reply, T? exactly = null)
        where T : class =>
        reply is T expected && (exactly is null || expected.Equals(exactly))
            ? expected
            : throw new InvalidOperationException($"expected {(object?)exactly ?? typeof(T).Name}, got {reply}");
}
