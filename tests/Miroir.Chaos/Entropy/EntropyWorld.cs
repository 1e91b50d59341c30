using System.Diagnostics;
using System.Text;
using Microsoft.FSharp.Core;
using Miroir.Chaos.Demo;
using Miroir.Chaos.Processes;
using Miroir.Chaos.Scenarios;
using Miroir.Core;
using Miroir.Oracle;
using Miroir.Ports;
using Miroir.Scripting;
using Miroir.Server.Node;
using Miroir.Stores.Sqlite.Native;
using Document = Miroir.Core.Document;

namespace Miroir.Chaos.Entropy;

/// <summary>Three nodes, a coordinator and a router as they ship, an index with three copies, and a hand on its files.</summary>
internal sealed class EntropyWorld : IAsyncDisposable
{
    public const string Index = "docs";
    public const int Shards = 4;
    public const int Copies = 3;
    private const int Words = 20;
    private const int Clients = 64;
    private const int PlantingClient = 10_000;
    private const int SteppingClient = 10_001;

    /// <summary>Asked for above what is to be reached: a client that was late does not make up for it.</summary>
    private const double Headroom = 1.2;

    private static readonly string[] Names = ["n1", "n2", "n3"];
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan PassLimit = TimeSpan.FromMinutes(3);

    private readonly SocketsHttpHandler _handler = new() { MaxConnectionsPerServer = 256 };
    private readonly HttpClient _http;
    private readonly HttpNodeDirectory _nodes = new();
    private readonly Dataset _dataset;
    private MiroirClient? _admin;
    private FeedWatch? _feed;

    public EntropyWorld(string folder, EntropyDrillOptions options)
    {
        _http = new HttpClient(_handler) { Timeout = TimeSpan.FromSeconds(20) };
        _dataset = Dataset.MadeOf(options.Documents, Words);
        Cluster = new Cluster(folder, 0, "");
        Client = new DocumentClient(_http, Index);
        Workload = new Workload(
            Client,
            () => Routers,
            History,
            _dataset,
            Stopwatch.StartNew(),
            Clients,
            (int)(options.WritesPerSecond * 100.0 / Workload.ReadsFrom * Headroom)
        );
    }

    public Cluster Cluster { get; }

    public History History { get; } = new();

    public DocumentClient Client { get; }

    public Workload Workload { get; }

    private Uri[] Routers => [.. Cluster.Routers.Select(router => new Uri(router.Address))];

    public Uri Router => Routers[0];

    public FeedWatch Feed => _feed ?? throw new InvalidOperationException("the router was not started");

    private MiroirClient Admin => _admin ?? throw new InvalidOperationException("the coordinator was not started");

    public async Task StartAsync()
    {
        foreach (var name in Names)
            await Cluster.StartNodeAsync(name);
        await Cluster.StartCoordinatorAsync();
        await Cluster.StartRouterAsync("router-1");
        _admin = new MiroirClient(
            new Uri(Cluster.Coordinator.Address),
            FSharpOption<string>.None,
            TimeSpan.FromSeconds(10)
        );
        _feed = new FeedWatch(Router, Index);
        await Client.CreateIndexAsync(Router, _dataset.PrimaryKey, Shards, Names.Length);
        await Importer.RunAsync(_http, Router, Index, _dataset, History);
    }

    /// <summary>One pass over all shards, to its end.</summary>
    public async Task<PassView> PassAsync(string kind)
    {
        var request = new PassRequest(Index, kind, 0, -1, []);
        var pass = (await Admin.StartPass(request, CancellationToken.None)).Demand(kind);
        var clock = Stopwatch.StartNew();
        while (pass.FinishedAtUnixMs == 0)
        {
            if (clock.Elapsed > PassLimit)
                throw new InvalidOperationException($"{kind} did not end within {PassLimit.TotalMinutes} minutes");
            await Task.Delay(50);
            pass = (await Admin.Pass(pass.Id, true, CancellationToken.None)).Demand(kind);
        }
        return pass.Status == "Done" ? pass : throw new InvalidOperationException($"{kind} failed: {pass.Reason}");
    }

    /// <summary>Puts straight into nodes' stores, past the router, under the route in force.</summary>
    /// <param name="clock">Of the version, in the writer's term; so low that it is older than any write.</param>
    /// <param name="content">What tells it from other documents of this key; null: a tombstone.</param>
    public async Task PlantAsync(string key, long clock, string? content, params string[] nodes)
    {
        var operation = $"{key}-{clock}-{content}";
        var entry = History.Invoke(
            PlantingClient,
            content is null ? Operation.Delete(key) : Workload.ReplaceOf(key, operation)
        );
        History.Complete(entry, Reply.Unknown());
        var route = await RouteOfAsync(key);
        var version = new DocumentVersion(route.Writer.Term, clock);
        var document = content is null
            ? Document.Tombstone(Key.Of(key), version, Guid.Empty, Origin.Client)
            : Document.Live(
                Key.Of(key),
                version,
                Encoding.UTF8.GetBytes(JsonOf(key, operation)),
                Guid.Empty,
                Origin.Client
            );
        foreach (var name in nodes)
        {
            var node = _nodes.Get(name, NodeOf(name).Address);
            var replies = await node.Put(
                [new PutCommand(route.Stamp, route.Shard, document)],
                new CancellationTokenSource(StartLimit).Token
            );
            if (!replies[0].IsApplied)
                throw new InvalidOperationException($"{name} did not take what was planted: {replies[0]}");
        }
    }

    private string JsonOf(string key, string operation) =>
        Workload.With(new System.Text.Json.Nodes.JsonObject { [_dataset.PrimaryKey] = key }, operation);

    /// <summary>Writes documents `NAME-0` and on through the router, one after the other.</summary>
    public async Task WriteAsync(string name, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var key = $"{name}-{i}";
            var entry = History.Invoke(SteppingClient, Workload.ReplaceOf(key, $"{key}-written"));
            History.Complete(entry, await Client.ReplaceAsync(() => Router, JsonOf(key, $"{key}-written")));
        }
    }

    /// <summary>Deletes what <see cref="WriteAsync"/> wrote.</summary>
    public async Task DeleteAsync(string name, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var key = $"{name}-{i}";
            var entry = History.Invoke(SteppingClient, Operation.Delete(key));
            History.Complete(entry, await Client.DeleteAsync(() => Router, key));
        }
    }

    /// <summary>How many of them a client can read.</summary>
    public async Task<int> AliveAsync(string name, int count)
    {
        var alive = 0;
        for (var i = 0; i < count; i++)
        {
            var key = $"{name}-{i}";
            var entry = History.Invoke(SteppingClient, Operation.Read(key));
            var reply = await Client.ReadAsync(() => Router, key);
            History.Complete(entry, reply);
            alive += reply.Outcome == Outcome.Ok && reply.Document is not null ? 1 : 0;
        }

        return alive;
    }

    /// <summary>How many of so many eventual reads of a document, which any of its nodes may answer, show its version.</summary>
    public async Task<int> ReadAsync(string key, int reads)
    {
        var version = await Client.VersionAsync(Router, key, isEventual: false);
        var right = 0;
        for (var i = 0; i < reads; i++)
            right += await Client.VersionAsync(Router, key, isEventual: true) == version ? 1 : 0;
        return right;
    }

    public async Task<bool> HasLoggedAsync(string node, string text)
    {
        await using var log = new FileStream(NodeOf(node).LogFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return (await new StreamReader(log).ReadToEndAsync()).Contains(text, StringComparison.Ordinal);
    }

    public ManagedProcess NodeOf(string name) => Cluster.Nodes.Single(node => node.Name == name);

    public async Task<Route> RouteOfAsync(string key) =>
        (await FinalCheck.TableAsync(Cluster.Coordinator.Address)).Resolve(Index, Key.Of(key).Hash).Value;

    public async Task<string> FileAsync(string node, string key)
    {
        var shard = (await RouteOfAsync(key)).Shard;
        return Path.Combine(Cluster.NodeFolder(node), "shards", Index, $"{shard.Generation}-{shard.Shard}.db");
    }

    public Task StopNodeAsync(string name) => NodeOf(name).StopAsync();

    public Task StartNodeAsync(string name) => NodeOf(name).StartAsync(StartLimit);

    /// <summary>Changes the file of a node that is down, as a failing disk would: the node knows nothing of it.</summary>
    public static void Edit(string file, string sql)
    {
        using var database = Database.Open(file, new DatabaseOptions { Access = DatabaseAccess.Existing });
        database.Execute(sql);
    }

    public static string? Query(string file, string sql)
    {
        using var database = Database.Open(file, new DatabaseOptions { Access = DatabaseAccess.ReadOnly });
        return database.QueryText(sql);
    }

    public async Task<long> TombstonesAsync()
    {
        long tombstones = 0;
        foreach (var name in Names)
        {
            var status = await _nodes
                .Get(name, NodeOf(name).Address)
                .Status(new CancellationTokenSource(StartLimit).Token);
            tombstones += status.Stores.Sum(store => store.Tombstones);
        }
        return tombstones;
    }

    /// <summary>Stores of a node by their health.</summary>
    public async Task<int> ServingAsync(string name)
    {
        var status = await _nodes.Get(name, NodeOf(name).Address).Status(new CancellationTokenSource(StartLimit).Token);
        return status.Stores.Count(store => store.Health == StoreHealth.Serving);
    }

    public async ValueTask DisposeAsync()
    {
        await Cluster.DisposeAsync();
        _nodes.Dispose();
        (_admin as IDisposable)?.Dispose();
        _feed?.Dispose();
        ((IDisposable)History).Dispose();
        _http.Dispose();
        _handler.Dispose();
    }
}
