using System.Text.Json;
using Miroir.Core;
using Miroir.Ports;
using NUnit.Framework;

namespace Miroir.Server.Tests.Api;

/// <summary>Reads: pages, fields, ids, consistency, statistics, indexes.</summary>
public sealed class ReadTests
{
    private const string Documents = "/indexes/books/documents";
    private ApiServer server = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        server = await ApiServer.StartAsync(change: o => o with { PageDocuments = 7 });
        var all = Enumerable
            .Range(0, 50)
            .Select(i => $$"""{"id":{{i}},"a":{"b":{{i}},"c":1.0},"l":[{"b":1,"c":2},3]}""");
        await server.WriteAsync("POST", Documents, $"[{string.Join(',', all)}]");
    }

    [OneTimeTearDown]
    public async Task StopAsync() => await server.DisposeAsync();

    [TestCase("", 20)]
    [TestCase("?limit=0", 0)]
    [TestCase("?limit=7", 7)]
    [TestCase("?limit=1000", 50)]
    [TestCase("?offset=45&limit=10", 5)]
    [TestCase("?offset=60", 0)]
    public async Task APageHasItsBounds(string query, int expected)
    {
        var page = (await server.SendAsync("GET", Documents + query)).Json;
        Assert.That(page.GetProperty("results").GetArrayLength(), Is.EqualTo(expected));
        Assert.That(page.GetProperty("total").GetInt64(), Is.EqualTo(50));
    }

    [Test]
    public async Task PagesTogetherAreAll()
    {
        var ids = new List<int>();
        for (var offset = 0; offset < 50; offset += 9)
        {
            var page = await server.SendAsync(
                "POST",
                Documents + "/fetch",
                $$"""{"offset":{{offset}},"limit":9,"fields":["id"]}"""
            );
            ids.AddRange(page.Json.GetProperty("results").EnumerateArray().Select(d => d.GetProperty("id").GetInt32()));
        }
        Assert.That(ids.Order(), Is.EqualTo(Enumerable.Range(0, 50)));
    }

    [TestCase("id", """{"id":4}""")]
    [TestCase("a.c,id", """{"id":4,"a":{"c":1.0}}""")]
    [TestCase("l.b", """{"l":[{"b":1}]}""")]
    [TestCase("none", "{}")]
    [TestCase("id.x", "{}")]
    [TestCase("*", """{"id":4,"a":{"b":4,"c":1.0},"l":[{"b":1,"c":2},3]}""")]
    public async Task FieldsAreTheirTextAsStored(string fields, string expected) =>
        Assert.That((await server.SendAsync("GET", $"{Documents}/4?fields={fields}")).Text, Is.EqualTo(expected));

    [Test]
    public async Task DocumentsAreReadByIds()
    {
        var some = (
            await server.SendAsync("POST", Documents + "/fetch", """{"ids":[3,"5",999],"fields":["id"]}""")
        ).Json;
        Assert.That(some.GetProperty("results").GetRawText(), Is.EqualTo("""[{"id":3},{"id":5}]"""));
        Assert.That(some.GetProperty("total").GetInt64(), Is.EqualTo(2));
        some = (await server.SendAsync("GET", Documents + "?ids=3,5&fields=id")).Json;
        Assert.That(some.GetProperty("results").GetArrayLength(), Is.EqualTo(2));
    }

    [Test]
    public async Task ReadsAreConfirmedUnlessAskedOtherwise()
    {
        server.Cluster.Reads.Clear();
        await server.SendAsync("GET", Documents + "/1");
        await server.SendAsync("GET", Documents + "/1?consistency=eventual");
        await server.SendAsync("GET", Documents + "/1", headers: ("x-miroir-consistency", "eventual"));
        Assert.That(
            server.Cluster.Reads,
            Is.EqualTo((Consistency[])[Consistency.Confirmed, Consistency.Eventual, Consistency.Eventual])
        );
    }

    [Test]
    public async Task AReadThatCantBeConfirmedIsNoAbsence()
    {
        server.Cluster.DecideRead = () => ReadOutcome.NewUnavailable("one node of two answered");
        var reply = await server.SendAsync("GET", Documents + "/1");
        server.Cluster.DecideRead = () => null;
        Assert.That((int)reply.Status, Is.EqualTo(503));
        Assert.That(reply.Code, Is.EqualTo("unavailable"));
        Assert.That(reply.Headers.RetryAfter, Is.Not.Null);
    }

    [Test]
    public async Task StatisticsHealthAndVersionAnswer()
    {
        Assert.That((await server.SendAsync("GET", "/health")).Text, Is.EqualTo("""{"status":"available"}"""));
        Assert.That((await server.SendAsync("GET", "/version")).Json.TryGetProperty("pkgVersion", out _), Is.True);
        var one = (await server.SendAsync("GET", "/indexes/books/stats")).Json;
        Assert.That(one.GetProperty("numberOfDocuments").GetInt64(), Is.EqualTo(50));
        var all = (await server.SendAsync("GET", "/stats")).Json;
        Assert.That(all.GetProperty("indexes").GetProperty("books").GetRawText(), Is.EqualTo(one.GetRawText()));
    }

    [Test]
    public async Task AnIndexIsMadeShownGivenAPrimaryKeyAndDeleted()
    {
        await server.WriteAsync("POST", "/indexes", """{"uid":"films","shards":4}""");
        var shown = (await server.SendAsync("GET", "/indexes/films")).Json;
        Assert.That(shown.GetProperty("primaryKey").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(shown.GetProperty("shards").GetInt32(), Is.EqualTo(4));
        await server.WriteAsync("PATCH", "/indexes/films", """{"primaryKey":"title"}""");
        shown = (await server.SendAsync("GET", "/indexes/films")).Json;
        Assert.That(shown.GetProperty("primaryKey").GetString(), Is.EqualTo("title"));
        await server.WriteAsync("POST", "/indexes/films/documents", """{"title":"M","id":1}""");
        Assert.That(
            (await server.SendAsync("GET", "/indexes?limit=1")).Json.GetProperty("total").GetInt32(),
            Is.EqualTo(2)
        );
        await server.WriteAsync("DELETE", "/indexes/films");
        Assert.That((await server.SendAsync("GET", "/indexes/films")).Code, Is.EqualTo("index_not_found"));
    }

    [Test]
    public async Task AnIndexWithoutAPrimaryKeyGetsItFromItsFirstDocument()
    {
        await server.WriteAsync("POST", "/indexes", """{"uid":"later"}""");
        await server.WriteAsync("POST", "/indexes/later/documents", "[]");
        await server.WriteAsync("POST", "/indexes/later/documents", """{"bookId":"x"}""");
        var shown = (await server.SendAsync("GET", "/indexes/later")).Json;
        Assert.That(shown.GetProperty("primaryKey").GetString(), Is.EqualTo("bookId"));
    }
}
