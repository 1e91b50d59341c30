using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Miroir.Ports;
using Miroir.Server.Http;
using Miroir.Server.Wire;

namespace Miroir.Server.Node;

/// <summary>A node's side of its wire.</summary>
public static class NodeEndpoints
{
    public static void Map(IEndpointRouteBuilder app, INode node)
    {
        void Post(string path, Func<HttpContext, Task> handler) =>
            app.MapPost(
                path,
                (RequestDelegate)(http => PeerAnswers.Guard(http, PeerHeaders.Node, node.Name, () => handler(http)))
            );

        Post(
            NodeRoutes.Put,
            http =>
                PeerAnswers.Batch(
                    http,
                    NodeFrames.PutCommand,
                    NodeFrames.PutReply,
                    NodeRoutes.MaxCommands,
                    (commands, cancel) => node.Put(commands, cancel)
                )
        );
        Post(
            NodeRoutes.Read,
            http =>
                PeerAnswers.Batch(
                    http,
                    NodeFrames.ReadCommand,
                    NodeFrames.ReadReply,
                    NodeRoutes.MaxCommands,
                    (commands, cancel) => node.Read(commands, cancel)
                )
        );
        Post(
            NodeRoutes.Barriers,
            http =>
                PeerAnswers.Batch(
                    http,
                    NodeFrames.BarrierCommand,
                    NodeFrames.BarrierReply,
                    NodeRoutes.MaxCommands,
                    (commands, cancel) => node.RaiseBarriers(commands, cancel)
                )
        );
        Post(
            NodeRoutes.Make,
            http =>
                PeerAnswers.Batch(
                    http,
                    StoreFrames.MakeCommand,
                    StoreFrames.MakeReply,
                    1,
                    (commands, cancel) => Each(commands, command => node.Make(command, cancel))
                )
        );
        Post(
            NodeRoutes.Drop,
            http =>
                PeerAnswers.Batch(
                    http,
                    StoreFrames.DropCommand,
                    StoreFrames.DropReply,
                    1,
                    (commands, cancel) => Each(commands, command => node.Drop(command, cancel))
                )
        );
        Post(
            NodeRoutes.Scan,
            http => PeerAnswers.Stream(http, ScanFrames.ScanCommand, ScanFrames.ScanReply, node.Scan)
        );
        Post(
            NodeRoutes.Reconcile,
            http =>
                PeerAnswers.Stream(
                    http,
                    ReconcileFrames.ReconcileCommand,
                    ReconcileFrames.ReconcileReply,
                    node.Reconcile
                )
        );
        Post(
            NodeRoutes.Digests,
            http =>
                PeerAnswers.Batch(
                    http,
                    EntropyFrames.DigestCommand,
                    EntropyFrames.DigestReply,
                    1,
                    (commands, cancel) => Each(commands, command => node.Digests(command, cancel))
                )
        );
        Post(
            NodeRoutes.ScanRanges,
            http => PeerAnswers.Stream(http, EntropyFrames.RangesCommand, ScanFrames.ScanReply, node.ScanRanges)
        );
        Post(
            NodeRoutes.Heal,
            http =>
                PeerAnswers.Batch(
                    http,
                    EntropyFrames.HealCommand,
                    EntropyFrames.HealReply,
                    NodeRoutes.MaxCommands,
                    (commands, cancel) => node.Heal(commands, cancel)
                )
        );
        Post(
            NodeRoutes.Scrub,
            http =>
                PeerAnswers.Batch(
                    http,
                    EntropyFrames.ScrubCommand,
                    EntropyFrames.ScrubReply,
                    1,
                    (commands, cancel) => Each(commands, command => node.Scrub(command, cancel))
                )
        );
        Post(
            NodeRoutes.Purge,
            http =>
                PeerAnswers.Batch(
                    http,
                    EntropyFrames.PurgeCommand,
                    EntropyFrames.PurgeReply,
                    1,
                    (commands, cancel) => Each(commands, command => node.Purge(command, cancel))
                )
        );
        Post(
            NodeRoutes.Changes,
            http =>
                PeerAnswers.Batch(
                    http,
                    FeedFrames.ChangesCommand,
                    FeedFrames.ChangesReply,
                    1,
                    (commands, cancel) => Each(commands, command => node.Changes(command, cancel))
                )
        );
        Post(
            NodeRoutes.LogChanges,
            http =>
                PeerAnswers.Batch(
                    http,
                    FeedFrames.LogChangesCommand,
                    FeedFrames.LogChangesReply,
                    1,
                    (commands, cancel) => Each(commands, command => node.LogChanges(command, cancel))
                )
        );
        app.MapGet(
            NodeRoutes.Status,
            (RequestDelegate)(
                http =>
                    PeerAnswers.Guard(
                        http,
                        PeerHeaders.Node,
                        node.Name,
                        async () =>
                        {
                            var status = await node.Status(http.RequestAborted);
                            var body = JsonSerializer.SerializeToUtf8Bytes(status, ClusterJson.Default.NodeStatus);
                            await PeerAnswers.Json(http, body);
                        }
                    )
            )
        );
    }

    private static async Task<TReply[]> Each<TCommand, TReply>(TCommand[] commands, Func<TCommand, Task<TReply>> answer)
    {
        var replies = new TReply[commands.Length];
        for (var i = 0; i < commands.Length; i++)
            replies[i] = await answer(commands[i]);
        return replies;
    }
}
