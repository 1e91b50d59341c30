using System.Net;
using System.Text.Json;
using Miroir.Core;
using NUnit.Framework;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary>An event of a change feed, as its line has it.</summary>
internal sealed record SeenEvent(Guid Id, string Type, string Key, DocumentVersion Version, DocumentVersion Position)
{
    public static SeenEvent Of(JsonElement json) =>
        new(
            json.GetProperty("id").GetGuid(),
            json.GetProperty("type").GetString()!,
            json.GetProperty("key").GetString()!,
            VersionOf(json, "version"),
            VersionOf(json, "position")
        );

    private static DocumentVersion VersionOf(JsonElement json, string name) =>
        DocumentVersion.TryParse(json.GetProperty(name).GetString()!).Value;
}

/// <summary>
/// Reads an index's change feed batch by batch, as a client does: goes on with the last cursor, whatever happened, and
/// asks again where the feed is unavailable.
/// </summary>
internal sealed class FeedConsumer : IAsyncDisposable
{
    private readonly TestCluster cluster;
    private readonly string index;
    private readonly List<SeenEvent> events = [];
    private readonly CancellationTokenSource stop = new();
    private Task running = Task.CompletedTask;
    private volatile string? cursor;

    public FeedConsumer(TestCluster cluster, string index, string? cursor = null) =>
        (this.cluster, this.index, this.cursor) = (cluster, index, cursor);

    public string? Cursor => cursor;

    /// <summary>Each event as it came, those that came again included. Only while it does not run.</summary>
    public IReadOnlyList<SeenEvent> Events => events;

    /// <summary>Reads on until it is told to stop.</summary>
    public void Run() => running = RunAsync();

    /// <summary>Stops running, then reads until nothing more is there.</summary>
    public async Task DrainAsync()
    {
        if (!stop.IsCancellationRequested)
            await stop.CancelAsync();
        await running;
        await TestCluster.UntilAsync(async () => (await ReadAsync("0s"), events.Count), seen => $"stuck behind {seen}");
    }

    /// <summary>Every write is there, as it was written; the events of each document are in order.</summary>
    public void Check(IEnumerable<AcknowledgedWrite> writes)
    {
        var byId = events.DistinctBy(e => e.Id).ToDictionary(e => e.Id);
        var wrong = writes
            .Where(w =>
                !byId.TryGetValue(w.Id, out var seen)
                || (seen.Key, $"{seen.Version}", seen.Type) != (w.Key, w.Version, w.IsDelete ? "delete" : "put")
            )
            .ToArray();
        Assert.That(wrong, Is.Empty, "acknowledged writes that are missing, or other than they were written");
        foreach (var document in events.GroupBy(e => e.Key))
        {
            Assert.That(document.DistinctBy(e => e.Id).Select(e => e.Version), Is.Ordered.Ascending, document.Key);
            Assert.That(
                document.DistinctBy(e => e.Version).Count(),
                Is.EqualTo(document.DistinctBy(e => e.Id).Count())
            );
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!stop.IsCancellationRequested)
            await stop.CancelAsync();
        await running;
        stop.Dispose();
    }

    private async Task RunAsync()
    {
        await Task.Yield();
        while (!stop.IsCancellationRequested)
            await ReadAsync("1s");
    }

    /// <summary>One answer; true where nothing more was there.</summary>
    private async Task<bool> ReadAsync(string wait)
    {
        try
        {
            var reply = await cluster.SendAsync(
                "POST",
                $"/indexes/{index}/changes",
                JsonSerializer.Serialize(new { cursor, wait })
            );
            if (reply.Status == HttpStatusCode.ServiceUnavailable)
            {
                Assert.That(reply.Code, Is.EqualTo("feed_unavailable"));
                return false;
            }
            Assert.That(reply.Status, Is.EqualTo(HttpStatusCode.OK), reply.Text);
            events.AddRange(reply.Json.GetProperty("results").EnumerateArray().Select(SeenEvent.Of));
            cursor = reply.Json.GetProperty("cursor").GetString();
            return reply.Json.GetProperty("caughtUp").GetBoolean();
        }
        catch (HttpRequestException)
        {
            // The router went away in the middle, or is not there.
            await Task.Delay(20);
            return false;
        }
    }
}
