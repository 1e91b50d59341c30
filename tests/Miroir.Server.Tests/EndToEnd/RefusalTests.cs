using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Miroir.Server.Hosts;
using NUnit.Framework;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary>Bad input to a whole cluster: each has its documented code, and all that was there before still is.</summary>
[CancelAfter(300_000)]
public sealed class RefusalTests
{
    private const int Filled = 50;
    private TestCluster cluster = null!;

    [OneTimeSetUp]
    public async Task Start()
    {
        cluster = await TestCluster.StartAsync();
        await cluster.CreateIndexAsync("docs", 4);
        await cluster.FillAsync("docs", 0, Filled);
    }

    [OneTimeTearDown]
    public async Task Stop() => await cluster.DisposeAsync();

    [TearDown]
    public async Task NothingElseIsLost()
    {
        await cluster.CheckFilledAsync("docs", 0, Filled);
        var page = await cluster.DoAsync("GET", "/indexes/docs/documents?limit=0");
        Assert.That(page.GetProperty("total").GetInt32(), Is.EqualTo(Filled));
        var view = await cluster.DoAsync("GET", "/_miroir/cluster");
        Assert.That(view.GetProperty("nodes").GetArrayLength(), Is.EqualTo(3));
        Assert.That(view.GetProperty("indexes").GetArrayLength(), Is.EqualTo(1));
    }

    private static void Check(ClusterReply reply, int status, string code)
    {
        Assert.That((int)reply.Status, Is.EqualTo(status), reply.Text);
        Assert.That(reply.Code, Is.EqualTo(code), reply.Text);
    }

    [TestCase("POST", "/indexes/docs/documents", """{"n":1}""", 400, "missing_document_id")]
    [TestCase("POST", "/indexes/docs/documents", """{"id":1,"_miroir_x":1}""", 400, "reserved_field")]
    [TestCase("PUT", "/indexes/docs/documents", """{"id":1,"_miroir_x":1}""", 400, "reserved_field")]
    [TestCase("POST", "/indexes/docs/documents", """{"id":1,"n":""", 400, "malformed_payload")]
    [TestCase("POST", "/indexes/docs/documents", "not JSON", 400, "malformed_payload")]
    [TestCase("POST", "/indexes/docs/documents", """{"id":1.5}""", 400, "invalid_document_id")]
    [TestCase("GET", "/indexes/none/documents", null, 404, "index_not_found")]
    [TestCase("GET", "/indexes/none/documents/1", null, 404, "index_not_found")]
    [TestCase("DELETE", "/indexes/none/documents/1", null, 404, "index_not_found")]
    [TestCase("DELETE", "/indexes/none", null, 404, "index_not_found")]
    [TestCase("POST", "/indexes", """{"uid":"x","shards":0}""", 400, "invalid_shards")]
    [TestCase("POST", "/indexes", """{"uid":"x","shards":65537}""", 400, "invalid_shards")]
    [TestCase("POST", "/indexes", """{"uid":"x","replication":4}""", 409, "no_placement")]
    [TestCase("POST", "/_miroir/reshards", """{"index":"docs","newShards":-1}""", 400, "invalid_new_shards")]
    [TestCase("POST", "/_miroir/reshards", """{"index":"docs","newShards":65537}""", 400, "invalid_new_shards")]
    [TestCase("POST", "/_miroir/reshards", """{"index":"none","newShards":8}""", 404, "index_not_found")]
    [TestCase("POST", "/_miroir/reshards", "not JSON", 400, "malformed_payload")]
    [TestCase("GET", "/_miroir/reshards/7", null, 404, "migration_not_found")]
    [TestCase("GET", "/_miroir/nowhere", null, 404, "not_found")]
    [TestCase("POST", "/_miroir/internal/indexes/delete", """{"uid":"docs"}""", 404, "not_found")]
    [TestCase("POST", "/_miroir/x/../internal/indexes/delete", """{"uid":"docs"}""", 404, "not_found")]
    [TestCase("POST", "/_miroir/%2e%2e/_miroir/internal/indexes/delete", """{"uid":"docs"}""", 404, "not_found")]
    public async Task IsRefused(string method, string path, string? body, int status, string code) =>
        Check(await cluster.SendAsync(method, path, body), status, code);

    [Test]
    public async Task AKeyOf513BytesIsTooLong()
    {
        var fits = new string('k', 512);
        Check(
            await cluster.SendAsync("POST", "/indexes/docs/documents", $$"""{"id":"{{fits}}k","n":1}"""),
            400,
            "invalid_document_id"
        );
        await cluster.TaskAsync("POST", "/indexes/docs/documents", $$"""{"id":"{{fits}}","n":1}""");
        await cluster.TaskAsync("DELETE", $"/indexes/docs/documents/{fits}");
    }

    [Test]
    public async Task AUidThatIsTooLongForAFileNameIsRefused() =>
        Check(
            await cluster.SendAsync("POST", "/indexes", $$"""{"uid":"{{new string('u', 201)}}"}"""),
            400,
            "invalid_index_uid"
        );

    [TestCase(true)]
    [TestCase(false)]
    public async Task ABodyOf101MegabytesIsTooLarge(bool waitsForGo)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{cluster.Address}/indexes/docs/documents")
        {
            Content = new ByteArrayContent(new byte[101_000_000]),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.ExpectContinue = waitsForGo;
        using var response = await cluster.Http.SendAsync(request);
        Check(await ClusterReply.OfAsync(response), 413, "payload_too_large");
    }

    private Task<ClusterReply> AddNode(string name, string address) =>
        cluster.SendAsync("POST", "/_miroir/nodes", $$"""{"name":"{{name}}","address":"{{address}}"}""");

    [Test]
    public async Task ANodeWhoseAddressAnswersSomethingElseIsNotAdded()
    {
        // The coordinator's own address is a plain HTTP server that is no node.
        var reply = await AddNode("n4", cluster.CoordinatorAddress);
        Check(reply, 503, "node_unreachable");
        Assert.That(reply.Text, Does.Contain("something else answers there"));
    }

    [Test]
    public async Task ANodeWhoseAddressIsAWebSiteIsNotAdded()
    {
        await using var site = new HttpServer(BindAddress.AnyLoopbackPort);
        await site.StartAsync(
            HttpProtocols.Http2,
            app => app.MapFallback((RequestDelegate)(http => http.Response.WriteAsync("welcome"))),
            default
        );
        var reply = await AddNode("n4", site.Address);
        Check(reply, 503, "node_unreachable");
        Assert.That(reply.Text, Does.Contain("something else answers there"));
        await site.StopAsync();
    }

    [Test]
    public async Task ANodeAtAPortThatNobodyListensOnIsNotAdded()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        // Bound and not listening: refused, and nobody else's meanwhile.
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        Check(await AddNode("n4", $"http://{socket.LocalEndPoint}"), 503, "node_unreachable");
    }

    [Test]
    public async Task ANodeUnderAnotherNameIsNotAdded()
    {
        var address = await cluster.StartNodeAsync("n4");
        try
        {
            var reply = await AddNode("n5", address);
            Check(reply, 503, "node_unreachable");
            Assert.That(reply.Text, Does.Contain("`n4` answers there"));
        }
        finally
        {
            await cluster.StopNodeAsync("n4");
        }
    }

    [Test]
    public async Task AnotherNodesAddressIsNotAddedTwice() =>
        Check(await AddNode("n4", cluster.NodeAddress("n1")), 409, "node_already_exists");
}
