using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>The change feed of an index; docs/change-feed.md has what it promises.</summary>
internal static class ChangeRoutes
{
    public static async Task ReadAsync(HttpContext http, ApiContext api, string uid)
    {
        IndexNames.Known(api.Documents, uid);
        var query = await FeedQuery.OfAsync(http, api.Options);
        using var place = query.WaitMs > 0 ? api.Feed.Wait() : null;
        // A server that stops would else wait for those who wait.
        var stopping =
            http.RequestServices.GetService<IHostApplicationLifetime>()?.ApplicationStopping ?? CancellationToken.None;
        using var either = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, stopping);
        var cursor = new FeedWalk(api, uid, query, either.Token);
        FeedBatch first;
        try
        {
            // Before the answer begins, so that what goes wrong with it can be said. A stream that is followed begins
            // at once: its first line says where it is.
            first = await cursor.NextAsync(query.Follow ? 0 : query.WaitMs);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            throw new RefusedException(
                "feed_unavailable",
                "this router is stopping: go on with the same cursor, here or at another router"
            );
        }
        if (query.Follow || WantsLines(http.Request))
            await new FeedLines(http, api, query, cursor, either.Token).SendAsync(first);
        else
            await SendAsync(http, api, query, cursor, first);
    }

    private static bool WantsLines(HttpRequest request) =>
        request
            .GetTypedHeaders()
            .Accept.Any(a =>
                a.Quality is not 0.0 && a.MediaType.Equals("application/x-ndjson", StringComparison.OrdinalIgnoreCase)
            );

    private static async Task SendAsync(
        HttpContext http,
        ApiContext api,
        FeedQuery query,
        FeedWalk cursor,
        FeedBatch batch
    )
    {
        http.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(http.Response.BodyWriter, JsonAnswer.WriterOptions);
        json.WriteStartObject();
        json.WriteStartArray("results");
        while (true)
        {
            foreach (var one in batch.Events)
            {
                FeedJson.Write(json, one, query.WithDocuments, isLine: false);
                if (http.Response.BodyWriter.UnflushedBytes >= FeedLines.FlushBytes)
                    await FeedLines.FlushAsync(http, api.Options);
            }
            await json.FlushAsync(http.RequestAborted);
            await FeedLines.FlushAsync(http, api.Options);
            if (batch.IsCaughtUp || batch.Events.Length == 0 || cursor.IsAtLimit)
                break;
            try
            {
                batch = await cursor.NextAsync(0);
            }
            catch (Exception e) when (e is RefusedException or OperationCanceledException)
            {
                // What came so far stands, with its cursor; whoever goes on from there is told what is wrong.
                batch = new FeedBatch([], batch.Cursor, isCaughtUp: false);
            }
        }
        json.WriteEndArray();
        FeedJson.WriteEnd(json, batch.Cursor, batch.IsCaughtUp);
        json.WriteEndObject();
        await json.FlushAsync(http.RequestAborted);
    }
}
