using System.Globalization;
using Microsoft.AspNetCore.Http;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>Tasks: this router's, and by number those of any router.</summary>
internal static class TaskRoutes
{
    private const string Forwarded = "x-miroir-forwarded";
    private const int MaxLimit = 1000;
    private const int MaxAnswerBytes = 1 << 20;

    private static readonly string[] Types =
    [
        "documentAdditionOrUpdate",
        "documentEdition",
        "documentDeletion",
        "settingsUpdate",
        "indexCreation",
        "indexDeletion",
        "indexUpdate",
        "indexSwap",
        "indexCompaction",
        "taskCancelation",
        "taskDeletion",
        "dumpCreation",
        "snapshotCreation",
        "upgradeDatabase",
        "networkTopologyChange",
        "dsrUpdate",
        "dsrClear",
    ];

    private static readonly string[] Statuses = ["enqueued", "processing", "succeeded", "failed", "canceled"];

    public static async Task GetAsync(HttpContext http, ApiContext api, string text)
    {
        ApiQuery.Of(http.Request);
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var uid))
            throw new RefusedException(
                "invalid_task_uids",
                $"a task is named by its number, not by `{JsonText.Shown(text, 60)}`"
            );
        var number = TaskUid.router(uid);
        if (number != api.Tasks.Router && !http.Request.Headers.ContainsKey(Forwarded))
        {
            await ForwardAsync(http, api, uid, number);
            return;
        }
        var task = await api.Tasks.Find(uid, http.RequestAborted);
        if (task.IsNone)
            throw NotFound($"there is no task {uid}: it was never given out, or is among the oldest, which are let go");
        await JsonAnswer.SendAsync(http, StatusCodes.Status200OK, json => TaskAnswers.Write(json, task.Value));
    }

    public static async Task ListAsync(HttpContext http, ApiContext api)
    {
        var query = ApiQuery.Of(
            http.Request,
            "limit",
            "from",
            "reverse",
            "uids",
            "statuses",
            "types",
            "indexUids",
            "canceledBy",
            "batchUids",
            "afterEnqueuedAt",
            "beforeEnqueuedAt",
            "afterStartedAt",
            "beforeStartedAt",
            "afterFinishedAt",
            "beforeFinishedAt"
        );
        var limit = (int)query.Number("limit", "invalid_task_limit", ReadRoutes.DefaultLimit, MaxLimit);
        var oldestFirst = query.Flag("reverse");
        // A task starts when it comes in; none is canceled, and none is in a batch with others.
        var asked = new TaskQuery(
            limit + 1,
            query.Number("from", "invalid_task_from", -1, long.MaxValue),
            oldestFirst,
            [.. query.List("uids").Select(Uid)],
            Known(query, "statuses", Statuses),
            Known(query, "types", Types),
            [.. query.List("indexUids").Select(IndexUid)],
            Math.Max(query.UnixMs("afterEnqueuedAt"), query.UnixMs("afterStartedAt")),
            Earliest(query.UnixMs("beforeEnqueuedAt"), query.UnixMs("beforeStartedAt")),
            query.UnixMs("afterFinishedAt"),
            query.UnixMs("beforeFinishedAt")
        );
        var page =
            query.List("canceledBy").Length > 0 || query.List("batchUids").Length > 0
                ? new TaskPage([], 0)
                : await api.Tasks.List(asked, http.RequestAborted);
        var tasks = page.Tasks.Take(limit).ToArray();
        await JsonAnswer.SendAsync(
            http,
            StatusCodes.Status200OK,
            json =>
            {
                json.WriteStartArray("results");
                foreach (var task in tasks)
                {
                    json.WriteStartObject();
                    TaskAnswers.Write(json, task);
                    json.WriteEndObject();
                }
                json.WriteEndArray();
                json.WriteNumber("total", page.Total);
                json.WriteNumber("limit", limit);
                if (tasks.Length == 0)
                    json.WriteNull("from");
                else
                    json.WriteNumber("from", tasks[0].Uid);
                if (page.Tasks.Length <= limit)
                    json.WriteNull("next");
                else
                    json.WriteNumber("next", page.Tasks[limit].Uid);
            }
        );
    }

    /// <summary>The router that made a task has it: its answer is passed on.</summary>
    private static async Task ForwardAsync(HttpContext http, ApiContext api, long uid, int number)
    {
        var router = api.Documents.Table.Routers.FirstOrDefault(r => r.Number == number);
        if (router is null || api.Options.Peers is null)
            throw NotFound($"there is no task {uid}: its number names router {number}, which is not known here");
        using var limit = new TimeLimit(api.Options.ReadTimeoutMs, api.Options.Time, http.RequestAborted);
        try
        {
            using var request = new HttpRequestMessage(
                HttpMethod.Get,
                $"{router.Address.TrimEnd('/')}/tasks/{uid.ToString(CultureInfo.InvariantCulture)}"
            );
            request.Headers.Add(Forwarded, "1");
            request.Headers.TryAddWithoutValidation("Authorization", http.Request.Headers.Authorization.ToString());
            using var answer = await api.Options.Peers.SendAsync(request, limit.Token);
            await answer.Content.LoadIntoBufferAsync(MaxAnswerBytes, limit.Token);
            await JsonAnswer.SendAsync(
                http,
                (int)answer.StatusCode,
                await answer.Content.ReadAsByteArrayAsync(limit.Token)
            );
        }
        catch (Exception e) when (e is HttpRequestException || (e is OperationCanceledException && limit.IsOver))
        {
            throw new RefusedException(
                "unavailable",
                $"task {uid} is kept by router `{router.Name}`, which does not answer: try again"
            );
        }
    }

    private static long Uid(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var uid)
            ? uid
            : throw new RefusedException("invalid_task_uids", $"`uids` must be numbers between commas, not `{text}`");

    private static string IndexUid(string text)
    {
        try
        {
            return IndexNames.CheckUid(text);
        }
        catch (RefusedException e)
        {
            throw new RefusedException("invalid_task_index_uids", $"`indexUids`: {e.Message}");
        }
    }

    private static string[] Known(ApiQuery query, string name, string[] known) =>
        [
            .. query
                .List(name)
                .Select(text =>
                    Array.Find(known, k => k.Equals(text, StringComparison.OrdinalIgnoreCase))
                    ?? throw new RefusedException(
                        $"invalid_task_{name}",
                        $"`{text}` is none of the {name}: expected `{string.Join("`, `", known)}`"
                    )
                ),
        ];

    private static long Earliest(long a, long b) =>
        a == 0 ? b
        : b == 0 ? a
        : Math.Min(a, b);

    private static RefusedException NotFound(string message) => new("task_not_found", message);
}
