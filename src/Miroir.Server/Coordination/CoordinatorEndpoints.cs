using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Http;
using Miroir.Server.Wire;

namespace Miroir.Server.Coordination;

/// <summary>What a coordinator answers routers.</summary>
public static class CoordinatorEndpoints
{
    /// <param name="lost">Told of a router's connection that broke, with the router's name and incarnation.</param>
    public static void Map(IEndpointRouteBuilder app, ICoordinator coordinator, Action<string, long> lost)
    {
        Post(
            app,
            CoordinatorRoutes.Register,
            async (json, cancel) =>
                Codec.routerToBytes(
                    await coordinator.Register(
                        JsonShape.Text(json, "name"),
                        JsonShape.Text(json, "address"),
                        JsonShape.Int64(json, "incarnation"),
                        cancel
                    )
                )
        );
        Post(
            app,
            CoordinatorRoutes.Heartbeat,
            async (HttpContext http, JsonElement json) =>
            {
                var name = JsonShape.Text(json, "name");
                var incarnation = JsonShape.Int64(json, "incarnation");
                Attend(http, name, incarnation, lost);
                var isLive = await coordinator.Heartbeat(name, incarnation, http.RequestAborted);
                return JsonShape.Object(writer => writer.WriteBoolean("isLive", isLive));
            }
        );
        MapIndexes(app, coordinator);
        app.MapGet(
            CoordinatorRoutes.Watch,
            (RequestDelegate)(http => Guard(http, () => Answer(http, Watch(http, coordinator))))
        );
    }

    /// <summary>
    /// A process that ends closes its connections at once, long before its silence is noticed. A connection that just was
    /// idle for long closes as well: whoever is told asks.
    /// </summary>
    private static void Attend(HttpContext http, string name, long incarnation, Action<string, long> lost)
    {
        if (
            http.Features.Get<IConnectionItemsFeature>() is { } connection
            && http.Features.Get<IConnectionLifetimeFeature>() is { } life
            && connection.Items.TryAdd(typeof(CoordinatorEndpoints), incarnation)
        )
            life.ConnectionClosed.UnsafeRegister(_ => lost(name, incarnation), null);
    }

    private static void MapIndexes(IEndpointRouteBuilder app, ICoordinator coordinator)
    {
        Post(
            app,
            CoordinatorRoutes.CreateIndex,
            async (json, cancel) =>
            {
                var request = new CreateIndexRequest(
                    JsonShape.Text(json, "uid"),
                    JsonShape.Text(json, "primaryKey"),
                    JsonShape.Int32(json, "shards"),
                    JsonShape.Int32(json, "replication")
                );
                return Reply(await coordinator.CreateIndex(request, cancel));
            }
        );
        Post(
            app,
            CoordinatorRoutes.SetPrimaryKey,
            async (json, cancel) =>
                Reply(
                    await coordinator.SetPrimaryKey(
                        JsonShape.Text(json, "uid"),
                        JsonShape.Text(json, "primaryKey"),
                        cancel
                    )
                )
        );
        Post(
            app,
            CoordinatorRoutes.DeleteIndex,
            async (json, cancel) => Reply(await coordinator.DeleteIndex(JsonShape.Text(json, "uid"), cancel))
        );
    }

    private static async Task<byte[]> Watch(HttpContext http, ICoordinator coordinator)
    {
        string? text = http.Request.Query["since"];
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var since))
            throw new JsonException($"`since` must be a revision of the routing table, not `{text}`");
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        limit.CancelAfter(CoordinatorRoutes.WatchLimit);
        try
        {
            return Codec.tableToBytes(await coordinator.Watch(since, limit.Token));
        }
        catch (OperationCanceledException) when (!http.RequestAborted.IsCancellationRequested)
        {
            return Codec.tableToBytes(new TableUpdate(since, false, [], [], [], [], [], [], [], []));
        }
    }

    private static byte[] Reply(AdminReply<IndexInfo> reply) =>
        JsonShape.Object(writer => IndexReplyJson.Write(writer, reply));

    private static void Post(
        IEndpointRouteBuilder app,
        string path,
        Func<JsonElement, CancellationToken, Task<byte[]>> handler
    ) => Post(app, path, (HttpContext http, JsonElement json) => handler(json, http.RequestAborted));

    private static void Post(
        IEndpointRouteBuilder app,
        string path,
        Func<HttpContext, JsonElement, Task<byte[]>> handler
    ) =>
        app.MapPost(
            path,
            (RequestDelegate)(
                http =>
                    Guard(
                        http,
                        async () =>
                        {
                            using var body = await PeerAnswers.BodyAsync(http);
                            using var document = JsonDocument.Parse(body.Memory);
                            await Answer(http, handler(http, document.RootElement));
                        }
                    )
            )
        );

    private static Task Guard(HttpContext http, Func<Task> handler) =>
        PeerAnswers.Guard(http, PeerHeaders.Coordinator, "coordinator", handler);

    private static async Task Answer(HttpContext http, Task<byte[]> json) => await PeerAnswers.Json(http, await json);
}
