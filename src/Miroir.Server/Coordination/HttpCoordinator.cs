using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Http;
using Miroir.Server.Wire;

namespace Miroir.Server.Coordination;

/// <summary>The coordinator behind its wire.</summary>
/// <param name="address">Its base address, such as http://127.0.0.1:7710.</param>
public sealed class HttpCoordinator(string address, WireLimits? limits = null) : ICoordinator, IDisposable
{
    private readonly PeerTransport transport = new(limits ?? WireLimits.Default, HttpVersion.Version11);
    private PeerClient? client;

    // Any coordinator will do: which one leads is the metadata's to say.
    private PeerClient Peer =>
        client ??= new PeerClient(transport, PeerHeaders.Coordinator, "coordinator", "", address.TrimEnd('/'));

    public Task<RouterInfo> Register(string name, string routerAddress, long incarnation, CancellationToken cancel) =>
        Post(
            CoordinatorRoutes.Register,
            json =>
            {
                json.WriteString("name", name);
                json.WriteString("address", routerAddress);
                json.WriteNumber("incarnation", incarnation);
            },
            Codec.routerOfBytes,
            cancel
        );

    public Task<bool> Heartbeat(string name, long incarnation, CancellationToken cancel) =>
        Post(
            CoordinatorRoutes.Heartbeat,
            json =>
            {
                json.WriteString("name", name);
                json.WriteNumber("incarnation", incarnation);
            },
            utf8 =>
            {
                using var document = JsonDocument.Parse(utf8);
                return JsonShape.Field(document.RootElement, "isLive").GetBoolean();
            },
            cancel
        );

    public Task<TableUpdate> Watch(long sinceRevision, CancellationToken cancel) =>
        Call(
            HttpMethod.Get,
            $"{CoordinatorRoutes.Watch}?since={sinceRevision.ToString(CultureInfo.InvariantCulture)}",
            null,
            Codec.tableOfBytes,
            cancel
        );

    public Task<AdminReply<IndexInfo>> CreateIndex(CreateIndexRequest request, CancellationToken cancel) =>
        Post(
            CoordinatorRoutes.CreateIndex,
            json =>
            {
                json.WriteString("uid", request.Uid);
                json.WriteString("primaryKey", request.PrimaryKey);
                json.WriteNumber("shards", request.Shards);
                json.WriteNumber("replication", request.Replication);
            },
            IndexReplyJson.Read,
            cancel
        );

    public Task<AdminReply<IndexInfo>> SetPrimaryKey(string uid, string primaryKey, CancellationToken cancel) =>
        Post(
            CoordinatorRoutes.SetPrimaryKey,
            json =>
            {
                json.WriteString("uid", uid);
                json.WriteString("primaryKey", primaryKey);
            },
            IndexReplyJson.Read,
            cancel
        );

    public Task<AdminReply<IndexInfo>> DeleteIndex(string uid, CancellationToken cancel) =>
        Post(CoordinatorRoutes.DeleteIndex, json => json.WriteString("uid", uid), IndexReplyJson.Read, cancel);

    public void Dispose() => transport.Dispose();

    private Task<T> Post<T>(
        string path,
        Action<Utf8JsonWriter> fields,
        Func<ReadOnlyMemory<byte>, T> read,
        CancellationToken cancel
    )
    {
        var content = new ByteArrayContent(JsonShape.Object(fields));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return Call(HttpMethod.Post, path, content, read, cancel);
    }

    /// <summary>As in one process: a caller that gives up gets its cancellation, not a coordinator that is away.</summary>
    private async Task<T> Call<T>(
        HttpMethod method,
        string path,
        HttpContent? content,
        Func<ReadOnlyMemory<byte>, T> read,
        CancellationToken cancel
    )
    {
        try
        {
            return await Peer.Call(method, path, content, read, cancel);
        }
        catch (UnreachableException e) when (cancel.IsCancellationRequested)
        {
            throw new OperationCanceledException(e.Message, e, cancel);
        }
    }
}
