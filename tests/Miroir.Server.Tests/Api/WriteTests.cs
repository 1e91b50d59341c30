using System.Net;
using System.Text;
using System.Text.Json;
using Miroir.Core;
using NUnit.Framework;

namespace Miroir.Server.Tests.Api;

/// <summary>Writes: their tasks, their versions and conditions, and what is said when they do not all succeed.</summary>
public sealed class WriteTests
{
    private const string Documents = "/indexes/books/documents";
    private ApiServer server = null!;

    [SetUp]
    public async Task StartAsync() =>
        server = await ApiServer.StartAsync(change: o => o with { BatchDocuments = 10, BatchesInFlight = 3 });

    [TearDown]
    public async Task StopAsync() => await server.DisposeAsync();

    [Test]
    public async Task ATaskTellsWhatWasDone()
    {
        var (reply, task) = await server.WriteAsync(
            "POST",
            Documents + "?customMetadata=mine",
            """[{"id":1},{"id":2}]"""
        );
        Assert.That(
            reply.Json.EnumerateObject().Select(p => p.Name),
            Is.EqualTo((string[])["taskUid", "indexUid", "status", "type", "enqueuedAt"])
        );
        Assert.That(reply.Json.GetProperty("taskUid").GetInt64(), Is.InRange(1L << 40, 1L << 53));
        Assert.That(task.GetProperty("uid").GetInt64(), Is.EqualTo(reply.Json.GetProperty("taskUid").GetInt64()));
        Assert.That(task.GetProperty("status").GetString(), Is.EqualTo("succeeded"));
        Assert.That(task.GetProperty("type").GetString(), Is.EqualTo("documentAdditionOrUpdate"));
        Assert.That(task.GetProperty("customMetadata").GetString(), Is.EqualTo("mine"));
        Assert.That(
            task.GetProperty("details").GetRawText(),
            Is.EqualTo("""{"receivedDocuments":2,"indexedDocuments":2}""")
        );
        (_, task) = await server.WriteAsync("POST", Documents + "/delete-batch", """[1,"9"]""");
        Assert.That(
            task.GetProperty("details").GetRawText(),
            Is.EqualTo("""{"providedIds":2,"deletedDocuments":1,"originalFilter":null}""")
        );
        (_, task) = await server.WriteAsync("DELETE", Documents);
        Assert.That(task.GetProperty("details").GetProperty("deletedDocuments").GetInt64(), Is.EqualTo(1));
        var list = (await server.SendAsync("GET", "/tasks?limit=2")).Json;
        Assert.That(list.GetProperty("total").GetInt64(), Is.EqualTo(3));
        Assert.That(list.GetProperty("results").GetArrayLength(), Is.EqualTo(2));
        var rest = (await server.SendAsync("GET", $"/tasks?from={list.GetProperty("next").GetInt64()}")).Json;
        Assert.That(
            rest.GetProperty("results")[0].GetProperty("uid").GetInt64(),
            Is.EqualTo(reply.Json.GetProperty("taskUid").GetInt64())
        );
        var some = (
            await server.SendAsync("GET", "/tasks?types=documentDeletion&statuses=succeeded&indexUids=books")
        ).Json;
        Assert.That(some.GetProperty("total").GetInt64(), Is.EqualTo(2));
    }

    [Test]
    public async Task ADocumentsVersionIsItsTagAndItsCondition()
    {
        var (added, _) = await server.WriteAsync("POST", Documents, """{"id":"a","n":1}""");
        var first = added.Headers.ETag!.Tag;
        var read = await server.SendAsync("GET", Documents + "/a");
        Assert.That(read.Headers.ETag!.Tag, Is.EqualTo(first));
        var unchanged = await server.SendAsync("GET", Documents + "/a", headers: ("If-None-Match", first));
        Assert.That(unchanged.Status, Is.EqualTo(HttpStatusCode.NotModified));
        var (updated, _) = await server.WriteAsync(
            "PUT",
            Documents,
            """{"id":"a","m":2}""",
            headers: ("If-Match", first)
        );
        var second = updated.Headers.ETag!.Tag;
        var late = await server.SendAsync("PUT", Documents, """{"id":"a","m":3}""", headers: ("If-Match", first));
        Assert.That((int)late.Status, Is.EqualTo(412));
        Assert.That(late.Code, Is.EqualTo("precondition_failed"));
        Assert.That(late.Message, Does.Contain(second));
        Assert.That(late.Headers.ETag!.Tag, Is.EqualTo(second));
        Assert.That((await server.SendAsync("GET", Documents + "/a")).Text, Is.EqualTo("""{"id":"a","n":1,"m":2}"""));
        var there = await server.SendAsync("POST", Documents, """{"id":"a"}""", headers: ("If-None-Match", "*"));
        Assert.That((int)there.Status, Is.EqualTo(412));
        var absent = await server.SendAsync("DELETE", Documents + "/b", headers: ("If-Match", "*"));
        Assert.That((int)absent.Status, Is.EqualTo(412));
        await server.WriteAsync("DELETE", Documents + "/a", headers: ("If-Match", second));
        Assert.That(server.Cluster.All("books"), Is.Empty);
    }

    [TestCase("POST", Documents, """[{"id":1},{"id":2}]""", "application/json")]
    [TestCase("POST", Documents, "{\"id\":1}\n{\"id\":2}", "application/x-ndjson")]
    [TestCase("POST", Documents + "/delete-batch", "[1,2]", "application/json")]
    [TestCase("DELETE", Documents, null, "application/json")]
    public async Task ABatchHasNoCondition(string method, string path, string? body, string type)
    {
        await server.WriteAsync("POST", Documents, """{"id":0}""");
        var reply = await server.SendAsync(method, path, body, type, ("If-Match", "\"1.1\""));
        Assert.That(reply.Code, Is.EqualTo("invalid_condition"), reply.Text);
        Assert.That(server.Cluster.All("books"), Has.Count.EqualTo(1));
    }

    [TestCase("If-Match", "x", "invalid_condition")]
    [TestCase("If-Match", "\"1.1\", \"1.2\"", "invalid_condition")]
    [TestCase("If-None-Match", "\"1.1\"", "invalid_condition")]
    [TestCase("x-miroir-operation-id", "x", "invalid_operation_id")]
    [TestCase("x-miroir-operation-id", "00000000-0000-0000-0000-000000000000", "invalid_operation_id")]
    public async Task AHeaderThatCantBeReadIsRefused(string name, string value, string code) =>
        Assert.That(
            (await server.SendAsync("POST", Documents, """{"id":1}""", headers: (name, value))).Code,
            Is.EqualTo(code)
        );

    [Test]
    public async Task AnOperationKeepsTheIdThatItWasGiven()
    {
        var id = Guid.Parse("0f8fad5b-d9cb-469f-a165-70867728950e");
        await server.WriteAsync("POST", Documents, """{"id":1}""", headers: ("x-miroir-operation-id", id.ToString()));
        Assert.That(server.Cluster.All("books")[0].Entry.OperationId, Is.EqualTo(id));
    }

    [Test]
    public async Task DocumentsOfABatchAreIndependent()
    {
        var (reply, task) = await server.WriteAsync("POST", Documents, """[{"id":1},{"n":1},{"id":2.5},{"id":3}]""");
        Assert.That(reply.Json.GetProperty("status").GetString(), Is.EqualTo("failed"));
        var error = task.GetProperty("error");
        Assert.That(error.GetProperty("code").GetString(), Is.EqualTo("missing_document_id"));
        Assert.That(error.GetProperty("message").GetString(), Does.Contain("document 2").And.Contain("document 3"));
        Assert.That(task.GetProperty("details").GetProperty("indexedDocuments").GetInt64(), Is.EqualTo(2));
        Assert.That(server.Cluster.All("books"), Has.Count.EqualTo(2));
    }

    [Test]
    public async Task AnUnknownOutcomeIsNoSuccess()
    {
        server.Cluster.Decide = c => c.Key.Text == "u" ? WriteOutcome.NewUnknown("n1 did not answer") : null;
        var (reply, task) = await server.WriteAsync("POST", Documents, """{"id":"u"}""");
        Assert.That(reply.Headers.GetValues("x-miroir-outcome"), Is.EqualTo((string[])["unknown"]));
        Assert.That(task.GetProperty("status").GetString(), Is.EqualTo("failed"));
        Assert.That(task.GetProperty("error").GetProperty("code").GetString(), Is.EqualTo("outcome_unknown"));
        (_, task) = await server.WriteAsync("POST", Documents, """[{"id":"a"},{"id":"u"}]""");
        Assert.That(task.GetProperty("error").GetProperty("code").GetString(), Is.EqualTo("outcome_unknown"));
        Assert.That(
            task.GetProperty("error").GetProperty("message").GetString(),
            Does.Contain("`u`").And.Contain("n1 did not")
        );
    }

    [Test]
    public async Task ACallThatBreaksIsUnknown()
    {
        server.Cluster.Pause = () => throw new InvalidOperationException("torn");
        var (_, task) = await server.WriteAsync("POST", Documents, """{"id":1}""");
        Assert.That(task.GetProperty("error").GetProperty("code").GetString(), Is.EqualTo("outcome_unknown"));
    }

    [TestCase(RefusalCode.Overloaded, 503, "unavailable")]
    [TestCase(RefusalCode.DiskFull, 507, "no_space_left_on_device")]
    [TestCase(RefusalCode.Corrupt, 500, "internal")]
    public async Task ARejectedWriteIsTheErrorItself(RefusalCode code, int status, string expected)
    {
        server.Cluster.Decide = _ => WriteOutcome.NewRejected(new Refusal(code, "why"));
        var reply = await server.SendAsync("POST", Documents, """[{"id":1},{"id":2}]""");
        Assert.That((int)reply.Status, Is.EqualTo(status));
        Assert.That(reply.Code, Is.EqualTo(expected));
        Assert.That(reply.Message, Does.Contain("why"));
        Assert.That(reply.Headers.RetryAfter is not null, Is.EqualTo(status == 503));
    }

    [Test]
    public async Task OfALongListOfFailuresTheFirstAreNamed()
    {
        server.Cluster.Decide = c =>
            c.Key.Text == "0" ? null : WriteOutcome.NewRejected(new Refusal(RefusalCode.Overloaded, "busy"));
        var lines = string.Join("\n", Enumerable.Range(0, 100).Select(i => $$"""{"id":{{i}}}"""));
        var (_, task) = await server.WriteAsync("POST", Documents, lines, "application/x-ndjson");
        var message = task.GetProperty("error").GetProperty("message").GetString()!;
        Assert.That(message, Does.Contain("of 100 documents 1 were written, 99 were not"));
        Assert.That(message, Does.Contain("`20`").And.Not.Contain("`21`").And.Contain("and 79 more"));
    }

    [Test]
    public async Task ALineThatIsNotJsonStopsTheImportThere()
    {
        var lines =
            string.Join("\n", Enumerable.Range(0, 25).Select(i => $$"""{"id":{{i}}}""")) + "\nnonsense\n{\"id\":99}";
        var (_, task) = await server.WriteAsync("POST", Documents, lines, "application/x-ndjson");
        var error = task.GetProperty("error");
        Assert.That(error.GetProperty("code").GetString(), Is.EqualTo("malformed_payload"));
        Assert.That(error.GetProperty("message").GetString(), Does.Contain("line 26"));
        Assert.That(server.Cluster.All("books"), Has.Count.EqualTo(25));
    }

    [Test]
    public async Task ALongImportIsHandedOnInBatchesOfWhichAFewAreOnTheirWay()
    {
        var held = new TaskCompletionSource();
        var calls = 0;
        server.Cluster.Pause = () => Interlocked.Increment(ref calls) == 3 ? Free() : held.Task;
        Task Free()
        {
            held.SetResult();
            return Task.CompletedTask;
        }
        var lines = string.Join("\n", Enumerable.Range(0, 95).Select(i => $$"""{"id":{{i}}}"""));
        var (_, task) = await server.WriteAsync("POST", Documents, lines, "application/x-ndjson");
        Assert.That(task.GetProperty("details").GetProperty("indexedDocuments").GetInt64(), Is.EqualTo(95));
        Assert.That(server.Cluster.Batches.Sum(), Is.EqualTo(95));
        Assert.That(server.Cluster.Batches.Max(), Is.EqualTo(10));
        Assert.That(server.Cluster.MostInFlight, Is.EqualTo(3));
    }

    [Test]
    public async Task WritesOfOneKeyAreNeverOnTheirWayTogether()
    {
        var lines = string.Join("\n", Enumerable.Range(0, 40).Select(i => $$"""{"id":"same","n":{{i}}}"""));
        await server.WriteAsync("POST", Documents, lines, "application/x-ndjson");
        Assert.That(server.Cluster.MostInFlight, Is.EqualTo(1));
        Assert.That(Encoding.UTF8.GetString(server.Cluster.All("books")[0].Body.Span), Does.Contain("39"));
    }

    [Test]
    public async Task ATaskOfAnotherRouterIsAskedThere()
    {
        await using var other = await ApiServer.StartAsync(router: 2);
        server.Cluster.AddRouter(new RouterInfo("r2", other.Address, 1, 2));
        var (reply, _) = await other.WriteAsync("POST", Documents, """{"id":1}""");
        var uid = reply.Json.GetProperty("taskUid").GetInt64();
        var found = await server.SendAsync("GET", $"/tasks/{uid}");
        Assert.That(found.Json.GetProperty("uid").GetInt64(), Is.EqualTo(uid));
        Assert.That((await server.SendAsync("GET", $"/tasks/{uid + 1}")).Code, Is.EqualTo("task_not_found"));
    }
}
