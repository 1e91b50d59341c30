using System.Net.Http.Headers;
using System.Text.Json;
using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;
using Miroir.Server.Http;
using Miroir.Server.Wire;

namespace Miroir.Server.Routers;

/// <summary>Another router behind its wire. Concurrent calls go together in requests.</summary>
internal sealed class HttpRouterPeer : IRouterPeer
{
    private readonly PeerClient peer;
    private readonly Coalescer<PassedWrite, WriteOutcome> writes;
    private readonly Coalescer<PassedRead, ReadOutcome> reads;

    public HttpRouterPeer(string name, string address, PeerTransport transport)
    {
        peer = new PeerClient(transport, PeerHeaders.Router, "router", name, address.TrimEnd('/'));
        writes = new Coalescer<PassedWrite, WriteOutcome>(
            (passed, cancel) =>
                peer.Batch(RouterRoutes.Write, passed, RouterFrames.WriteCommand, RouterFrames.WriteOutcome, cancel),
            passed => passed.Command.Body.Length + 256,
            transport.Limits
        );
        reads = new Coalescer<PassedRead, ReadOutcome>(
            (passed, cancel) =>
                peer.Batch(RouterRoutes.Read, passed, RouterFrames.ReadCommand, RouterFrames.ReadOutcome, cancel),
            _ => 256,
            transport.Limits
        );
    }

    public async Task<WriteOutcome[]> Write(
        IReadOnlyList<WriteCommand> commands,
        long minRevision,
        CancellationToken cancel
    )
    {
        PassedWrite[] passed = [.. commands.Select(command => new PassedWrite(command, minRevision))];
        try
        {
            return await writes.Call(passed, cancel);
        }
        catch (Exception e)
        {
            throw peer.Explain(e, cancel);
        }
    }

    public async Task<WriteOutcome> Inspect(InspectCommand inspected, long minRevision, CancellationToken cancel) =>
        (
            await peer.Batch(
                RouterRoutes.Inspect,
                [new PassedInspection(inspected, minRevision)],
                RouterFrames.InspectCommand,
                RouterFrames.WriteOutcome,
                cancel
            )
        )[0];

    public async Task<RepairOutcome[]> Repair(RepairCommand command, long minRevision, CancellationToken cancel)
    {
        return await peer.Batch(
            RouterRoutes.Repair,
            [.. command.Keys.Select(key => new PassedRepair(new RepairCommand(command.Index, [key]), minRevision))],
            RepairFrames.RepairCommand,
            RepairFrames.RepairOutcome,
            cancel
        );
    }

    public Task<FeedBound[]> FeedBounds(IReadOnlyList<ShardId> shards, long minRevision, CancellationToken cancel) =>
        peer.Batch(
            RouterRoutes.FeedBounds,
            [.. shards.Select(shard => new PassedBound(shard, minRevision))],
            FeedFrames.FeedBoundCommand,
            FeedFrames.FeedBound,
            cancel
        );

    public Task<long> Incarnation(CancellationToken cancel) =>
        peer.Call(HttpMethod.Get, RouterRoutes.Incarnation, null, RouterJson.IncarnationOf, cancel);

    public Task<OpenWrites> Drain(RouteStamp stamp, CancellationToken cancel) =>
        Post(RouterRoutes.Drain, RouterJson.ToJson(stamp), RouterJson.OpenWritesOf, cancel);

    public Task<OpenWriteView[]> OpenWrites(CancellationToken cancel) =>
        peer.Call(HttpMethod.Get, RouterRoutes.OpenWrites, null, RouterJson.WritesOf, cancel);

    public Task<OpenWriteView[]> FailWrites(FailWritesRequest request, CancellationToken cancel) =>
        Post(
            RouterRoutes.FailWrites,
            JsonSerializer.SerializeToUtf8Bytes(request, ClusterJson.Default.FailWritesRequest),
            RouterJson.WritesOf,
            cancel
        );

    private Task<T> Post<T>(string path, byte[] json, Func<ReadOnlyMemory<byte>, T> read, CancellationToken cancel)
    {
        var content = new ByteArrayContent(json);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return peer.Call(HttpMethod.Post, path, content, read, cancel);
    }

    public async Task<ReadOutcome> ReadAtWriter(string index, Key key, long minRevision, CancellationToken cancel)
    {
        try
        {
            return (await reads.Call([new PassedRead(index, key, minRevision)], cancel))[0];
        }
        catch (Exception e)
        {
            throw peer.Explain(e, cancel);
        }
    }
}
