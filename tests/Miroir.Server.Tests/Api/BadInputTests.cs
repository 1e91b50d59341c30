using System.Net;
using System.Net.Sockets;
using System.Text;
using NUnit.Framework;

namespace Miroir.Server.Tests.Api;

/// <summary>Everything that can be wrong with a request has its error, and leaves the rest alone.</summary>
public sealed class BadInputTests
{
    private ApiServer server = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        server = await ApiServer.StartAsync(change: o =>
            o with
            {
                MaxJsonBodyBytes = 100_000,
                MaxDocumentBytes = 20_000,
            }
        );
        await server.WriteAsync("POST", "/indexes/books/documents", """{"id":"kept","n":1.0}""");
    }

    [OneTimeTearDown]
    public async Task StopAsync() => await server.DisposeAsync();

    [TearDown]
    public void NothingElseWasLost() =>
        Assert.That(
            server.Cluster.All("books").Select(d => Encoding.UTF8.GetString(d.Body.Span)),
            Is.EqualTo((string[])["""{"id":"kept","n":1.0}"""])
        );

    private static readonly string Long = new('x', 513);

    private static IEnumerable<TestCaseData> Bodies()
    {
        TestCaseData Case(string name, string body, int status, string code, string type = "application/json") =>
            new TestCaseData(body, type, status, code).SetName($"Body: {name}");
        yield return Case("no primary key", """{"name":"a"}""", 400, "missing_document_id");
        yield return Case("null id", """{"id":null}""", 400, "invalid_document_id");
        yield return Case("float id", """{"id":1.5}""", 400, "invalid_document_id");
        yield return Case("exponent id", """{"id":1e3}""", 400, "invalid_document_id");
        yield return Case("object id", """{"id":{}}""", 400, "invalid_document_id");
        yield return Case("empty id", """{"id":""}""", 400, "invalid_document_id");
        yield return Case("long id", $$"""{"id":"{{Long}}"}""", 400, "invalid_document_id");
        yield return Case("half a surrogate pair", """{"id":"\ud800"}""", 400, "invalid_document_id");
        yield return Case("half a pair in a name", """{"id":1,"\ud800":1}""", 400, "malformed_payload");
        yield return Case("reserved field", """{"id":1,"_miroir_x":1}""", 400, "reserved_field");
        yield return Case("reserved field, escaped", """{"id":1,"\u005fmiroir_x":1}""", 400, "reserved_field");
        yield return Case("not JSON", """{"id":1,""", 400, "malformed_payload");
        yield return Case("text behind it", """{"id":1} x""", 400, "malformed_payload");
        yield return Case("trailing comma", """[{"id":1},]""", 400, "malformed_payload");
        yield return Case("array broken behind good ones", """[{"id":1},{"id":2},{"id":]""", 400, "malformed_payload");
        yield return Case("a number", "7", 400, "malformed_payload");
        yield return Case("array of numbers", "[7]", 400, "malformed_payload");
        yield return Case("object and number", """[{"id":1},7]""", 400, "malformed_payload");
        yield return Case("empty", "", 400, "missing_payload");
        yield return Case("blank", " \n ", 400, "missing_payload");
        yield return Case(
            "too deep",
            $$"""{"id":1,"a":{{new string('[', 64)}}{{new string(']', 64)}}}""",
            400,
            "malformed_payload"
        );
        yield return Case("too large", $$"""{"id":1,"a":"{{new string('x', 100_000)}}"}""", 413, "payload_too_large");
        yield return Case(
            "one document too large",
            $$"""{"id":1,"a":"{{new string('x', 20_000)}}"}""",
            413,
            "payload_too_large"
        );
        yield return Case("XML", "<a/>", 415, "invalid_content_type", "text/xml");
        yield return Case("CSV", "id\n1", 415, "invalid_content_type", "text/csv");
        yield return Case(
            "Latin-1",
            """{"id":1}""",
            415,
            "invalid_content_type",
            "application/json; charset=iso-8859-1"
        );
        yield return Case("NDJSON: not JSON", "nonsense", 400, "malformed_payload", "application/x-ndjson");
        yield return Case("NDJSON: not an object", "[1]", 400, "malformed_payload", "application/x-ndjson");
        yield return Case("NDJSON: empty", "\n\n", 400, "missing_payload", "application/x-ndjson");
        yield return Case(
            "NDJSON: long line",
            $$"""{"id":1,"a":"{{new string('x', 20_000)}}"}""",
            413,
            "payload_too_large",
            "application/x-ndjson"
        );
    }

    [TestCaseSource(nameof(Bodies))]
    public async Task BodyIsRefused(string body, string type, int status, string code)
    {
        foreach (var method in (string[])["POST", "PUT"])
            Check(await server.SendAsync(method, "/indexes/books/documents", body, type), status, code);
    }

    [TestCase("GET", "/indexes/none", 404, "index_not_found")]
    [TestCase("GET", "/indexes/none/documents", 404, "index_not_found")]
    [TestCase("GET", "/indexes/none/documents/1", 404, "index_not_found")]
    [TestCase("GET", "/indexes/none/stats", 404, "index_not_found")]
    [TestCase("DELETE", "/indexes/none", 404, "index_not_found")]
    [TestCase("DELETE", "/indexes/none/documents", 404, "index_not_found")]
    [TestCase("DELETE", "/indexes/none/documents/1", 404, "index_not_found")]
    [TestCase("GET", "/indexes/b%20d", 400, "invalid_index_uid")]
    [TestCase("GET", "/indexes/..%2Fetc/documents", 400, "invalid_index_uid")]
    [TestCase("GET", "/indexes/books/documents/none", 404, "document_not_found")]
    [TestCase("GET", "/indexes/books/documents/%FF", 400, "bad_request")]
    [TestCase("GET", "/indexes/books/documents/%E", 400, "bad_request")]
    [TestCase("GET", "/indexes/books/documents/100%", 400, "bad_request")]
    [TestCase("GET", "/indexes/books/documents?offset=-1", 400, "invalid_document_offset")]
    [TestCase("GET", "/indexes/books/documents?limit=many", 400, "invalid_document_limit")]
    [TestCase("GET", "/indexes/books/documents?limt=1", 400, "bad_request")]
    [TestCase("GET", "/indexes/books/documents?limit=1&limit=2", 400, "bad_request")]
    [TestCase("GET", "/indexes/books/documents?consistency=perhaps", 400, "invalid_consistency")]
    [TestCase("GET", "/indexes/books/documents?filter=a", 501, "not_implemented")]
    [TestCase("GET", "/indexes?offset=x", 400, "invalid_index_offset")]
    [TestCase("GET", "/indexes?limit=x", 400, "invalid_index_limit")]
    [TestCase("POST", "/indexes/books/search", 501, "not_implemented")]
    [TestCase("GET", "/indexes/books/settings/synonyms", 501, "not_implemented")]
    [TestCase("GET", "/keys", 501, "not_implemented")]
    [TestCase("POST", "/multi-search", 501, "not_implemented")]
    [TestCase("GET", "/indexes/books/nothing", 404, "not_found")]
    [TestCase("PATCH", "/indexes/books/documents", 405, "method_not_allowed")]
    [TestCase("GET", "/tasks/x", 400, "invalid_task_uids")]
    [TestCase("GET", "/tasks/1099511627776999", 404, "task_not_found")]
    [TestCase("GET", "/tasks?limit=9999", 400, "invalid_task_limit")]
    [TestCase("GET", "/tasks?from=x", 400, "invalid_task_from")]
    [TestCase("GET", "/tasks?uids=x", 400, "invalid_task_uids")]
    [TestCase("GET", "/tasks?statuses=done", 400, "invalid_task_statuses")]
    [TestCase("GET", "/tasks?types=x", 400, "invalid_task_types")]
    [TestCase("GET", "/tasks?indexUids=%20!", 400, "invalid_task_index_uids")]
    [TestCase("GET", "/tasks?afterEnqueuedAt=later", 400, "invalid_task_date")]
    public async Task RequestIsRefused(string method, string path, int status, string code) =>
        Check(await server.SendAsync(method, path), status, code);

    [TestCase("/indexes", "{}", 400, "missing_index_uid")]
    [TestCase("/indexes", """{"uid":"a b"}""", 400, "invalid_index_uid")]
    [TestCase("/indexes", """{"uid":"x","primaryKey":"_miroir_id"}""", 400, "invalid_index_primary_key")]
    [TestCase("/indexes", """{"uid":"x","shards":0}""", 400, "invalid_shards")]
    [TestCase("/indexes", """{"uid":"x","replication":0}""", 400, "invalid_replication")]
    [TestCase("/indexes/x/documents", """{"name":1}""", 400, "index_primary_key_no_candidate_found")]
    [TestCase("/indexes/x/documents", """{"id":1,"bookID":2}""", 400, "index_primary_key_multiple_candidates_found")]
    [TestCase("/indexes/books/documents?primaryKey=isbn", """{"isbn":1}""", 400, "index_primary_key_already_exists")]
    [TestCase("/indexes/books/documents/fetch", """{"offset":-1}""", 400, "invalid_document_offset")]
    [TestCase("/indexes/books/documents/fetch", """{"limit":"1"}""", 400, "invalid_document_limit")]
    [TestCase("/indexes/books/documents/fetch", """{"fields":"a"}""", 400, "invalid_document_fields")]
    [TestCase("/indexes/books/documents/fetch", """{"ids":7}""", 400, "invalid_document_ids")]
    [TestCase("/indexes/books/documents/fetch", """{"ids":[1.5]}""", 400, "invalid_document_id")]
    [TestCase("/indexes/books/documents/fetch", """{"filter":"a = 1"}""", 501, "not_implemented")]
    [TestCase("/indexes/books/documents/delete-batch", """{"id":1}""", 400, "invalid_document_ids")]
    [TestCase("/indexes/books/documents/delete-batch", """[{}]""", 400, "invalid_document_id")]
    [TestCase("/indexes/books/documents/delete", """{"filter":"a = 1"}""", 501, "not_implemented")]
    public async Task PostIsRefused(string path, string body, int status, string code)
    {
        Check(await server.SendAsync("POST", path, body), status, code);
        Assert.That((await server.SendAsync("GET", "/indexes/x")).Code, Is.EqualTo("index_not_found"));
    }

    [Test]
    public async Task ABodyWithoutATypeIsRefused() =>
        Check(await server.SendAsync("POST", "/indexes/books/documents", "{}", null), 415, "missing_content_type");

    [Test]
    public async Task ABodyThatIsNotUtf8IsRefused()
    {
        byte[] body = [.. """{"id":1,"a":" """u8, 0xC3, 0x28, .. "\"}"u8];
        Check(
            await server.SendAsync("POST", "/indexes/books/documents", body, "application/json"),
            400,
            "malformed_payload"
        );
        Check(
            await server.SendAsync("POST", "/indexes/books/documents", body, "application/x-ndjson"),
            400,
            "malformed_payload"
        );
    }

    [Test]
    public async Task TheRestOfAnNdjsonBodyIsReadAfterALineWasRefused()
    {
        var connections = 0;
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (context, cancel) =>
            {
                Interlocked.Increment(ref connections);
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                await socket.ConnectAsync(context.DnsEndPoint, cancel);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        using var http = new HttpClient(handler);
        for (var i = 0; i < 3; i++)
        {
            using var body = new StringContent(
                "nonsense\n" + new string('\n', 1 << 20),
                System.Text.Encoding.UTF8,
                "application/x-ndjson"
            );
            using var response = await http.PostAsync($"{server.Address}/indexes/books/documents", body);
            Check(await ApiReply.OfAsync(response), 400, "malformed_payload");
        }
        Assert.That(connections, Is.EqualTo(1), "the server gave the connection up");
    }

    [Test]
    public async Task AnIndexKeepsItsPrimaryKeyAndUid()
    {
        Check(
            await server.SendAsync("PATCH", "/indexes/books", """{"primaryKey":"isbn"}"""),
            400,
            "index_primary_key_already_exists"
        );
        Check(await server.SendAsync("PATCH", "/indexes/books", """{"uid":"other"}"""), 400, "immutable_index_uid");
        var (_, task) = await server.WriteAsync("POST", "/indexes", """{"uid":"books"}""");
        Assert.That(task.GetProperty("status").GetString(), Is.EqualTo("failed"));
        Assert.That(task.GetProperty("error").GetProperty("code").GetString(), Is.EqualTo("index_already_exists"));
    }

    private static void Check(ApiReply reply, int status, string code)
    {
        Assert.That((int)reply.Status, Is.EqualTo(status), reply.Text);
        Assert.That(
            reply.Json.EnumerateObject().Select(p => p.Name),
            Is.EqualTo((string[])["message", "code", "type", "link"])
        );
        Assert.That(reply.Code, Is.EqualTo(code), reply.Text);
        Assert.That(reply.Message, Is.Not.Empty);
        Assert.That(reply.Json.GetProperty("link").GetString(), Is.EqualTo($"docs/errors.md#{code}"));
    }
}
