using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>Routes for indexes as a whole.</summary>
internal static class IndexRoutes
{
    public static Task ListAsync(HttpContext http, ApiContext api)
    {
        var query = ApiQuery.Of(http.Request, "offset", "limit");
        var offset = query.Number("offset", "invalid_index_offset", 0, int.MaxValue);
        var limit = query.Number("limit", "invalid_index_limit", ReadRoutes.DefaultLimit, int.MaxValue);
        var all = api.Documents.Table.Indexes;
        return JsonAnswer.SendAsync(
            http,
            StatusCodes.Status200OK,
            json =>
            {
                json.WriteStartArray("results");
                foreach (var index in all.Skip((int)offset).Take((int)limit))
                {
                    json.WriteStartObject();
                    Write(json, index);
                    json.WriteEndObject();
                }
                json.WriteEndArray();
                json.WriteNumber("offset", offset);
                json.WriteNumber("limit", limit);
                json.WriteNumber("total", all.Length);
            }
        );
    }

    public static Task GetAsync(HttpContext http, ApiContext api, string uid)
    {
        ApiQuery.Of(http.Request);
        var index = IndexNames.Known(api.Documents, uid);
        return JsonAnswer.SendAsync(http, StatusCodes.Status200OK, json => Write(json, index));
    }

    public static async Task CreateAsync(HttpContext http, ApiContext api)
    {
        var enqueuedAt = api.NowUnixMs;
        var body = await FieldsAsync(http);
        var uid = body.Text("uid", "");
        var primaryKey = body.Text("primaryKey", "");
        var shards = (int)body.Integer("shards", 0, 1, Layout.MaxShards);
        var replication = (int)body.Integer("replication", 0, 1, 100);
        body.End();
        if (uid == "")
            throw new RefusedException("missing_index_uid", "`uid`, the name of the index, is missing from the body");
        IndexNames.CheckUid(uid);
        if (primaryKey != "")
            IndexNames.CheckPrimaryKey(primaryKey);
        var error = await CallAsync(
            api,
            http.RequestAborted,
            cancel => api.Coordinator.CreateIndex(new CreateIndexRequest(uid, primaryKey, shards, replication), cancel),
            table => table.TryIndex(uid).IsSome
        );
        // Clients say "create" at each of their starts, and wait for the task: the one refusal that has one.
        if (error is not null && error.Code != "index_already_exists")
            throw new RefusedException(error);
        await AcceptAsync(http, api, "indexCreation", uid, enqueuedAt, primaryKey, error);
    }

    public static async Task UpdateAsync(HttpContext http, ApiContext api, string uid)
    {
        var enqueuedAt = api.NowUnixMs;
        var known = IndexNames.Known(api.Documents, uid);
        var body = await FieldsAsync(http);
        var newUid = body.Text("uid", uid);
        var primaryKey = body.Text("primaryKey", "");
        body.End();
        if (newUid != uid)
            throw new RefusedException("immutable_index_uid", "an index keeps the uid that it was made with");
        if (primaryKey != "" && primaryKey != known.PrimaryKey)
        {
            IndexNames.CheckPrimaryKey(primaryKey);
            if (known.PrimaryKey != "")
                throw new RefusedException(
                    "index_primary_key_already_exists",
                    $"index `{uid}` has the primary key `{known.PrimaryKey}`, and it can't be changed"
                );
            var error = await CallAsync(
                api,
                http.RequestAborted,
                cancel => api.Coordinator.SetPrimaryKey(uid, primaryKey, cancel),
                table => table.TryIndex(uid) is { IsSome: true, Value.PrimaryKey: not "" }
            );
            if (error is not null)
                throw new RefusedException(error);
        }
        await AcceptAsync(http, api, "indexUpdate", uid, enqueuedAt, primaryKey, null);
    }

    public static async Task DeleteAsync(HttpContext http, ApiContext api, string uid)
    {
        var enqueuedAt = api.NowUnixMs;
        ApiQuery.Of(http.Request, "customMetadata");
        IndexNames.Known(api.Documents, uid);
        long deleted = 0;
        using (var limit = new TimeLimit(api.Options.ReadTimeoutMs, api.Options.Time, http.RequestAborted))
        {
            try
            {
                var statistics = await api.Documents.Statistics(uid, limit.Token);
                deleted = statistics.IsOk ? statistics.Value.Documents : 0;
            }
            catch (OperationCanceledException) when (limit.IsOver)
            {
                // Only the count in the task's details is lost.
            }
        }
        var error = await CallAsync(
            api,
            http.RequestAborted,
            cancel => api.Coordinator.DeleteIndex(uid, cancel),
            table => table.TryIndex(uid).IsNone
        );
        if (error is not null)
            throw new RefusedException(error);
        await TaskAnswers.AcceptAsync(
            http,
            api,
            "indexDeletion",
            uid,
            enqueuedAt,
            json => json.WriteNumber("deletedDocuments", deleted),
            null
        );
    }

    private static Task AcceptAsync(
        HttpContext http,
        ApiContext api,
        string type,
        string uid,
        long enqueuedAt,
        string primaryKey,
        ApiError? error
    ) =>
        TaskAnswers.AcceptAsync(
            http,
            api,
            type,
            uid,
            enqueuedAt,
            json =>
            {
                if (primaryKey == "")
                    json.WriteNull("primaryKey");
                else
                    json.WriteString("primaryKey", primaryKey);
            },
            error
        );

    /// <summary>Null where it is done, and this router's table shows it.</summary>
    private static async Task<ApiError?> CallAsync(
        ApiContext api,
        CancellationToken cancel,
        Func<CancellationToken, Task<AdminReply<IndexInfo>>> call,
        Func<RoutingTable, bool> shows
    )
    {
        using var limit = new TimeLimit(api.Options.CoordinatorTimeoutMs, api.Options.Time, cancel);
        try
        {
            var reply = await call(limit.Token);
            if (!reply.IsOk)
                return new ApiError(reply.Message, reply.Code);
            await TableWait.UntilAsync(api.Documents, api.Options, shows, limit.Token);
            return null;
        }
        catch (OperationCanceledException) when (limit.IsOver)
        {
            return new ApiError(
                $"it was not done and known here within {api.Options.CoordinatorTimeoutMs} ms; it may be done later: ask for the index, then try again",
                "unavailable"
            );
        }
    }

    private static async Task<JsonFields> FieldsAsync(HttpContext http)
    {
        ApiQuery.Of(http.Request, "customMetadata");
        RequestBody.Format(http.Request, ndjson: false);
        return JsonFields.Parse(await RequestBody.ReadAllAsync(http, JsonFields.MaxBodyBytes, http.RequestAborted));
    }

    private static void Write(Utf8JsonWriter json, IndexInfo index)
    {
        json.WriteString("uid", index.Uid);
        json.WriteString("createdAt", TaskAnswers.Time(index.CreatedAtUnixMs));
        json.WriteString("updatedAt", TaskAnswers.Time(index.UpdatedAtUnixMs));
        if (index.PrimaryKey == "")
            json.WriteNull("primaryKey");
        else
            json.WriteString("primaryKey", index.PrimaryKey);
        json.WriteNumber("shards", index.Layout.ShardCount);
        json.WriteNumber("replication", index.Replication);
    }
}
