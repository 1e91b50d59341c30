using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Server.Tests.Node;

/// <summary>A node that keeps documents in memory, for tests of its wire: no barriers, no disk.</summary>
internal sealed class MemoryNode(string name) : INode
{
    private readonly ConcurrentDictionary<Key, Document> documents = new();
    private int pagesMade;
    private int puts;

    public string Name => name;

    /// <summary>How many commands came with each call of Put.</summary>
    public ConcurrentQueue<int> PutSizes { get; } = new();

    public int PagesMade => Volatile.Read(ref pagesMade);

    /// <summary>Awaited by every put before it answers.</summary>
    public Func<CancellationToken, Task> BeforePut { get; set; } = _ => Task.CompletedTask;

    public TaskCompletionSource PutBegan { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TaskCompletionSource ScanEnded { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public async Task<PutReply[]> Put(IReadOnlyList<PutCommand> commands, CancellationToken cancel)
    {
        PutSizes.Enqueue(commands.Count);
        PutBegan.TrySetResult();
        await BeforePut(cancel);
        Interlocked.Add(ref puts, commands.Count);
        return
        [
            .. commands.Select(command =>
            {
                var was = documents.TryGetValue(command.Document.Key, out var old) && !old.IsTombstone;
                documents[command.Document.Key] = command.Document;
                return PutReply.NewApplied(was);
            }),
        ];
    }

    public Task<ReadReply[]> Read(IReadOnlyList<ReadCommand> commands, CancellationToken cancel) =>
        Task.FromResult(
            commands
                .Select(c => documents.TryGetValue(c.Key, out var found) ? ReadReply.NewFound(found) : ReadReply.Absent)
                .ToArray()
        );

    public Task<BarrierReply[]> RaiseBarriers(IReadOnlyList<BarrierCommand> commands, CancellationToken cancel) =>
        Task.FromResult(commands.Select(c => BarrierReply.NewBarrierAbove(c.Stamp.Epoch + 1)).ToArray());

    public Task<MakeReply> Make(MakeCommand command, CancellationToken cancel) =>
        Task.FromResult(MakeReply.NewMakeRefused(new Refusal(RefusalCode.DiskFull, $"no room for {command.Store}")));

    public Task<DropReply> Drop(DropCommand command, CancellationToken cancel) => Task.FromResult(DropReply.NotTheSame);

    public async IAsyncEnumerable<ScanReply> Scan(
        ScanCommand command,
        [EnumeratorCancellation] CancellationToken cancel
    )
    {
        try
        {
            var all = documents.Values.OrderBy(d => d.Key).ToArray();
            for (var start = 0; ; start += command.MaxEntries)
            {
                cancel.ThrowIfCancellationRequested();
                var page = all.Skip(start).Take(command.MaxEntries).ToArray();
                Interlocked.Increment(ref pagesMade);
                var isLast = start + page.Length >= all.Length;
                yield return ScanReply.NewPage(
                    new ScanPage(
                        page.Select(d => d.Entry).ToArray(),
                        command.WithBodies ? page.Select(d => d.Body).ToArray() : [],
                        isLast
                    )
                );
                if (isLast)
                    yield break;
                await Task.Yield();
            }
        }
        finally
        {
            ScanEnded.TrySetResult();
        }
    }

    public async IAsyncEnumerable<ReconcileReply> Reconcile(
        ReconcileCommand command,
        [EnumeratorCancellation] CancellationToken cancel
    )
    {
        await Task.Yield();
        yield return ReconcileReply.NewSourceFailed("n9", "gone");
    }

    public Task<DigestReply> Digests(DigestCommand command, CancellationToken cancel) =>
        throw new UnreachableException(name, "these tests do not ask for it");

    public IAsyncEnumerable<ScanReply> ScanRanges(RangesCommand command, CancellationToken cancel) =>
        throw new UnreachableException(name, "these tests do not ask for it");

    public Task<HealReply[]> Heal(IReadOnlyList<HealCommand> commands, CancellationToken cancel) =>
        throw new UnreachableException(name, "these tests do not ask for it");

    public Task<ScrubReply> Scrub(ScrubCommand command, CancellationToken cancel) =>
        throw new UnreachableException(name, "these tests do not ask for it");

    public Task<PurgeReply> Purge(PurgeCommand command, CancellationToken cancel) =>
        throw new UnreachableException(name, "these tests do not ask for it");

    public Task<ChangesReply> Changes(ChangesCommand command, CancellationToken cancel) =>
        throw new UnreachableException(name, "these tests do not ask for it");

    public Task<LogChangesReply> LogChanges(LogChangesCommand command, CancellationToken cancel) =>
        throw new UnreachableException(name, "these tests do not ask for it");

    public Task<NodeStatus> Status(CancellationToken cancel) =>
        Task.FromResult(
            new NodeStatus(
                name,
                Guid.Empty,
                "0.1.0",
                [
                    new StoreStatus(
                        new ShardId("i", 1, 0),
                        new HashRange(1UL << 63, 0),
                        Guid.Empty,
                        7,
                        1,
                        documents.Count,
                        2,
                        3,
                        4,
                        StoreHealth.Filling
                    ),
                ],
                "none \"yet\""
            )
        );

    public static PutCommand Command(string key, int bodyBytes = 20)
    {
        var shard = new ShardId("i", 1, 0);
        var body = new byte[bodyBytes];
        Array.Fill(body, (byte)'x');
        var document = Document.Live(Key.Of(key), new DocumentVersion(1, 1), body, Guid.Empty, Origin.Client);
        return new PutCommand(new RouteStamp(shard, 1), shard, document);
    }

    public static ScanCommand ScanAll(int maxEntries, bool withBodies) =>
        new(
            new RouteStamp(new ShardId("i", 1, 0), 1),
            new ShardId("i", 1, 0),
            HashRange.Full,
            null,
            maxEntries,
            1 << 20,
            withBodies
        );
}
