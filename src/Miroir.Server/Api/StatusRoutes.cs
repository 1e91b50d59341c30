using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>Health, version, metrics and statistics.</summary>
internal static class StatusRoutes
{
    public static Task HealthAsync(HttpContext http) =>
        JsonAnswer.SendAsync(http, StatusCodes.Status200OK, json => json.WriteString("status", "available"));

    public static Task VersionAsync(HttpContext http, ApiContext api) =>
        JsonAnswer.SendAsync(
            http,
            StatusCodes.Status200OK,
            json =>
            {
                json.WriteString("commitSha", "unknown");
                json.WriteString("commitDate", "unknown");
                json.WriteString("pkgVersion", api.Options.Version);
            }
        );

    public static async Task MetricsAsync(HttpContext http, ApiContext api)
    {
        ApiQuery.Of(http.Request);
        http.Response.ContentType = PrometheusText.ContentType;
        await http.Response.WriteAsync(api.Feed.Metrics.Text.ToString(), http.RequestAborted);
    }

    public static async Task IndexAsync(HttpContext http, ApiContext api, string uid)
    {
        ApiQuery.Of(http.Request);
        IndexNames.Known(api.Documents, uid);
        var statistics = await OfAsync(api, uid, http.RequestAborted);
        await JsonAnswer.SendAsync(http, StatusCodes.Status200OK, json => Write(json, statistics));
    }

    public static async Task AllAsync(HttpContext http, ApiContext api)
    {
        ApiQuery.Of(http.Request);
        var indexes = api.Documents.Table.Indexes;
        var each = new List<(string Uid, IndexStatistics Statistics)>();
        foreach (var index in indexes)
            each.Add((index.Uid, await OfAsync(api, index.Uid, http.RequestAborted)));
        var bytes = each.Sum(e => e.Statistics.Bytes);
        await JsonAnswer.SendAsync(
            http,
            StatusCodes.Status200OK,
            json =>
            {
                json.WriteNumber("databaseSize", bytes);
                json.WriteNumber("usedDatabaseSize", bytes);
                if (indexes.Length == 0)
                    json.WriteNull("lastUpdate");
                else
                    json.WriteString("lastUpdate", TaskAnswers.Time(indexes.Max(i => i.UpdatedAtUnixMs)));
                json.WriteStartObject("indexes");
                foreach (var (uid, statistics) in each)
                {
                    json.WriteStartObject(uid);
                    Write(json, statistics);
                    json.WriteEndObject();
                }
                json.WriteEndObject();
            }
        );
    }

    private static async Task<IndexStatistics> OfAsync(ApiContext api, string uid, CancellationToken cancel)
    {
        using var limit = new TimeLimit(api.Options.ReadTimeoutMs, api.Options.Time, cancel);
        try
        {
            var reply = await api.Documents.Statistics(uid, limit.Token);
            return reply.IsOk ? reply.Value : throw new RefusedException(reply.Code, reply.Message);
        }
        catch (OperationCanceledException) when (limit.IsOver)
        {
            throw new RefusedException(
                "unavailable",
                $"index `{uid}` was not counted within {api.Options.ReadTimeoutMs} ms: try again"
            );
        }
    }

    private static void Write(Utf8JsonWriter json, IndexStatistics statistics)
    {
        json.WriteNumber("numberOfDocuments", statistics.Documents);
        json.WriteNumber("rawDocumentDbSize", statistics.Bytes);
        json.WriteNumber("avgDocumentSize", statistics.Documents == 0 ? 0 : statistics.Bytes / statistics.Documents);
        // Writes are done when they are answered: nothing is waiting to be indexed, and no fields are counted.
        json.WriteBoolean("isIndexing", false);
        json.WriteBoolean("isMoving", statistics.IsMoving);
        json.WriteNumber("numberOfEmbeddings", 0);
        json.WriteNumber("numberOfEmbeddedDocuments", 0);
        json.WriteStartObject("fieldDistribution");
        json.WriteEndObject();
    }
}
