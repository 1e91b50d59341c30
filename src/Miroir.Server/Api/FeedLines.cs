using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>
/// Events one a line (NDJSON), a line with the cursor behind each batch, and one with the error where it ends with one.
/// Nothing is read ahead of the client: a batch is read once the one before it has left.
/// </summary>
internal sealed class FeedLines(
    HttpContext http,
    ApiContext api,
    FeedQuery query,
    FeedWalk cursor,
    CancellationToken cancel
)
{
    /// <summary>So much of an answer is written before it is sent; a document is sent whole.</summary>
    public const int FlushBytes = 1 << 18;

    public async Task SendAsync(FeedBatch batch)
    {
        http.Response.ContentType = "application/x-ndjson";
        // Or a proxy might keep lines back until it has many of them.
        http.Response.Headers.CacheControl = "no-cache, no-transform";
        http.Response.Headers["X-Accel-Buffering"] = "no";
        var began = api.Options.Time.GetTimestamp();
        using var json = new Utf8JsonWriter(http.Response.BodyWriter, JsonAnswer.WriterOptions);
        while (true)
        {
            foreach (var one in batch.Events)
            {
                FeedJson.Write(json, one, query.WithDocuments, isLine: true);
                EndLine(json);
                if (http.Response.BodyWriter.UnflushedBytes >= FlushBytes)
                    await FlushAsync(http, api.Options);
            }
            json.WriteStartObject();
            FeedJson.WriteEnd(json, batch.Cursor, batch.IsCaughtUp);
            json.WriteEndObject();
            EndLine(json);
            await FlushAsync(http, api.Options);
            if (cursor.IsAtLimit || (query.Follow ? IsOver(began) : batch.IsCaughtUp || batch.Events.Length == 0))
                return;
            try
            {
                batch = await cursor.NextAsync(query.Follow ? query.WaitMs : 0);
            }
            catch (RefusedException refused)
            {
                json.WriteStartObject();
                json.WritePropertyName("error");
                json.WriteRawValue(refused.Error.ToJson());
                json.WriteEndObject();
                EndLine(json);
                await FlushAsync(http, api.Options);
                return;
            }
            catch (OperationCanceledException) when (cancel.IsCancellationRequested)
            {
                // The client has left; or the server stops, and the client goes on from its last cursor.
                return;
            }
        }
    }

    /// <summary>Sends what was written. A client that does not take it in time is cut off.</summary>
    public static async Task FlushAsync(HttpContext http, ApiOptions options)
    {
        using var limit = new TimeLimit(options.FeedClientTimeoutMs, options.Time, http.RequestAborted);
        try
        {
            await http.Response.BodyWriter.FlushAsync(limit.Token);
        }
        catch (OperationCanceledException) when (limit.IsOver)
        {
            http.Abort();
            throw;
        }
    }

    private bool IsOver(long began) =>
        cancel.IsCancellationRequested
        || api.Options.Time.GetElapsedTime(began).TotalMilliseconds >= api.Options.FeedFollowMs;

    private void EndLine(Utf8JsonWriter json)
    {
        json.Flush();
        json.Reset();
        http.Response.BodyWriter.Write("\n"u8);
    }
}
