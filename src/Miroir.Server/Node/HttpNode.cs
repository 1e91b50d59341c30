using System.Runtime.CompilerServices;
using System.Text.Json;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Http;
using Miroir.Server.Wire;

namespace Miroir.Server.Node;

/// <summary>
/// A node behind its wire. Concurrent puts, and concurrent reads, go together in requests; streams go over
/// connections of their own, so that a scan never stands before a write.
/// </summary>
internal sealed class HttpNode : INode
{
    private readonly PeerClient calls;
    private readonly PeerClient streams;
    private readonly Coalescer<PutCommand, PutReply> puts;
    private readonly Coalescer<ReadCommand, ReadReply> reads;

    public HttpNode(string name, string address, PeerTransport calls, PeerTransport streams)
    {
        Name = name;
        address = address.TrimEnd('/');
        this.calls = new PeerClient(calls, PeerHeaders.Node, "node", name, address);
        this.streams = new PeerClient(streams, PeerHeaders.Node, "node", name, address);
        puts = new Coalescer<PutCommand, PutReply>(
            (commands, cancel) =>
                this.calls.Batch(NodeRoutes.Put, commands, NodeFrames.PutCommand, NodeFrames.PutReply, cancel),
            command => command.Document.Body.Length + 256,
            calls.Limits
        );
        reads = new Coalescer<ReadCommand, ReadReply>(
            (commands, cancel) =>
                this.calls.Batch(NodeRoutes.Read, commands, NodeFrames.ReadCommand, NodeFrames.ReadReply, cancel),
            _ => 256,
            calls.Limits
        );
    }

    public string Name { get; }

    public async Task<PutReply[]> Put(IReadOnlyList<PutCommand> commands, CancellationToken cancel)
    {
        var fitting = commands.Where(Fits).ToArray();
        if (fitting.Length == commands.Count)
            return await Guard(puts.Call(commands, cancel), cancel);
        var replies = (await Guard(puts.Call(fitting, cancel), cancel)).AsEnumerable().GetEnumerator();
        return
        [
            .. commands.Select(command =>
                Fits(command) && replies.MoveNext() ? replies.Current : PutReply.NewRefused(TooLong(command))
            ),
        ];
    }

    public Task<ReadReply[]> Read(IReadOnlyList<ReadCommand> commands, CancellationToken cancel) =>
        Guard(reads.Call(commands, cancel), cancel);

    public async Task<BarrierReply[]> RaiseBarriers(IReadOnlyList<BarrierCommand> commands, CancellationToken cancel)
    {
        var replies = new List<BarrierReply>(commands.Count);
        foreach (var part in commands.Chunk(NodeRoutes.MaxCommands))
            replies.AddRange(
                await calls.Batch(NodeRoutes.Barriers, part, NodeFrames.BarrierCommand, NodeFrames.BarrierReply, cancel)
            );
        return [.. replies];
    }

    public Task<MakeReply> Make(MakeCommand command, CancellationToken cancel) =>
        One(NodeRoutes.Make, command, StoreFrames.MakeCommand, StoreFrames.MakeReply, cancel);

    public Task<DropReply> Drop(DropCommand command, CancellationToken cancel) =>
        One(NodeRoutes.Drop, command, StoreFrames.DropCommand, StoreFrames.DropReply, cancel);

    public IAsyncEnumerable<ScanReply> Scan(ScanCommand command, CancellationToken cancel) =>
        Stream(NodeRoutes.Scan, command, ScanFrames.ScanCommand, ScanFrames.ScanReply, cancel);

    public IAsyncEnumerable<ReconcileReply> Reconcile(ReconcileCommand command, CancellationToken cancel) =>
        Stream(NodeRoutes.Reconcile, command, ReconcileFrames.ReconcileCommand, ReconcileFrames.ReconcileReply, cancel);

    public Task<DigestReply> Digests(DigestCommand command, CancellationToken cancel) =>
        One(NodeRoutes.Digests, command, EntropyFrames.DigestCommand, EntropyFrames.DigestReply, cancel);

    public IAsyncEnumerable<ScanReply> ScanRanges(RangesCommand command, CancellationToken cancel) =>
        Stream(NodeRoutes.ScanRanges, command, EntropyFrames.RangesCommand, ScanFrames.ScanReply, cancel);

    public Task<HealReply[]> Heal(IReadOnlyList<HealCommand> commands, CancellationToken cancel) =>
        calls.Batch(NodeRoutes.Heal, commands, EntropyFrames.HealCommand, EntropyFrames.HealReply, cancel);

    public Task<ScrubReply> Scrub(ScrubCommand command, CancellationToken cancel) =>
        One(NodeRoutes.Scrub, command, EntropyFrames.ScrubCommand, EntropyFrames.ScrubReply, cancel);

    public Task<PurgeReply> Purge(PurgeCommand command, CancellationToken cancel) =>
        One(NodeRoutes.Purge, command, EntropyFrames.PurgeCommand, EntropyFrames.PurgeReply, cancel);

    public Task<ChangesReply> Changes(ChangesCommand command, CancellationToken cancel) =>
        One(NodeRoutes.Changes, command, FeedFrames.ChangesCommand, FeedFrames.ChangesReply, cancel);

    public Task<LogChangesReply> LogChanges(LogChangesCommand command, CancellationToken cancel) =>
        One(NodeRoutes.LogChanges, command, FeedFrames.LogChangesCommand, FeedFrames.LogChangesReply, cancel);

    public Task<NodeStatus> Status(CancellationToken cancel) =>
        calls.Call(
            HttpMethod.Get,
            NodeRoutes.Status,
            null,
            body =>
                JsonSerializer.Deserialize(body.Span, ClusterJson.Default.NodeStatus)
                ?? throw new JsonException("null is not a node's status"),
            cancel
        );

    private static bool Fits(PutCommand command) => command.Document.Body.Length <= FrameLayout.MaxBodyBytes;

    private static Refusal TooLong(PutCommand command) =>
        new(
            RefusalCode.Failed,
            $"document `{command.Document.Key}` has {command.Document.Body.Length} bytes; "
                + $"a node takes {FrameLayout.MaxBodyBytes} at most"
        );

    private async Task<T> Guard<T>(Task<T> call, CancellationToken cancel)
    {
        try
        {
            return await call;
        }
        catch (Exception e)
        {
            throw calls.Explain(e, cancel);
        }
    }

    private async Task<TReply> One<TCommand, TReply>(
        string path,
        TCommand command,
        FrameCodec<TCommand> commandCodec,
        FrameCodec<TReply> replyCodec,
        CancellationToken cancel
    ) => (await calls.Batch(path, [command], commandCodec, replyCodec, cancel))[0];

    private async IAsyncEnumerable<TReply> Stream<TCommand, TReply>(
        string path,
        TCommand command,
        FrameCodec<TCommand> commandCodec,
        FrameCodec<TReply> replyCodec,
        [EnumeratorCancellation] CancellationToken cancel
    )
    {
        using var writer = new FrameWriter();
        commandCodec.Write(writer, command);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var silence = streams.Limits.StreamSilence;
        HttpResponseMessage response;
        Stream body;
        try
        {
            limit.CancelAfter(silence);
            // A copy: the buffer must outlive a sending that goes on after this method was left.
            var content = new FrameContent(writer.Written.ToArray());
            response = await streams.Send(HttpMethod.Post, path, content, limit.Token);
            body = await response.Content.ReadAsStreamAsync(limit.Token);
        }
        catch (Exception e)
        {
            throw streams.Explain(e, cancel);
        }
        using var _ = response;
        await using var __ = body;
        using var frames = new FrameStream(body);
        while (true)
        {
            TReply reply;
            try
            {
                // Only waiting for the node counts as its silence, not what the reader does in between.
                limit.CancelAfter(silence);
                var frame =
                    await frames.Next(limit.Token)
                    ?? throw new WireException(WireFault.Truncated, "the stream ended without saying so");
                if (IsEnd(frame.Span))
                    yield break;
                reply = replyCodec.Read(frame.Span);
                limit.CancelAfter(Timeout.InfiniteTimeSpan);
            }
            catch (Exception e)
            {
                throw streams.Explain(e, cancel);
            }
            yield return reply;
        }
    }

    private static bool IsEnd(ReadOnlySpan<byte> frame) => new FrameReader(frame).Kind() == FrameKind.EndOfStream;
}
