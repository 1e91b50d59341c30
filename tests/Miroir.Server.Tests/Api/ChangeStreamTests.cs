using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Miroir.Ports;
using Miroir.Server.Api;
using NUnit.Framework;

namespace Miroir.Server.Tests.Api;

/// <summary>The change feed as lines, and followed.</summary>
[CancelAfter(120_000)]
public sealed class ChangeStreamTests
{
    private const string Changes = "/indexes/books/changes";
    private ApiServer server = null!;

    private async Task StartAsync(Func<ApiOptions, ApiOptions>? change = null)
    {
        server = await ApiServer.StartAsync(change: change);
        await server.WriteAsync("POST", "/indexes", """{"uid":"books","primaryKey":"id"}""");
    }

    [TearDown]
    public async Task StopAsync() => await server.DisposeAsync();

    private FakeFeed Feed => server.Cluster.Feed;

    private static CancellationToken Cancel => TestContext.CurrentContext.CancellationToken;

    private sealed class Lines(HttpResponseMessage response, StreamReader reader) : IDisposable
    {
        public HttpResponseMessage Response => response;

        /// <summary>Null at the end.</summary>
        public async Task<JsonElement?> NextAsync() =>
            await reader.ReadLineAsync(Cancel) is { } line ? JsonDocument.Parse(line).RootElement : null;

        public async Task<JsonElement[]> RestAsync()
        {
            var lines = new List<JsonElement>();
            while (await NextAsync() is { } line)
                lines.Add(line);
            return [.. lines];
        }

        public void Dispose()
        {
            reader.Dispose();
            response.Dispose();
        }
    }

    private async Task<Lines> Open(string query, string? accept = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, Changes + query);
        if (accept is not null)
            request.Headers.Accept.Add(MediaTypeWithQualityHeaderValue.Parse(accept));
        var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
        return new Lines(response, new StreamReader(await response.Content.ReadAsStreamAsync(Cancel)));
    }

    private static string? Key(JsonElement? line) => line?.GetProperty("key").GetString();

    private static string? Cursor(JsonElement? line) => line?.GetProperty("cursor").GetString();

    [Test]
    public async Task LinesAreEventsAndACursorBehindEachBatch()
    {
        await StartAsync(o => o with { FeedBatchDocuments = 2 });
        foreach (var key in (string[])["a", "b", "c"])
            Feed.Add(key, "{\r\n  \"id\": \"" + key + "\"\n}");
        using var lines = await Open("?documents=true", "application/x-ndjson");
        Assert.That(lines.Response.Content.Headers.ContentType?.MediaType, Is.EqualTo("application/x-ndjson"));
        var all = await lines.RestAsync();
        Assert.That(
            all.Select(l => l.TryGetProperty("cursor", out var c) ? $"cursor {c}" : Key(l)),
            Is.EqualTo((string[])["a", "b", "cursor 2", "c", "cursor 3"])
        );
        Assert.That(all[0].GetProperty("document").GetProperty("id").GetString(), Is.EqualTo("a"));
        Assert.That(all[2].GetProperty("caughtUp").GetBoolean(), Is.False);
        Assert.That(all[4].GetProperty("caughtUp").GetBoolean(), Is.True);
    }

    [Test]
    public async Task AStreamThatIsFollowedGivesWhatIsWrittenLater()
    {
        await StartAsync();
        Feed.Add("before", null);
        using var lines = await Open("?from=now&follow=true");
        Assert.That(Cursor(await lines.NextAsync()), Is.EqualTo("1"));
        foreach (var key in (string[])["a", "b"])
        {
            Feed.Add(key, null);
            Assert.That(Key(await lines.NextAsync()), Is.EqualTo(key));
            Assert.That(Cursor(await lines.NextAsync()), Is.Not.Null);
        }
    }

    [Test]
    public async Task AStreamWithoutEventsHasItsCursorForAHeartbeat()
    {
        await StartAsync(o => o with { FeedHeartbeatMs = 20 });
        using var lines = await Open("?follow=true");
        for (var i = 0; i < 5; i++)
            Assert.That(Cursor(await lines.NextAsync()), Is.EqualTo("0"));
    }

    [Test]
    public async Task AStreamEndsWithItsLimitOrWithItsTime()
    {
        await StartAsync(o => o with { FeedFollowMs = 100, FeedHeartbeatMs = 20 });
        foreach (var key in (string[])["a", "b", "c"])
            Feed.Add(key, null);
        using (var lines = await Open("?follow=true&limit=2"))
            Assert.That((await lines.RestAsync()).Select(l => Key2(l)), Is.EqualTo((string[])["a", "b", "2"]));
        using (var lines = await Open("?follow=true&cursor=2"))
        {
            var all = await lines.RestAsync();
            Assert.That(Key(all[0]), Is.EqualTo("c"));
            Assert.That(all[1..].Select(l => Cursor(l)), Is.All.EqualTo("3"));
        }

        static string Key2(JsonElement line) => line.TryGetProperty("key", out var key) ? $"{key}" : Cursor(line)!;
    }

    [Test]
    public async Task AnErrorOnTheWayIsTheLastLine()
    {
        await StartAsync();
        Feed.Add("a", null);
        Feed.Decide = r => r.Cursor == "1" ? AdminReply<FeedBatch>.Error("feed_cursor_too_old", "gone") : null;
        using var lines = await Open("?follow=true");
        var all = await lines.RestAsync();
        Assert.That(all, Has.Length.EqualTo(3));
        Assert.That(Cursor(all[1]), Is.EqualTo("1"));
        Assert.That(
            all[2].GetProperty("error").EnumerateObject().Select(p => p.Name),
            Is.EqualTo((string[])["message", "code", "type", "link"])
        );
        Assert.That(all[2].GetProperty("error").GetProperty("code").GetString(), Is.EqualTo("feed_cursor_too_old"));
    }

    [Test]
    public async Task NothingIsReadAheadOfAClientThatDoesNotRead()
    {
        await StartAsync(o => o with { FeedBatchDocuments = 1, FeedClientTimeoutMs = 300, FeedWaiting = 1 });
        var body = $$"""{"id":"x","text":"{{new string('x', 1 << 20)}}"}""";
        for (var i = 0; i < 100; i++)
            Feed.Add($"k{i}", body);
        using var lines = await Open("?follow=true&documents=true");
        // Once the buffers of both sides are full no more is asked for, and some time later the client is cut off.
        await PlaceIsFreeAsync();
        Assert.That(Feed.Asked, Has.Length.LessThan(90));
        Assert.That(async () => await lines.RestAsync(), Throws.InstanceOf<IOException>());
    }

    [Test]
    public async Task SoManyWaitAtOnceAndNoMore()
    {
        await StartAsync(o => o with { FeedWaiting = 1 });
        using (var lines = await Open("?follow=true"))
        {
            await lines.NextAsync();
            var reply = await server.SendAsync("GET", Changes + "?wait=1s");
            Assert.That(reply.Status, Is.EqualTo(HttpStatusCode.ServiceUnavailable));
            Assert.That(reply.Code, Is.EqualTo("feed_unavailable"));
            Assert.That((await server.SendAsync("GET", Changes)).Status, Is.EqualTo(HttpStatusCode.OK));
        }
        await PlaceIsFreeAsync();
    }

    /// <summary>Until the only place is given back: the server has seen that its client has left, or has cut it off.</summary>
    private async Task PlaceIsFreeAsync()
    {
        while ((await server.SendAsync("GET", Changes + "?cursor=0&limit=1&wait=1ms")).Status != HttpStatusCode.OK)
            await Task.Delay(10, Cancel);
    }

    [Test]
    public async Task AServerThatStopsEndsItsStreamsAndItsWaits()
    {
        await StartAsync();
        using var lines = await Open("?follow=true");
        Assert.That(Cursor(await lines.NextAsync()), Is.EqualTo("0"));
        var waiting = server.SendAsync("GET", Changes + "?wait=60s");
        while (Feed.Asked.All(a => a.WaitMs != 60_000))
            await Task.Delay(5, Cancel);
        var stopping = server.StopAsync();
        Assert.That(await lines.NextAsync(), Is.Null);
        Assert.That((await waiting).Code, Is.EqualTo("feed_unavailable"));
        await stopping;
    }
}
