using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>Routes that read documents.</summary>
internal static class ReadRoutes
{
    public const int DefaultLimit = 20;
    private const int MaxIds = 1000;
    private const int ReadsInFlight = 16;

    public static async Task GetOneAsync(HttpContext http, ApiContext api, string uid, string id)
    {
        IndexNames.Known(api.Documents, uid);
        var key = IndexNames.CheckKey(id);
        var query = ApiQuery.Of(http.Request, "fields", "consistency", "retrieveVectors");
        NoVectors(query.Flag("retrieveVectors"));
        var fields = FieldProjection.Of(query.List("fields"));
        var consistency = ApiQuery.Consistency(http.Request);
        var document =
            await ReadAsync(api, uid, key, consistency, http.RequestAborted)
            ?? throw new RefusedException(
                "document_not_found",
                $"there is no document `{JsonText.Shown(id, 100)}` in index `{uid}`"
            );
        var tag = WriteHeaders.ETag(document.Version);
        http.Response.Headers.ETag = tag;
        if (http.Request.Headers.IfNoneMatch.ToString() == tag)
        {
            http.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }
        await JsonAnswer.SendAsync(http, StatusCodes.Status200OK, fields?.Apply(document.Body) ?? document.Body);
    }

    public static Task ListAsync(HttpContext http, ApiContext api, string uid)
    {
        IndexNames.Known(api.Documents, uid);
        var query = ApiQuery.Of(
            http.Request,
            "offset",
            "limit",
            "fields",
            "ids",
            "filter",
            "sort",
            "retrieveVectors",
            "consistency"
        );
        if (query.Text("filter") is not null || query.Text("sort") is not null)
            throw NoSearch();
        NoVectors(query.Flag("retrieveVectors"));
        List<Key>? ids = query.Text("ids") is null ? null : [.. query.List("ids").Select(IndexNames.CheckKey)];
        return PageAsync(
            http,
            api,
            uid,
            query.Number("offset", "invalid_document_offset", 0, long.MaxValue / 2),
            query.Number("limit", "invalid_document_limit", DefaultLimit, int.MaxValue),
            FieldProjection.Of(query.List("fields")),
            ids
        );
    }

    public static async Task FetchAsync(HttpContext http, ApiContext api, string uid)
    {
        IndexNames.Known(api.Documents, uid);
        ApiQuery.Of(http.Request, "consistency");
        RequestBody.Format(http.Request, ndjson: false);
        var body = FetchBody.Of(await RequestBody.ReadAllAsync(http, JsonFields.MaxBodyBytes, http.RequestAborted));
        if (body.Searches)
            throw NoSearch();
        NoVectors(body.Vectors);
        await PageAsync(http, api, uid, body.Offset, body.Limit, FieldProjection.Of(body.Fields), body.Ids);
    }

    private static async Task PageAsync(
        HttpContext http,
        ApiContext api,
        string uid,
        long offset,
        long limit,
        FieldProjection? fields,
        List<Key>? ids
    )
    {
        var consistency = ApiQuery.Consistency(http.Request);
        if (ids is not null)
        {
            var found = await ReadManyAsync(api, uid, ids, consistency, http.RequestAborted);
            var some = found.Skip((int)Math.Min(offset, int.MaxValue)).Take((int)limit).ToList();
            await JsonAnswer.SendAsync(
                http,
                StatusCodes.Status200OK,
                json =>
                {
                    json.WriteStartArray("results");
                    foreach (var document in some)
                        WriteDocument(json, document, fields);
                    json.WriteEndArray();
                    WriteBounds(json, offset, limit, found.Count);
                }
            );
            return;
        }
        // The first page comes before the answer begins, so that what goes wrong with it can be said.
        var page = await PageOfAsync(api, uid, offset, limit, http.RequestAborted);
        var total = page.Total;
        http.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(http.Response.BodyWriter, JsonAnswer.WriterOptions);
        json.WriteStartObject();
        json.WriteStartArray("results");
        long written = 0;
        while (true)
        {
            foreach (var document in page.Documents)
                WriteDocument(json, document, fields);
            written += page.Documents.Length;
            await json.FlushAsync(http.RequestAborted);
            await http.Response.BodyWriter.FlushAsync(http.RequestAborted);
            if (written >= limit || page.Documents.Length < api.Options.PageDocuments)
                break;
            page = await PageOfAsync(api, uid, offset + written, limit - written, http.RequestAborted);
        }
        json.WriteEndArray();
        WriteBounds(json, offset, limit, total);
        json.WriteEndObject();
        await json.FlushAsync(http.RequestAborted);
    }

    private static async Task<DocumentPage> PageOfAsync(
        ApiContext api,
        string uid,
        long offset,
        long limit,
        CancellationToken cancel
    )
    {
        using var time = new TimeLimit(api.Options.ReadTimeoutMs, api.Options.Time, cancel);
        try
        {
            var count = (int)Math.Min(limit, api.Options.PageDocuments);
            var reply = await api.Documents.List(uid, offset, count, time.Token);
            return reply.IsOk ? reply.Value : throw new RefusedException(reply.Code, reply.Message);
        }
        catch (OperationCanceledException) when (time.IsOver)
        {
            throw TooSlow(api);
        }
    }

    private static async Task<List<Document>> ReadManyAsync(
        ApiContext api,
        string uid,
        List<Key> ids,
        Consistency consistency,
        CancellationToken cancel
    )
    {
        if (ids.Count > MaxIds)
            throw new RefusedException(
                "invalid_document_ids",
                $"{ids.Count} ids are asked for, {MaxIds} is the most: ask several times"
            );
        var found = new List<Document>();
        foreach (var some in ids.Distinct().Chunk(ReadsInFlight))
        foreach (var document in await Task.WhenAll(some.Select(key => ReadAsync(api, uid, key, consistency, cancel))))
            if (document is not null)
                found.Add(document);
        return found;
    }

    /// <summary>Null where there is no live document.</summary>
    private static async Task<Document?> ReadAsync(
        ApiContext api,
        string uid,
        Key key,
        Consistency consistency,
        CancellationToken cancel
    )
    {
        using var time = new TimeLimit(api.Options.ReadTimeoutMs, api.Options.Time, cancel);
        try
        {
            return await api.Documents.Read(uid, key, consistency, time.Token) switch
            {
                ReadOutcome.Value value => value.Item,
                ReadOutcome.Unavailable none => throw new RefusedException(
                    "unavailable",
                    $"document `{JsonText.Shown(key.Text, 100)}` can't be read now: {none.Why}"
                ),
                _ => null,
            };
        }
        catch (OperationCanceledException) when (time.IsOver)
        {
            throw TooSlow(api);
        }
    }

    private static void WriteDocument(Utf8JsonWriter json, Document document, FieldProjection? fields) =>
        json.WriteRawValue((fields?.Apply(document.Body) ?? document.Body).Span, skipInputValidation: true);

    private static void WriteBounds(Utf8JsonWriter json, long offset, long limit, long total)
    {
        json.WriteNumber("offset", offset);
        json.WriteNumber("limit", limit);
        json.WriteNumber("total", total);
    }

    private static RefusedException TooSlow(ApiContext api) =>
        new("unavailable", $"no answer came within {api.Options.ReadTimeoutMs} ms: try again");

    private static void NoVectors(bool asked)
    {
        if (asked)
            throw new RefusedException(
                "not_implemented",
                "Miroir keeps documents only: there are no vectors to retrieve"
            );
    }

    private static RefusedException NoSearch() =>
        new(
            "not_implemented",
            "Miroir keeps documents only: it does not filter or sort them; page through them with offset and limit, or name ids"
        );
}
