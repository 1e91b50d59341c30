using System.Text.Json;
using Miroir.Ports;
using Miroir.Server.Http;
using NUnit.Framework;

namespace Miroir.Server.Tests.Api;

/// <summary>The change feed over HTTP: parameters, shapes, pages, errors.</summary>
[CancelAfter(120_000)]
public sealed class ChangeFeedTests
{
    private const string Changes = "/indexes/books/changes";
    private ApiServer server = null!;

    [SetUp]
    public async Task StartAsync()
    {
        server = await ApiServer.StartAsync(change: o => o with { FeedBatchEvents = 7, FeedBatchDocuments = 3 });
        await server.WriteAsync("POST", "/indexes", """{"uid":"books","primaryKey":"id"}""");
    }

    [TearDown]
    public async Task StopAsync() => await server.DisposeAsync();

    private FakeFeed Feed => server.Cluster.Feed;

    private FeedEvent[] Fill(int count) =>
        [.. Enumerable.Range(0, count).Select(i => Feed.Add($"k{i}", $$"""{"id":"k{{i}}"}"""))];

    private static string[] Ids(JsonElement answer) =>
        [.. answer.GetProperty("results").EnumerateArray().Select(e => e.GetProperty("id").GetString()!)];

    private static string[] Ids(IEnumerable<FeedEvent> events) =>
        [.. events.Select(e => e.Change.OperationId.ToString())];

    private Task<ApiReply> Get(string query = "") => server.SendAsync("GET", Changes + query);

    [Test]
    public async Task AnEventSaysWhatWasWrittenByWhichOperation()
    {
        var put = Feed.Add("a/ü", """{"id":"a/ü"}""").Change;
        var delete = Feed.Add("7", null, isDelete: true).Change;
        var reply = await Get();
        Assert.That((int)reply.Status, Is.EqualTo(200));
        Assert.That(
            reply.Text,
            Is.EqualTo(
                $$"""{"results":[{"id":"{{put.OperationId}}","type":"put","key":"a/ü","version":"{{put.Version}}","position":"{{put.Position}}"},"""
                    + $$"""{"id":"{{delete.OperationId}}","type":"delete","key":"7","version":"{{delete.Version}}","position":"{{delete.Position}}"}],"cursor":"2","caughtUp":true}"""
            )
        );
    }

    [Test]
    public async Task ADocumentComesAsItIsKeptWhereAskedForAndNullWhereItIsAnother()
    {
        Feed.Add("a", """{"id":"a", "n":1.0e2}""");
        Feed.Add("a", null);
        var reply = await Get("?documents=true");
        Assert.That(
            reply.Json.GetProperty("results").EnumerateArray().Select(e => e.GetProperty("document").GetRawText()),
            Is.EqualTo((string[])["""{"id":"a", "n":1.0e2}""", "null"])
        );
    }

    [TestCase("", false)]
    [TestCase("?documents=true", true)]
    public async Task AnAnswerIsMadeOfBoundedBatchesUntilItIsCaughtUp(string query, bool documents)
    {
        var events = Fill(20);
        var reply = await Get(query);
        Assert.That(Ids(reply.Json), Is.EqualTo(Ids(events)));
        Assert.That(reply.Json.GetProperty("caughtUp").GetBoolean(), Is.True);
        Assert.That(Feed.Asked.Select(a => a.Limit), Is.All.LessThanOrEqualTo(documents ? 3 : 7));
        Assert.That(Feed.Asked.Select(a => a.WithDocuments), Is.All.EqualTo(documents));
    }

    [Test]
    public async Task PagesFromCursorToCursorAreAllEventsOnce()
    {
        var events = Fill(30);
        var ids = new List<string>();
        for (var query = "?from=oldest&limit=4"; ; )
        {
            var page = (await Get(query)).Json;
            ids.AddRange(Ids(page));
            Assert.That(Ids(page), Has.Length.LessThanOrEqualTo(4));
            if (page.GetProperty("caughtUp").GetBoolean())
                break;
            query = $"?limit=4&cursor={page.GetProperty("cursor").GetString()}";
        }
        Assert.That(ids, Is.EqualTo(Ids(events)));
    }

    [Test]
    public async Task APostAsksTheSameWithACursorThatIsTooLongForAUrl()
    {
        var events = Fill(3);
        var cursor = new string('0', 100_000) + "1";
        var reply = await server.SendAsync("POST", Changes, $$"""{"cursor":"{{cursor}}","limit":1,"documents":true}""");
        Assert.That(Ids(reply.Json), Is.EqualTo(Ids(events[1..2])));
        Assert.That(reply.Json.GetProperty("results")[0].TryGetProperty("document", out _), Is.True);
    }

    [Test]
    public async Task FromNowSkipsWhatThereIsAndAWaitEndsWithTheFirstEvent()
    {
        Fill(5);
        var cursor = (await Get("?from=now")).Json.GetProperty("cursor").GetString();
        var waiting = Get($"?cursor={cursor}&wait=60s");
        await TestUntil(() => Feed.Asked.Any(a => a.WaitMs == 60_000));
        var written = Feed.Add("new", null);
        Assert.That(Ids((await waiting).Json), Is.EqualTo(Ids([written])));
        var nothing = (await Get("?cursor=6&wait=1ms")).Json;
        Assert.That(Ids(nothing), Is.Empty);
        Assert.That(nothing.GetProperty("cursor").GetString(), Is.EqualTo("6"));
    }

    [TestCase("?cursor=1&from=now", "bad_request", "from")]
    [TestCase("?from=yesterday", "invalid_feed_from", "oldest")]
    [TestCase("?limit=0", "invalid_feed_limit", "from 1 to 10000")]
    [TestCase("?limit=10001", "invalid_feed_limit", "from 1 to 10000")]
    [TestCase("?limit=many", "invalid_feed_limit", "many")]
    [TestCase("?limit=0&follow=true", "invalid_feed_limit", "from 1")]
    [TestCase("?wait=5", "invalid_feed_wait", "unit")]
    [TestCase("?wait=2m", "invalid_feed_wait", "1m")]
    [TestCase("?wait=0s&follow=true", "invalid_feed_wait", "from 1s")]
    [TestCase("?documents=yes", "bad_request", "documents")]
    [TestCase("?follow=1", "bad_request", "follow")]
    [TestCase("?since=1", "bad_request", "cursor")]
    [TestCase("?limit=1&limit=2", "bad_request", "limit")]
    public async Task AParameterThatIsWrongIsNamedWithWhatWasExpected(string query, string code, string says)
    {
        var reply = await Get(query);
        Assert.That((int)reply.Status, Is.EqualTo(400));
        Assert.That(reply.Code, Is.EqualTo(code));
        Assert.That(reply.Message, Does.Contain(says));
        Assert.That(Feed.Asked, Is.Empty);
    }

    [TestCase("[]", "malformed_payload")]
    [TestCase("{", "malformed_payload")]
    [TestCase("""{"cursor":["1"]}""", "bad_request")]
    [TestCase("""{"limit":1,"limit":2}""", "bad_request")]
    [TestCase("""{"since":1}""", "bad_request")]
    [TestCase("""{"limit":0}""", "invalid_feed_limit")]
    public async Task ABodyThatIsWrongIsRefused(string body, string code)
    {
        var reply = await server.SendAsync("POST", Changes, body);
        Assert.That((int)reply.Status, Is.EqualTo(400));
        Assert.That(reply.Code, Is.EqualTo(code));
    }

    [TestCase("invalid_feed_cursor", 400)]
    [TestCase("feed_cursor_too_old", 410)]
    [TestCase("feed_unavailable", 503)]
    [TestCase("index_not_found", 404)]
    public async Task WhatTheFeedRefusesIsAnsweredAsDocumented(string code, int status)
    {
        Feed.Decide = _ => AdminReply<FeedBatch>.Error(code, "because");
        foreach (var query in (string[])["?cursor=1", "?cursor=1&follow=true"])
        {
            var reply = await Get(query);
            Assert.That((int)reply.Status, Is.EqualTo(status));
            Assert.That(reply.Code, Is.EqualTo(code));
            Assert.That(reply.Message, Is.EqualTo("because"));
            Assert.That(reply.Json.GetProperty("link").GetString(), Does.EndWith(code));
        }
    }

    [Test]
    public async Task WhatCameBeforeAnErrorStandsWithItsCursor()
    {
        var events = Fill(20);
        Feed.Decide = r => r.Cursor == "7" ? AdminReply<FeedBatch>.Error("feed_unavailable", "no writer") : null;
        var reply = await Get();
        Assert.That(Ids(reply.Json), Is.EqualTo(Ids(events[..7])));
        Assert.That(reply.Json.GetProperty("cursor").GetString(), Is.EqualTo("7"));
        Assert.That(reply.Json.GetProperty("caughtUp").GetBoolean(), Is.False);
        Assert.That((await Get("?cursor=7")).Code, Is.EqualTo("feed_unavailable"));
    }

    [Test]
    public async Task AnIndexThatIsNotThereAndAMethodThatIsNotAreRefused()
    {
        Assert.That((await server.SendAsync("GET", "/indexes/none/changes")).Code, Is.EqualTo("index_not_found"));
        var reply = await server.SendAsync("PUT", Changes, "{}");
        Assert.That(reply.Code, Is.EqualTo("method_not_allowed"));
    }

    [Test]
    public async Task WhatIsGivenIsCountedForPrometheus()
    {
        Fill(20);
        await Get("?limit=5");
        var behind = await server.SendAsync("GET", "/metrics");
        Assert.That(behind.Text, Does.Contain("# TYPE miroir_feed_events_total counter\n"));
        Assert.That(behind.Text, Does.Contain("miroir_feed_events_total{index=\"books\"} 5\n"));
        Assert.That(behind.Text, Does.Match("miroir_feed_lag_seconds\\{index=\"books\"\\} [1-9]"));
        await Get("?cursor=5");
        var caughtUp = await server.SendAsync("GET", "/metrics");
        Assert.That(caughtUp.Text, Does.Contain("miroir_feed_events_total{index=\"books\"} 20\n"));
        Assert.That(caughtUp.Text, Does.Contain("miroir_feed_lag_seconds{index=\"books\"} 0\n"));
    }

    [Test]
    public async Task TheDescriptionForProgramsHasWhatTheRouteHas()
    {
        var file = File.ReadAllText(Path.Combine(Repository.Root, "docs", "openapi.json"));
        using var description = JsonDocument.Parse(file);
        var path = description.RootElement.GetProperty("paths").GetProperty("/indexes/{uid}/changes");
        var get = path.GetProperty("get");
        var names = get.GetProperty("parameters").EnumerateArray().Select(p => p.GetProperty("name").GetString());
        Assert.That((await Get("?unknown=1")).Message, Does.EndWith($"`{string.Join("`, `", names)}`"));
        var fields = path.GetProperty("post")
            .GetProperty("requestBody")
            .GetProperty("content")
            .GetProperty("application/json")
            .GetProperty("schema")
            .GetProperty("properties");
        Assert.That(fields.EnumerateObject().Select(p => p.Name), Is.EqualTo(names));
        var codes = ErrorCodes.Statuses.Where(c => c.Key.Contains("feed")).Select(c => $"{c.Value}");
        var statuses = get.GetProperty("responses").EnumerateObject().Select(r => r.Name).ToArray();
        Assert.That(statuses, Is.EquivalentTo(codes.Append("200").Append("404").Distinct()));
        Feed.Add("a", """{"id":"a"}""");
        var shown = (await Get("?documents=true")).Json.GetProperty("results")[0];
        var schema = description.RootElement.GetProperty("components").GetProperty("schemas").GetProperty("Event");
        Assert.That(
            schema.GetProperty("properties").EnumerateObject().Select(p => p.Name),
            Is.EqualTo(shown.EnumerateObject().Select(p => p.Name))
        );
    }

    private static async Task TestUntil(Func<bool> isSo)
    {
        while (!isSo())
            await Task.Delay(5, TestContext.CurrentContext.CancellationToken);
    }
}
