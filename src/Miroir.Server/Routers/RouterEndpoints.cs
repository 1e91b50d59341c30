using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Miroir.Ports;
using Miroir.Server.Http;
using Miroir.Server.Wire;

namespace Miroir.Server.Routers;

/// <summary>What a router answers other routers.</summary>
public static class RouterEndpoints
{
    public static void Map(IEndpointRouteBuilder app, string name, IRouterPeer router)
    {
        void Post(string path, Func<HttpContext, Task> handler) =>
            app.MapPost(
                path,
                (RequestDelegate)(http => PeerAnswers.Guard(http, PeerHeaders.Router, name, () => handler(http)))
            );

        void Get(string path, Func<CancellationToken, Task<byte[]>> answer) =>
            app.MapGet(
                path,
                (RequestDelegate)(
                    http =>
                        PeerAnswers.Guard(
                            http,
                            PeerHeaders.Router,
                            name,
                            async () => await PeerAnswers.Json(http, await answer(http.RequestAborted))
                        )
                )
            );

        Post(
            RouterRoutes.Write,
            http =>
                PeerAnswers.Batch(
                    http,
                    RouterFrames.WriteCommand,
                    RouterFrames.WriteOutcome,
                    RouterRoutes.MaxCommands,
                    // Revisions only grow, so waiting for the newest that any of them needs serves all of them.
                    (passed, cancel) =>
                        passed.Length == 0
                            ? Task.FromResult(Array.Empty<Core.WriteOutcome>())
                            : router.Write([.. passed.Select(p => p.Command)], passed.Max(p => p.MinRevision), cancel)
                )
        );
        Post(
            RouterRoutes.Read,
            http =>
                PeerAnswers.Batch(
                    http,
                    RouterFrames.ReadCommand,
                    RouterFrames.ReadOutcome,
                    RouterRoutes.MaxCommands,
                    (passed, cancel) =>
                        Task.WhenAll(passed.Select(p => router.ReadAtWriter(p.Index, p.Key, p.MinRevision, cancel)))
                )
        );
        Post(
            RouterRoutes.Inspect,
            http =>
                PeerAnswers.Batch(
                    http,
                    RouterFrames.InspectCommand,
                    RouterFrames.WriteOutcome,
                    1,
                    (passed, cancel) =>
                        Task.WhenAll(passed.Select(p => router.Inspect(p.Inspected, p.MinRevision, cancel)))
                )
        );
        Post(
            RouterRoutes.Repair,
            http =>
                PeerAnswers.Batch(
                    http,
                    RepairFrames.RepairCommand,
                    RepairFrames.RepairOutcome,
                    RouterRoutes.MaxCommands,
                    async (passed, cancel) =>
                    {
                        var answers = await Task.WhenAll(
                            passed
                                .GroupBy(p => p.Command.Index, StringComparer.Ordinal)
                                .Select(group =>
                                    router.Repair(
                                        new Core.RepairCommand(group.Key, [.. group.SelectMany(p => p.Command.Keys)]),
                                        group.Max(p => p.MinRevision),
                                        cancel
                                    )
                                )
                        );
                        return [.. answers.SelectMany(outcomes => outcomes)];
                    }
                )
        );
        Post(
            RouterRoutes.FeedBounds,
            http =>
                PeerAnswers.Batch(
                    http,
                    FeedFrames.FeedBoundCommand,
                    FeedFrames.FeedBound,
                    RouterRoutes.MaxCommands,
                    (passed, cancel) =>
                        passed.Length == 0
                            ? Task.FromResult(Array.Empty<Core.FeedBound>())
                            : router.FeedBounds(
                                [.. passed.Select(p => p.Shard)],
                                passed.Max(p => p.MinRevision),
                                cancel
                            )
                )
        );
        Post(
            RouterRoutes.Drain,
            http =>
                Answer(
                    http,
                    async (json, cancel) => RouterJson.ToJson(await router.Drain(RouterJson.StampOf(json), cancel))
                )
        );
        Post(
            RouterRoutes.FailWrites,
            http =>
                Answer(
                    http,
                    async (json, cancel) =>
                        RouterJson.ToJson(await router.FailWrites(RouterJson.RequestOf(json), cancel))
                )
        );
        Get(RouterRoutes.OpenWrites, async cancel => RouterJson.ToJson(await router.OpenWrites(cancel)));
        Get(RouterRoutes.Incarnation, async cancel => RouterJson.ToJson(await router.Incarnation(cancel)));
    }

    private static async Task Answer(HttpContext http, Func<JsonElement, CancellationToken, Task<byte[]>> answer)
    {
        using var body = await PeerAnswers.BodyAsync(http);
        using var document = JsonDocument.Parse(body.Memory);
        await PeerAnswers.Json(http, await answer(document.RootElement, http.RequestAborted));
    }
}
