using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Http;
using Miroir.Server.Wire;
using static Miroir.Server.Admin.AdminAnswers;

namespace Miroir.Server.Admin;

/// <summary>Anti-entropy for an operator's tools. docs/admin-api.md has the shapes.</summary>
internal static class AntiEntropyEndpoints
{
    /// <summary>Below the admin API's prefix: where passes are begun and looked at.</summary>
    public const string Passes = "/anti-entropy/passes";

    /// <summary>Room for as many documents as a plan may have, with keys of any length.</summary>
    public const int MaxPlanBytes = 32 << 20;

    private const int DefaultHistory = 100;
    private const int MaxHistory = 1_000;

    public static void Map(RouteGroupBuilder group, IAntiEntropy antiEntropy)
    {
        Get(
            group,
            "/anti-entropy",
            async (http, cancel) =>
            {
                var reply = await antiEntropy.State(Index(http.Request), cancel);
                return reply.IsOk
                    ? Json(reply.Value.WithoutDocuments(), ClusterJson.Default.AntiEntropyView)
                    : Refused(reply.Message, reply.Code);
            }
        );
        Get(
            group,
            Passes,
            async (http, cancel) =>
            {
                var limit = (int)Number(http.Request, "limit", DefaultHistory, 1, MaxHistory);
                var reply = await antiEntropy.History(Index(http.Request), limit, cancel);
                return List(
                    reply.IsOk
                        ? AdminReply<PassView[]>.Ok([.. reply.Value.Select(pass => pass.WithoutDocuments())])
                        : reply,
                    ClusterJson.Default.PassViewArray
                );
            }
        );
        Post(
            group,
            Passes,
            async (http, cancel) =>
                Json(
                    await antiEntropy.Start(await ReadRequest(http.Request, cancel), cancel),
                    ClusterJson.Default.PassView,
                    201
                )
        );
        Get(
            group,
            $"{Passes}/{{id}}",
            async (http, cancel) =>
            {
                var withDocuments = WithDocuments(http.Request);
                var reply = await antiEntropy.Pass(Id(http.Request), cancel);
                return reply.IsOk && !withDocuments
                    ? Json(reply.Value.WithoutDocuments(), ClusterJson.Default.PassView)
                    : Json(reply, ClusterJson.Default.PassView);
            }
        );
    }

    private static async Task<PassRequest> ReadRequest(HttpRequest request, CancellationToken cancel)
    {
        var body = await JsonFields.ReadAsync(request.Body, cancel, MaxPlanBytes);
        var index = body.Text("index");
        var kind = body.Text("kind");
        var first = (int)body.Integer("firstShard", 0, 0, Layout.MaxShards - 1);
        var last = (int)body.Integer("lastShard", -1, 0, Layout.MaxShards - 1);
        var plan = body.Items("plan");
        body.End();
        return new PassRequest(index, kind, first, last, plan is null ? [] : Documents(plan, kind));
    }

    /// <summary>
    /// A plan is for a run. One without documents is refused: to the port it would mean "whatever differs".
    /// </summary>
    private static DivergenceView[] Documents(JsonElement[] plan, string kind)
    {
        if (kind != "run")
            throw Bad($"`plan` goes with `kind` run, not with {kind}");
        if (plan.Length is 0 or > PlannedDocument.MaxCount)
            throw Bad(
                $"`plan` must have 1 to {PlannedDocument.MaxCount} documents, not {plan.Length}; leave it out to repair whatever differs"
            );
        return [.. plan.Select(Document)];
    }

    private static DivergenceView Document(JsonElement json, int at)
    {
        DivergenceView? document;
        try
        {
            document = json.Deserialize(ClusterJson.Default.DivergenceView);
        }
        catch (JsonException e)
        {
            throw Bad($"`plan[{at}]` is no document of a plan: {e.Message}");
        }
        if (document is null)
            throw Bad($"`plan[{at}]` must be a document, not null");
        var problem = PlannedDocument.problem(document);
        return problem.IsNone ? document : throw Bad($"`plan[{at}].{problem.Value.Item1}` {problem.Value.Item2}");
    }

    private static BadRequestException Bad(string message) => new("invalid_plan", message);

    private static string Index(HttpRequest request) => (string?)request.Query["index"] ?? "";

    private static long Id(HttpRequest request)
    {
        var id = (string)request.RouteValues["id"]!;
        return long.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw new BadRequestException("invalid_pass_id", $"a pass is named by its number, not by `{id}`");
    }

    private static bool WithDocuments(HttpRequest request) =>
        (string?)request.Query["documents"] switch
        {
            null or "true" => true,
            "false" => false,
            var other => throw new BadRequestException(
                "invalid_documents",
                $"`documents` must be true or false, not `{other}`"
            ),
        };

    private static long Number(HttpRequest request, string name, long otherwise, long least, long most)
    {
        string? text = request.Query[name];
        return text is null ? otherwise
            : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number >= least
            && number <= most
                ? number
            : throw new BadRequestException(
                $"invalid_{name}",
                $"`{name}` must be a whole number from {least} to {most}, not `{text}`"
            );
    }
}
