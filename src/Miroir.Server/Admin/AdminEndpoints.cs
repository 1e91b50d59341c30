using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Http;
using Miroir.Server.Wire;
using static Miroir.Server.Admin.AdminAnswers;

namespace Miroir.Server.Admin;

/// <summary>What an operator's tools ask, under <c>/_miroir/</c>. docs/admin-api.md has the shapes.</summary>
public static class AdminEndpoints
{
    private const string Prefix = "/_miroir";
    private const int DefaultThrottle = 10_000;

    /// <summary>What a request at <paramref name="path"/> may have: small objects, but for a plan's documents.</summary>
    internal static int MaxBodyBytes(PathString path) =>
        path == $"{Prefix}{AntiEntropyEndpoints.Passes}" ? AntiEntropyEndpoints.MaxPlanBytes : JsonFields.MaxBodyBytes;

    public static void Map(IEndpointRouteBuilder app, IAdmin admin, IAntiEntropy antiEntropy)
    {
        var group = app.MapGroup(Prefix);
        Get(group, "/cluster", async (_, cancel) => Json(await admin.Cluster(cancel), ClusterJson.Default.ClusterView));
        MapNodes(group, admin);
        Get(
            group,
            "/indexes/{uid}/routes",
            async (http, cancel) =>
            {
                var uid = (string)http.Request.RouteValues["uid"]!;
                return List(await admin.Routes(uid, cancel), ClusterJson.Default.RouteArray);
            }
        );
        MapReshards(group, admin);
        MapWrites(group, admin);
        AntiEntropyEndpoints.Map(group, antiEntropy);
        group.Map(
            "/{**rest}",
            (RequestDelegate)(
                http =>
                    ErrorAnswers.Guard(
                        http,
                        _ =>
                            throw new RefusedException(
                                "not_found",
                                $"there is no route {http.Request.Method} {http.Request.Path}: docs/admin-api.md lists them"
                            )
                    )
            )
        );
    }

    private static void MapNodes(RouteGroupBuilder group, IAdmin admin)
    {
        Get(
            group,
            "/nodes",
            async (_, cancel) =>
                List(AdminReply<NodeView[]>.Ok((await admin.Cluster(cancel)).Nodes), ClusterJson.Default.NodeViewArray)
        );
        Post(
            group,
            "/nodes",
            async (http, cancel) =>
            {
                var body = await JsonFields.ReadAsync(http.Request.Body, cancel);
                var request = new AddNodeRequest(
                    body.Text("name"),
                    NodeAddress(body.Text("address")),
                    body.Text("zone", ""),
                    body.PositiveNumber("weight", 1),
                    body.Integer("capacityBytes", 0, 0, long.MaxValue)
                );
                body.End();
                return Json(await admin.AddNode(request, cancel), ClusterJson.Default.NodeInfo, 201);
            }
        );
        Get(
            group,
            "/nodes/{name}",
            async (http, cancel) =>
                Json(
                    await admin.NodeStores((string)http.Request.RouteValues["name"]!, cancel),
                    ClusterJson.Default.NodeStatus
                )
        );
    }

    private static void MapReshards(RouteGroupBuilder group, IAdmin admin)
    {
        Post(
            group,
            "/reshards",
            async (http, cancel) =>
            {
                var body = await JsonFields.ReadAsync(http.Request.Body, cancel);
                var request = new StartReshardRequest(
                    body.Text("index"),
                    (int)body.Integer("newShards", 0, 0, Layout.MaxShards),
                    (int)body.Integer("throttle", DefaultThrottle, 0, int.MaxValue),
                    body.Flag("dryRun", false),
                    body.Flag("skipDeltaPass", false)
                );
                body.End();
                var reply = await admin.StartReshard(request, cancel);
                return Json(reply, ClusterJson.Default.MigrationView, request.DryRun ? 200 : 201);
            }
        );
        Get(
            group,
            "/reshards",
            async (http, cancel) =>
            {
                string? index = http.Request.Query["index"];
                var all = await admin.Migrations(cancel);
                var some = all.Where(m => index is null || m.Index == index).OrderByDescending(m => m.Id).ToArray();
                return List(AdminReply<MigrationView[]>.Ok(some), ClusterJson.Default.MigrationViewArray);
            }
        );
        Get(
            group,
            "/reshards/{id}",
            async (http, cancel) =>
                Json(await admin.Migration(Selector(http.Request), cancel), ClusterJson.Default.MigrationView)
        );
        (string Verb, Func<MigrationSelector, CancellationToken, Task<AdminReply<MigrationView>>> Call)[] verbs =
        [
            ("cutover", admin.Cutover),
            ("abort", admin.Abort),
            ("pause", admin.Pause),
            ("resume", admin.Resume),
        ];
        foreach (var (verb, call) in verbs)
            Post(
                group,
                $"/reshards/{{id}}/{verb}",
                async (http, cancel) =>
                    Json(await call(Selector(http.Request), cancel), ClusterJson.Default.MigrationView)
            );
        Post(
            group,
            "/reshards/{id}/revert",
            async (http, cancel) =>
            {
                var body = await JsonFields.ReadAsync(http.Request.Body, cancel);
                var request = new RevertRequest(
                    Selector(http.Request),
                    (int)body.Integer("firstShard", 0, 0, Layout.MaxShards - 1),
                    (int)body.Integer("lastShard", -1, 0, Layout.MaxShards - 1),
                    body.Flag("force", false)
                );
                body.End();
                return Json(await admin.Revert(request, cancel), ClusterJson.Default.MigrationView);
            }
        );
        group.MapMethods(
            "/reshards/{id}",
            ["PATCH"],
            http =>
                Answer(
                    http,
                    async (_, cancel) =>
                    {
                        var body = await JsonFields.ReadAsync(http.Request.Body, cancel);
                        var throttle = (int)body.Integer("throttle", -1, 0, int.MaxValue);
                        var drainTimeoutMs = (int)body.Integer("drainTimeoutMs", -1, 1, int.MaxValue);
                        body.End();
                        return Json(
                            await admin.Set(Selector(http.Request), throttle, drainTimeoutMs, cancel),
                            ClusterJson.Default.MigrationView
                        );
                    }
                )
        );
    }

    private static void MapWrites(RouteGroupBuilder group, IAdmin admin)
    {
        Get(
            group,
            "/writes",
            async (http, cancel) =>
            {
                string index = (string?)http.Request.Query["index"] ?? "";
                string? stuck = http.Request.Query["stuck"];
                var onlyStuck = stuck switch
                {
                    null or "false" => false,
                    "true" => true,
                    _ => throw new BadRequestException(
                        "invalid_stuck",
                        $"`stuck` must be true or false, not `{stuck}`"
                    ),
                };
                return Json(await admin.OpenWrites(index, onlyStuck, cancel), ClusterJson.Default.OpenWritesView);
            }
        );
        Post(
            group,
            "/writes/fail",
            async (http, cancel) =>
            {
                var body = await JsonFields.ReadAsync(http.Request.Body, cancel);
                var request = new FailWritesRequest(body.Text("docId"), body.Text("index", ""), body.Text("reason"));
                body.End();
                return Json(await admin.FailWrites(request, cancel), ClusterJson.Default.OpenWritesView);
            }
        );
    }

    /// <summary>A migration by its number, or <c>latest</c> with <c>?index=UID</c>.</summary>
    private static MigrationSelector Selector(HttpRequest request)
    {
        var id = (string)request.RouteValues["id"]!;
        string index = (string?)request.Query["index"] ?? "";
        if (id == "latest")
            return index == ""
                ? throw new BadRequestException(
                    "missing_index",
                    "`latest` needs to know of which index: add `?index=UID`"
                )
                : new MigrationSelector(0, index);
        return long.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? new MigrationSelector(number, index)
            : throw new BadRequestException(
                "invalid_migration_id",
                $"a migration is named by its number, or by `latest` with `?index=UID`, not by `{id}`"
            );
    }

    private static string NodeAddress(string address) =>
        Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
            ? address.TrimEnd('/')
            : throw new BadRequestException(
                "invalid_address",
                $"`address` must be a node's base address such as http://127.0.0.1:7001, not `{address}`"
            );
}
