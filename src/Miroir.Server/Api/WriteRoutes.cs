using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Miroir.Core;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>Routes that write documents. The 202 is sent when every document's outcome is known, or known to be unknown.</summary>
internal static class WriteRoutes
{
    private const string Addition = "documentAdditionOrUpdate";
    private const string Deletion = "documentDeletion";

    public static async Task AddAsync(HttpContext http, ApiContext api, string uid, WriteIntent intent)
    {
        var enqueuedAt = api.NowUnixMs;
        var cancel = http.RequestAborted;
        IndexNames.CheckUid(uid);
        var query = ApiQuery.Of(http.Request, "primaryKey", "customMetadata");
        var headers = WriteHeaders.Of(http.Request);
        var format = RequestBody.Format(http.Request, ndjson: true);
        var target = new IndexTarget(api.Documents, api.Coordinator, api.Options, uid, query.Text("primaryKey"));
        var writer = new DocumentWriter(api.Documents, api.Options, uid, intent, headers, target.EnsureAsync);
        var intake = new DocumentIntake(target, writer, headers, api.Options, format);
        if (format == BodyFormat.Json)
        {
            var body = await RequestBody.ReadAllAsync(http, api.Options.MaxJsonBodyBytes, cancel);
            var documents = JsonDocuments.Of(body, api.Options);
            if (documents.Count == 0)
                await target.EnsureAsync(cancel);
            foreach (var document in documents)
                await intake.TakeAsync(document, cancel);
        }
        else
        {
            RequestBody.LiftServerLimit(http);
            await intake.TakeLinesAsync(http.Request.BodyReader, cancel);
        }
        await writer.CompleteAsync(cancel);
        var tally = writer.Tally;
        await AnswerAsync(
            http,
            api,
            Addition,
            uid,
            enqueuedAt,
            tally,
            json =>
            {
                json.WriteNumber("receivedDocuments", tally.Received);
                json.WriteNumber("indexedDocuments", tally.Written);
            }
        );
    }

    public static Task DeleteOneAsync(HttpContext http, ApiContext api, string uid, string id)
    {
        IndexNames.Known(api.Documents, uid);
        ApiQuery.Of(http.Request, "customMetadata");
        return DeleteAsync(http, api, uid, [IndexNames.CheckKey(id)]);
    }

    public static async Task DeleteBatchAsync(HttpContext http, ApiContext api, string uid)
    {
        IndexNames.Known(api.Documents, uid);
        ApiQuery.Of(http.Request, "customMetadata");
        RequestBody.Format(http.Request, ndjson: false);
        var body = await RequestBody.ReadAllAsync(http, api.Options.MaxJsonBodyBytes, http.RequestAborted);
        await DeleteAsync(http, api, uid, DocumentIds.Of(body));
    }

    public static async Task DeleteAllAsync(HttpContext http, ApiContext api, string uid)
    {
        var enqueuedAt = api.NowUnixMs;
        IndexNames.Known(api.Documents, uid);
        ApiQuery.Of(http.Request, "customMetadata");
        if (WriteHeaders.Of(http.Request).ForOneDocument)
            throw OnlyForOne("the deletion of all documents");
        using var limit = new TimeLimit(api.Options.DeleteAllTimeoutMs, api.Options.Time, http.RequestAborted);
        long deleted = 0;
        ApiError? error = null;
        try
        {
            var reply = await api.Documents.DeleteAll(uid, limit.Token);
            if (reply.IsOk)
                deleted = reply.Value;
            else
                error = new ApiError(reply.Message, reply.Code);
        }
        catch (OperationCanceledException) when (limit.IsOver)
        {
            error = new ApiError(
                $"not all documents were deleted within {api.Options.DeleteAllTimeoutMs} ms, and it is not known which: delete all again",
                "outcome_unknown"
            );
        }
        if (error?.Code is "outcome_unknown")
            http.Response.Headers["x-miroir-outcome"] = "unknown";
        await TaskAnswers.AcceptAsync(
            http,
            api,
            Deletion,
            uid,
            enqueuedAt,
            json => WriteDeletion(json, 0, deleted),
            error
        );
    }

    private static async Task DeleteAsync(HttpContext http, ApiContext api, string uid, IReadOnlyList<Key> keys)
    {
        var enqueuedAt = api.NowUnixMs;
        var headers = WriteHeaders.Of(http.Request);
        if (headers.ForOneDocument && keys.Count != 1)
            throw OnlyForOne($"a batch of {keys.Count} deletions");
        var writer = new DocumentWriter(
            api.Documents,
            api.Options,
            uid,
            WriteIntent.Delete,
            headers,
            _ => Task.CompletedTask
        );
        writer.Tally.Received = keys.Count;
        foreach (var key in keys)
            await writer.AddAsync(key, default, http.RequestAborted);
        await writer.CompleteAsync(http.RequestAborted);
        var tally = writer.Tally;
        await AnswerAsync(
            http,
            api,
            Deletion,
            uid,
            enqueuedAt,
            tally,
            json => WriteDeletion(json, tally.Received, tally.WereLive)
        );
    }

    private static Task AnswerAsync(
        HttpContext http,
        ApiContext api,
        string type,
        string uid,
        long enqueuedAt,
        WriteTally tally,
        Action<Utf8JsonWriter> details
    )
    {
        if (tally.Received == 1 && !tally.Version.IsZero)
            http.Response.Headers.ETag = WriteHeaders.ETag(tally.Version);
        if (tally.IsRefusal)
            throw new RefusedException(tally.ToError());
        if (tally.Unknown > 0)
            http.Response.Headers["x-miroir-outcome"] = "unknown";
        return TaskAnswers.AcceptAsync(
            http,
            api,
            type,
            uid,
            enqueuedAt,
            details,
            tally.IsSuccess ? null : tally.ToError()
        );
    }

    private static void WriteDeletion(Utf8JsonWriter json, long provided, long deleted)
    {
        json.WriteNumber("providedIds", provided);
        json.WriteNumber("deletedDocuments", deleted);
        json.WriteNull("originalFilter");
    }

    internal static RefusedException OnlyForOne(string what) =>
        new(
            "invalid_condition",
            $"If-Match, If-None-Match and x-miroir-operation-id are for requests of one document, and this is {what}: send one document at a time"
        );
}
