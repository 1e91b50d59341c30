using System.Runtime.CompilerServices;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Routing;
using Miroir.Stores.Memory;
using NUnit.Framework;

namespace Miroir.Simulation.Routing;

internal sealed class SeededEntropy(int seed) : IEntropy
{
    private readonly Lock _lock = new();
    private readonly Random _random = new(seed);

    public Guid NewGuid()
    {
        var bytes = new byte[16];
        lock (_lock)
        {
            _random.NextBytes(bytes);
        }
        return new Guid(bytes);
    }

    public double NextDouble()
    {
        lock (_lock)
        {
            return _random.NextDouble();
        }
    }

    public long NextInt64()
    {
        lock (_lock)
        {
            return _random.NextInt64(1, long.MaxValue);
        }
    }
}

/// <summary>A node in this process, with a place for a test to stand between the router and its store.</summary>
internal sealed class TestNode(string name, IEntropy entropy) : INode
{
    public MemoryNodeStore Store { get; } = new(entropy);

    public string Name => name;

    /// <summary>Nothing comes back, nothing goes in.</summary>
    public bool IsDown { get; set; }

    public bool RefusesBarriers { get; set; }

    /// <summary>How often it was asked for its change log.</summary>
    public int ChangesAsked { get; private set; }

    /// <summary>Asked for each put before it reaches the store; a reply that is not null is given instead.</summary>
    public Func<PutCommand, Task<PutReply?>> BeforePut { get; set; } = static _ => Task.FromResult<PutReply?>(null);

    /// <summary>After the store has answered, before the router hears of it.</summary>
    public Func<PutCommand, Task> AfterPut { get; set; } = static _ => Task.CompletedTask;

    /// <summary>Asked before changes reach the store's log without a put.</summary>
    public Func<LogChangesCommand, CancellationToken, Task> BeforeLog { get; set; } =
        static (_, _) => Task.CompletedTask;

    public async Task<PutReply[]> Put(IReadOnlyList<PutCommand> commands, CancellationToken cancel)
    {
        MustBeUp();
        var replies = new PutReply[commands.Count];
        for (var i = 0; i < replies.Length; i++)
        {
            replies[i] = await BeforePut(commands[i]).WaitAsync(cancel) ?? (await Store.Put([commands[i]], cancel))[0];
            await AfterPut(commands[i]).WaitAsync(cancel);
        }
        return replies;
    }

    public Task<ReadReply[]> Read(IReadOnlyList<ReadCommand> commands, CancellationToken cancel)
    {
        MustBeUp();
        return Store.Read(commands, cancel);
    }

    public Task<BarrierReply[]> RaiseBarriers(IReadOnlyList<BarrierCommand> commands, CancellationToken cancel)
    {
        MustBeUp();
        if (RefusesBarriers)
        {
            throw new UnreachableException(name, "barriers are not answered");
        }
        return Store.RaiseBarriers(commands, cancel);
    }

    public Task<MakeReply> Make(MakeCommand command, CancellationToken cancel) => Store.Make(command, cancel);

    public Task<DropReply> Drop(DropCommand command, CancellationToken cancel) => Store.Drop(command, cancel);

    public async IAsyncEnumerable<ScanReply> Scan(
        ScanCommand command,
        [EnumeratorCancellation] CancellationToken cancel
    )
    {
        while (true)
        {
            MustBeUp();
            var reply = await Store.ScanPage(command, cancel);
            yield return reply;
            if (reply is not ScanReply.Page page || page.Item.IsLast)
            {
                yield break;
            }
            var last = page.Item.Entries[^1].Key;
            command = new ScanCommand(
                command.Stamp,
                command.Store,
                command.Range,
                last,
                command.MaxEntries,
                command.MaxBytes,
                command.WithBodies
            );
        }
    }

    public IAsyncEnumerable<ReconcileReply> Reconcile(ReconcileCommand command, CancellationToken cancel) =>
        throw new UnreachableException(name, "routers reconcile nothing");

    public Task<DigestReply> Digests(DigestCommand command, CancellationToken cancel)
    {
        MustBeUp();
        return Store.Digests(command, cancel);
    }

    public IAsyncEnumerable<ScanReply> ScanRanges(RangesCommand command, CancellationToken cancel) =>
        throw new UnreachableException(name, "routers do not ask for this");

    public Task<HealReply[]> Heal(IReadOnlyList<HealCommand> commands, CancellationToken cancel)
    {
        MustBeUp();
        return Store.Heal(commands, cancel);
    }

    public Task<ScrubReply> Scrub(ScrubCommand command, CancellationToken cancel) =>
        throw new UnreachableException(name, "routers do not ask for this");

    public Task<PurgeReply> Purge(PurgeCommand command, CancellationToken cancel) =>
        throw new UnreachableException(name, "routers do not ask for this");

    public Task<ChangesReply> Changes(ChangesCommand command, CancellationToken cancel)
    {
        MustBeUp();
        ChangesAsked++;
        return Store.Changes(command, cancel);
    }

    public async Task<LogChangesReply> LogChanges(LogChangesCommand command, CancellationToken cancel)
    {
        MustBeUp();
        await BeforeLog(command, cancel);
        return await Store.LogChanges(command, cancel);
    }

    public async Task<NodeStatus> Status(CancellationToken cancel)
    {
        MustBeUp();
        return new NodeStatus(name, Guid.Empty, "test", await Store.Stores(cancel), "");
    }

    private void MustBeUp()
    {
        if (IsDown)
        {
            throw new UnreachableException(name, "down");
        }
    }
}

/// <summary>A coordinator whose table is what the test publishes.</summary>
internal sealed class TestCoordinator : ICoordinator
{
    private readonly Lock _lock = new();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TableUpdate _table = new(0, true, [], [], [], [], [], [], [], []);

    /// <summary>The start of each router that is not the live one any more.</summary>
    public HashSet<long> Deposed { get; } = [];

    public long Publish(Func<TableUpdate, TableUpdate> change)
    {
        lock (_lock)
        {
            var next = change(_table);
            _table = new TableUpdate(
                _table.Revision + 1,
                true,
                next.Indexes,
                [],
                next.Routes,
                [],
                next.Nodes,
                [],
                next.Routers,
                []
            );
            _changed.SetResult();
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _table.Revision;
        }
    }

    public Task<RouterInfo> Register(string name, string address, long incarnation, CancellationToken cancel)
    {
        var info = new RouterInfo(name, address, incarnation, 1);
        Publish(t => new TableUpdate(
            0,
            true,
            t.Indexes,
            [],
            t.Routes,
            [],
            t.Nodes,
            [],
            [.. t.Routers.Where(router => router.Name != name), info],
            []
        ));
        return Task.FromResult(info);
    }

    public Task<bool> Heartbeat(string name, long incarnation, CancellationToken cancel) =>
        Task.FromResult(!Deposed.Contains(incarnation));

    public async Task<TableUpdate> Watch(long sinceRevision, CancellationToken cancel)
    {
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                if (_table.Revision > sinceRevision)
                {
                    return _table;
                }
                changed = _changed.Task;
            }
            await changed.WaitAsync(cancel);
        }
    }

    public Task<AdminReply<IndexInfo>> CreateIndex(CreateIndexRequest request, CancellationToken cancel) => No();

    public Task<AdminReply<IndexInfo>> SetPrimaryKey(string uid, string primaryKey, CancellationToken cancel) => No();

    public Task<AdminReply<IndexInfo>> DeleteIndex(string uid, CancellationToken cancel) => No();

    private static Task<AdminReply<IndexInfo>> No() =>
        Task.FromResult(AdminReply<IndexInfo>.Error("not_offered", "the test makes its indexes itself"));
}

/// <summary>Nodes, routers and a table, all in this process; the test is the coordinator.</summary>
internal sealed class RouterWorld : INodeDirectory, IRouterDirectory, IAsyncDisposable
{
    public const string Index = "movies";
    public static readonly ShardId Old = new(Index, 1, 0);
    public static readonly ShardId New = new(Index, 2, 0);
    private readonly Dictionary<string, TestNode> _nodes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Router> _routers = new(StringComparer.Ordinal);

    public RouterWorld(params string[] nodes)
    {
        foreach (var name in nodes)
        {
            _nodes.Add(name, new TestNode(name, Entropy));
        }
        Coordinator.Publish(t => new TableUpdate(
            0,
            true,
            [new IndexInfo(Index, "id", nodes.Length, new LayoutInfo(1, 1), 2, 0, 0)],
            [],
            [],
            [],
            [.. nodes.Select(name => new NodeInfo(name, $"test://{name}", "", 1, 0, NodeRole.Active))],
            [],
            [],
            []
        ));
    }

    public SeededEntropy Entropy { get; } = new(7);
    public TestCoordinator Coordinator { get; } = new();

    /// <summary>Routers that can't be reached by others.</summary>
    public HashSet<string> Silent { get; } = [];

    /// <summary>Routers that hear of no change of the table.</summary>
    public HashSet<string> HeldBack { get; } = [];

    public TestNode this[string name] => _nodes[name];

    public INode Get(string name, string address) => _nodes[name];

    IRouterPeer IRouterDirectory.Get(string name, string address) =>
        Silent.Contains(name) ? throw new UnreachableException(name, "silent") : _routers[name];

    /// <param name="skew">How far its clock is ahead.</param>
    public async Task<Router> StartAsync(
        string name,
        Func<RouterOptions, RouterOptions>? with = null,
        TimeSpan skew = default
    )
    {
        var options = new RouterOptions
        {
            Name = name,
            Address = $"test://{name}",
            HeartbeatMs = 10,
            FirstRetryMs = 1,
            MaxRetryMs = 20,
        };
        var router = new Router(
            with?.Invoke(options) ?? options,
            new HeldBackCoordinator(Coordinator, () => HeldBack.Contains(name)),
            this,
            this,
            new SkewedTime(skew),
            Entropy,
            TestContext.Out.WriteLine
        );
        _routers[name] = router;
        await router.StartAsync(CancellationToken.None);
        return router;
    }

    public async Task MakeAsync(ShardId store, long epoch, params string[] nodes)
    {
        foreach (var node in nodes)
        {
            var stamp = new RouteStamp(store, epoch);
            await _nodes[node].Make(new MakeCommand(stamp, store, HashRange.Full, 0, 1), CancellationToken.None);
        }
    }

    /// <summary>Targets' stores, made under the moving shard's route.</summary>
    public async Task MakeStagingAsync(RouteStamp stamp, ShardId store, params string[] nodes)
    {
        foreach (var node in nodes)
        {
            await _nodes[node].Make(new MakeCommand(stamp, store, HashRange.Full, 1, 1), CancellationToken.None);
        }
    }

    public static Writer By(Router router, string name, long term = 1) => new(name, router.Incarnation, term);

    public static Route Route(
        ShardId shard,
        long epoch,
        Stage stage,
        string[] owners,
        Writer writer,
        string[]? targets = null,
        RouteStamp[]? fences = null,
        ShardId? targetShard = null
    ) =>
        new(
            shard,
            HashRange.Full,
            epoch,
            stage,
            owners,
            targets is null ? [] : [new TargetShard(targetShard ?? New, HashRange.Full, targets)],
            writer,
            fences ?? [],
            targets is null ? 0 : 1
        );

    /// <summary>The table now has these routes, and every router that is not held back has heard of it.</summary>
    public async Task PublishAsync(params Route[] routes)
    {
        var revision = Coordinator.Publish(t => new TableUpdate(
            0,
            true,
            t.Indexes,
            [],
            [.. t.Routes.Where(known => !routes.Any(route => route.Shard.Equals(known.Shard))), .. routes],
            [],
            t.Nodes,
            [],
            t.Routers,
            []
        ));
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        foreach (var (_, router) in _routers.Where(router => !HeldBack.Contains(router.Key)))
        {
            await router.WaitForRevision(revision, limit.Token);
        }
    }

    public static WriteCommand Replace(string key, string body) =>
        Command(key, WriteIntent.Replace, body, Condition.Always);

    public static WriteCommand Command(string key, WriteIntent intent, string body, Condition condition) =>
        new(Index, Key.Of(key), intent, System.Text.Encoding.UTF8.GetBytes(body), condition, Guid.Empty);

    public static async Task<WriteOutcome> WriteAsync(Router router, WriteCommand command) =>
        (await router.Write([command], CancellationToken.None))[0];

    public static async Task<string?> ReadAsync(Router router, string key) =>
        await router.Read(Index, Key.Of(key), Consistency.Confirmed, CancellationToken.None) switch
        {
            ReadOutcome.Value value => System.Text.Encoding.UTF8.GetString(value.Item.Body.Span),
            ReadOutcome.Nothing => null,
            var other => throw new AssertionException($"{key} could not be read: {other}"),
        };

    /// <summary>What a node's store holds of a key; null for nothing.</summary>
    public async Task<Document?> HeldAsync(string node, ShardId store, string key)
    {
        var disk = _nodes[node].Store.Disk;
        var barrier = disk.Barriers.TryGetValue(Old, out var known) ? known.Epoch : 0;
        var command = new ReadCommand(new RouteStamp(Old, barrier), store, Key.Of(key));
        var replies = await _nodes[node].Store.Read([command], CancellationToken.None);
        return replies[0] is ReadReply.Found found ? found.Item : null;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var router in _routers.Values)
        {
            await router.DisposeAsync();
        }
    }
}
