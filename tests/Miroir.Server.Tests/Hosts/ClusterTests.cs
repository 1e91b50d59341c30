using System.Net.Http.Json;
using System.Text.Json;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Coordination;
using Miroir.Server.Hosts;
using Miroir.Stores.Memory;
using Miroir.Stores.Sqlite;
using NUnit.Framework;

namespace Miroir.Server.Tests.Hosts;

/// <summary>Nodes, a coordinator and two routers over real sockets, in one process.</summary>
[CancelAfter(120_000)]
public sealed class ClusterTests
{
    private readonly List<IAsyncDisposable> hosts = [];
    private readonly List<IDisposable> clients = [];
    private readonly HttpClient http = new();
    private string directory = "";
    private string coordinator = "";
    private string first = "";
    private string second = "";

    [SetUp]
    public async Task Start()
    {
        directory = Directory.CreateTempSubdirectory("miroir-test-").FullName;
        var seed = new List<NodeInfo>();
        foreach (var name in (string[])["n1", "n2"])
        {
            var node = new NodeHost(
                new NodeHostOptions { Name = name, Store = new MemoryNodeStore(SystemEntropy.Instance) }
            );
            hosts.Add(node);
            seed.Add(new NodeInfo(name, await node.StartAsync(default), "", 1, 0, NodeRole.Active));
        }
        var lead = new CoordinatorHost(
            new CoordinatorHostOptions
            {
                Metadata = SqliteMetadataStore.Open(Path.Combine(directory, "metadata.db")),
                Seed = seed,
            }
        );
        hosts.Add(lead);
        coordinator = await lead.StartAsync(default);
        first = await StartRouter("r1");
        second = await StartRouter("r2");
    }

    [TearDown]
    public async Task Stop()
    {
        foreach (var host in hosts.AsEnumerable().Reverse())
            await host.DisposeAsync();
        foreach (var client in clients)
            client.Dispose();
        hosts.Clear();
        clients.Clear();
        Directory.Delete(directory, recursive: true);
    }

    [OneTimeTearDown]
    public void Dispose() => http.Dispose();

    private async Task<string> StartRouter(string name)
    {
        var client = new HttpCoordinator(coordinator);
        clients.Add(client);
        var router = new RouterHost(
            new RouterHostOptions
            {
                Router = new RouterSettings { Name = name, DataDirectory = Path.Combine(directory, name) },
                Coordinator = client,
            }
        );
        hosts.Add(router);
        return await router.StartAsync(default);
    }

    [Test]
    public async Task BothRoutersWriteAndReadEveryDocument(CancellationToken cancel)
    {
        const int count = 200;
        await Post(first, 0, count, cancel);
        await Post(second, count, 2 * count, cancel);
        for (var i = 0; i < 2 * count; i += 7)
            foreach (var router in (string[])[first, second])
            {
                var document = await http.GetFromJsonAsync<JsonElement>(
                    $"{router}/indexes/things/documents/{i}",
                    cancel
                );
                Assert.That(document.GetProperty("n").GetInt32(), Is.EqualTo(i));
            }
        // Writers are spread over routers, so that half of it went by the routers' own wire.
        var cluster = await http.GetFromJsonAsync<JsonElement>($"{coordinator}/_miroir/cluster", cancel);
        var routers = cluster.GetProperty("routers").EnumerateArray().ToArray();
        Assert.That(routers.Select(r => r.GetProperty("name").GetString()), Is.EqualTo(["r1", "r2"]));
        Assert.That(routers.Select(r => r.GetProperty("writerOf").GetInt32()), Is.All.GreaterThan(0));
        Assert.That(
            cluster.GetProperty("nodes").EnumerateArray().Sum(n => n.GetProperty("documents").GetInt64()),
            Is.EqualTo(2 * count)
        );
    }

    [TestCase("GET", "/_miroir/reshards/latest", "", 400, "missing_index")]
    [TestCase("GET", "/_miroir/reshards/seven", "", 400, "invalid_migration_id")]
    [TestCase("GET", "/_miroir/reshards/7", "", 404, "migration_not_found")]
    [TestCase("GET", "/_miroir/nodes/n9", "", 404, "node_not_found")]
    [TestCase("GET", "/_miroir/indexes/none/routes", "", 404, "index_not_found")]
    [TestCase("POST", "/_miroir/reshards", "{}", 400, "missing_index")]
    [TestCase("POST", "/_miroir/reshards", "[1]", 400, "malformed_payload")]
    [TestCase("POST", "/_miroir/reshards", "{\"index\":\"i\",\"newShards\":-1}", 400, "invalid_new_shards")]
    [TestCase("POST", "/_miroir/reshards", "{\"index\":\"i\",\"shards\":1}", 400, "invalid_shards")]
    [TestCase("POST", "/_miroir/nodes", "{\"name\":\"n3\",\"address\":\"here\"}", 400, "invalid_address")]
    [TestCase("POST", "/_miroir/nodes", "{\"name\":\"n3\"}", 400, "missing_address")]
    public async Task BadAdminRequestsAreExplained(
        string method,
        string path,
        string body,
        int status,
        string code,
        CancellationToken cancel
    )
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), coordinator + path);
        if (body != "")
            request.Content = new StringContent(body);
        using var response = await http.SendAsync(request, cancel);
        var error = await response.Content.ReadFromJsonAsync<JsonElement>(cancel);
        Assert.That(error.GetProperty("code").GetString(), Is.EqualTo(code));
        Assert.That((int)response.StatusCode, Is.EqualTo(status));
        Assert.That(error.GetProperty("message").GetString(), Is.Not.Empty);
    }

    private async Task Post(string router, int from, int to, CancellationToken cancel)
    {
        var documents = Enumerable.Range(from, to - from).Select(i => new { id = i, n = i });
        using var response = await http.PostAsJsonAsync($"{router}/indexes/things/documents", documents, cancel);
        var task = await response.Content.ReadFromJsonAsync<JsonElement>(cancel);
        var uid = task.GetProperty("taskUid").GetInt64();
        var done = await http.GetFromJsonAsync<JsonElement>($"{router}/tasks/{uid}", cancel);
        Assert.That(done.GetProperty("status").GetString(), Is.EqualTo("succeeded"), done.GetRawText());
    }
}
