using System.Net;
using System.Text;
using System.Text.Json;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Coordination;
using Miroir.Server.Coordination;
using Miroir.Server.Hosts;
using Miroir.Stores.Sqlite;
using NUnit.Framework;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary>
/// Nodes, a coordinator and a router as they ship, in this process, over real sockets and files. Each can be stopped and
/// started again where it was: same name, folder and port.
/// </summary>
internal sealed class TestCluster : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("miroir-cluster-");
    private readonly Func<string, SqliteNodeStoreOptions?> storeOptions;
    private readonly Dictionary<string, NodeHost> nodes = [];
    private readonly Dictionary<string, string> addresses = [];
    private readonly List<NodeInfo> seed = [];
    private CoordinatorHost? coordinator;
    private RouterHost? router;
    private HttpCoordinator? link;

    private readonly CoordinatorOptions coordinatorOptions;

    private TestCluster(Func<string, SqliteNodeStoreOptions?> storeOptions, CoordinatorOptions coordinatorOptions) =>
        (this.storeOptions, this.coordinatorOptions) = (storeOptions, coordinatorOptions);

    /// <summary>Where clients ask: the router.</summary>
    public string Address => addresses["router"];

    public string CoordinatorAddress => addresses["coordinator"];

    public HttpClient Http { get; } = new() { Timeout = Limit };

    /// <param name="storeOptions">By a node's name; null: the defaults.</param>
    public static async Task<TestCluster> StartAsync(
        int count = 3,
        Func<string, SqliteNodeStoreOptions?>? storeOptions = null,
        CoordinatorOptions? coordinatorOptions = null
    )
    {
        var cluster = new TestCluster(storeOptions ?? (_ => null), coordinatorOptions ?? new CoordinatorOptions());
        try
        {
            for (var i = 1; i <= count; i++)
            {
                var name = $"n{i}";
                cluster.seed.Add(new NodeInfo(name, await cluster.StartNodeAsync(name), "", 1, 0, NodeRole.Active));
            }
            await cluster.StartCoordinatorAsync();
            await cluster.StartRouterAsync();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    public string NodeAddress(string name) => addresses[name];

    /// <summary>Files of an index's stores on a node, by name such as <c>1-0.db</c>.</summary>
    public string[] ShardFiles(string node, string index)
    {
        var shards = Path.Combine(folder.FullName, node, "shards", index);
        return Directory.Exists(shards) ? Directory.GetFiles(shards, "*.db") : [];
    }

    /// <summary>A node that listens; nobody is told of it.</summary>
    public async Task<string> StartNodeAsync(string name)
    {
        var host = new NodeHost(
            new NodeHostOptions
            {
                Name = name,
                Store = SqliteNodeStore.Open(Path.Combine(folder.FullName, name), storeOptions(name)),
                Listen = Before(name),
            }
        );
        nodes[name] = host;
        return addresses[name] = await host.StartAsync(default);
    }

    public async Task StopNodeAsync(string name)
    {
        nodes.Remove(name, out var host);
        await host!.DisposeAsync();
    }

    public async Task StartCoordinatorAsync()
    {
        coordinator = new CoordinatorHost(
            new CoordinatorHostOptions
            {
                Metadata = SqliteMetadataStore.Open(Path.Combine(folder.FullName, "metadata.db")),
                Listen = Before("coordinator"),
                Seed = seed,
                Coordinator = coordinatorOptions,
            }
        );
        addresses["coordinator"] = await coordinator.StartAsync(default);
    }

    public async Task StopCoordinatorAsync()
    {
        await coordinator!.DisposeAsync();
        coordinator = null;
    }

    /// <summary>Each start is another incarnation.</summary>
    public async Task StartRouterAsync()
    {
        link = new HttpCoordinator(CoordinatorAddress);
        router = new RouterHost(
            new RouterHostOptions
            {
                Router = new RouterSettings { Name = "r1", DataDirectory = Path.Combine(folder.FullName, "r1") },
                Coordinator = link,
                AdminAddress = CoordinatorAddress,
                Listen = Before("router"),
            }
        );
        addresses["router"] = await router.StartAsync(default);
    }

    public async Task StopRouterAsync()
    {
        await router!.DisposeAsync();
        link!.Dispose();
        (router, link) = (null, null);
    }

    public async Task<ClusterReply> SendAsync(
        string method,
        string path,
        string? body = null,
        string type = "application/json"
    )
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), Address + path);
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, type);
        using var response = await Http.SendAsync(request);
        return await ClusterReply.OfAsync(response);
    }

    /// <summary>A request that must be taken; its answer.</summary>
    public async Task<JsonElement> DoAsync(string method, string path, string? body = null)
    {
        var reply = await SendAsync(method, path, body);
        Assert.That((int)reply.Status, Is.LessThan(300), $"{method} {path}: {reply.Text}");
        return reply.Json;
    }

    /// <summary>A request that becomes a task, which must succeed.</summary>
    public async Task<JsonElement> TaskAsync(string method, string path, string? body = null)
    {
        var accepted = await DoAsync(method, path, body);
        var task = await DoAsync("GET", $"/tasks/{accepted.GetProperty("taskUid").GetInt64()}");
        Assert.That(task.GetProperty("status").GetString(), Is.EqualTo("succeeded"), task.GetRawText());
        return task;
    }

    public Task CreateIndexAsync(string uid, int shards, int replication = 1) =>
        TaskAsync(
            "POST",
            "/indexes",
            JsonSerializer.Serialize(
                new
                {
                    uid,
                    primaryKey = "id",
                    shards,
                    replication,
                }
            )
        );

    /// <summary>Documents <c>{id, n}</c> with n = id.</summary>
    public Task FillAsync(string uid, int from, int count) =>
        TaskAsync(
            "POST",
            $"/indexes/{uid}/documents",
            JsonSerializer.Serialize(Enumerable.Range(from, count).Select(i => new { id = i, n = i }))
        );

    /// <summary>Every one of <see cref="FillAsync"/>'s documents is there, by a confirmed read of each.</summary>
    public async Task CheckFilledAsync(string uid, int from, int count) =>
        await Parallel.ForEachAsync(
            Enumerable.Range(from, count),
            new ParallelOptions { MaxDegreeOfParallelism = 16 },
            async (i, _) =>
            {
                var reply = await SendAsync("GET", $"/indexes/{uid}/documents/{i}");
                Assert.That((int)reply.Status, Is.EqualTo(200), $"document {i}: {reply.Text}");
                Assert.That(reply.Json.GetProperty("n").GetInt32(), Is.EqualTo(i));
            }
        );

    /// <summary>The newest migration of an index, once it is as wanted.</summary>
    public Task<JsonElement> MigrationAsync(string uid, Func<JsonElement, bool> isWanted) =>
        UntilAsync(
            async () =>
            {
                var reply = await SendAsync("GET", $"/_miroir/reshards/latest?index={uid}");
                return (reply.Status == HttpStatusCode.OK && isWanted(reply.Json), reply.Json);
            },
            reply => $"the migration did not get there: {reply.GetRawText()}"
        );

    /// <summary>Asks again until the answer is the wanted one.</summary>
    public static async Task<T> UntilAsync<T>(Func<Task<(bool IsWanted, T Value)>> ask, Func<T, string> otherwise)
    {
        var end = Environment.TickCount64 + (long)Limit.TotalMilliseconds;
        while (true)
        {
            var (isWanted, value) = await ask();
            if (isWanted)
                return value;
            if (Environment.TickCount64 > end)
                Assert.Fail(otherwise(value));
            await Task.Delay(50);
        }
    }

    public async ValueTask DisposeAsync()
    {
        // The router first: it still has nodes to end its writes on.
        if (router is not null)
            await StopRouterAsync();
        if (coordinator is not null)
            await StopCoordinatorAsync();
        foreach (var name in nodes.Keys.ToArray())
            await StopNodeAsync(name);
        Http.Dispose();
        folder.Delete(recursive: true);
    }

    private BindAddress Before(string name) =>
        addresses.TryGetValue(name, out var address) ? BindAddress.Parse(address) : BindAddress.AnyLoopbackPort;
}

internal sealed record ClusterReply(HttpStatusCode Status, string Text)
{
    public JsonElement Json => JsonDocument.Parse(Text).RootElement;

    /// <summary>Its code, where the answer is an error of the documented shape.</summary>
    public string Code
    {
        get
        {
            Assert.That(
                Json.EnumerateObject().Select(p => p.Name),
                Is.EqualTo((string[])["message", "code", "type", "link"]),
                Text
            );
            Assert.That(Json.GetProperty("message").GetString(), Is.Not.Empty);
            return Json.GetProperty("code").GetString()!;
        }
    }

    public static async Task<ClusterReply> OfAsync(HttpResponseMessage response) =>
        new(response.StatusCode, await response.Content.ReadAsStringAsync());
}
