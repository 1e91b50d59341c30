using System.Collections.Concurrent;
using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;
using Miroir.Runtime.AntiEntropy;
using Miroir.Runtime.Nodes;

namespace Miroir.Runtime.Coordination;

/// <summary>
/// The one leader: keeps the routing table, names writers, makes indexes, and runs migrations. Everything that it
/// decides is in the metadata before it is done; a restart goes on from there.
/// </summary>
public sealed class Coordinator : ICoordinator, IAdmin, IAsyncDisposable
{
    private const int MaxRouters = 1024;
    private const int MaxWaitingCommands = 4_096;

    private readonly Catalog _catalog;
    private readonly RouterRegistry _registry;
    private readonly IndexKeeper _indexes;
    private readonly ClusterReport _report;
    private readonly Migrations _migrations;
    private readonly WritesReport _writes;
    private readonly AntiEntropyService _entropy;
    private readonly IRouterDirectory _routers;
    private readonly ConcurrentDictionary<string, long> _probed = new(StringComparer.Ordinal);
    private readonly TimeProvider _time;
    private readonly CoordinatorOptions _options;
    private readonly Action<string> _log;
    private readonly Bulkhead _commands = new(1, MaxWaitingCommands);
    private readonly CancellationTokenSource _stop = new();
    private Task _keeper = Task.CompletedTask;
    private Task _tidying = Task.CompletedTask;

    public Coordinator(
        CoordinatorOptions options,
        IMetadataStore metadata,
        INodeDirectory nodes,
        IRouterDirectory routers,
        TimeProvider time,
        Action<string> log
    )
    {
        _options = options;
        _routers = routers;
        _time = time;
        _log = log;
        _catalog = new Catalog(metadata);
        _registry = new RouterRegistry(time, options);
        _indexes = new IndexKeeper(_catalog, nodes, _registry, time, options, log);
        _report = new ClusterReport(_catalog, nodes, _registry, time, options);
        _migrations = new Migrations(
            _catalog,
            new MigrationWorld(_catalog, nodes, routers, time, options),
            options,
            log
        );
        _writes = new WritesReport(_catalog, routers, _registry, _migrations, time, options, log);
        _entropy = new AntiEntropyService(
            // Its pauses alone are drawn from it.
            new EntropyWorld(_catalog, nodes, routers, time, new SeededEntropy(1), options.AntiEntropy),
            _migrations,
            RenewTermAsync,
            log
        );
    }

    public IAntiEntropy AntiEntropy => _entropy;

    /// <summary>Completes when this coordinator has lost the lead, or was stopped.</summary>
    public Task Ended => _keeper;

    /// <summary>Takes the lead, and goes on with what was under way.</summary>
    /// <param name="seed">Nodes of a new cluster; once the metadata know nodes, these are passed over.</param>
    public async Task StartAsync(IReadOnlyList<NodeInfo> seed, CancellationToken cancel)
    {
        await _catalog.TakeLeadAsync(cancel);
        if (_catalog.Table.Nodes.Length == 0 && seed.Count > 0)
            await _catalog.CommitAsync([.. seed.Select(CatalogWrite.Of)], cancel);
        await _migrations.RecoverAsync(cancel);
        _log($"leads in term {_catalog.Term}");
        _keeper = KeepAsync();
        _tidying = TidyAsync();
        _entropy.Begin();
    }

    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        await _keeper;
        await _tidying;
        await _entropy.StopAsync();
        await _migrations.StopAsync();
    }

    private async Task KeepAsync()
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(_options.TickMs), _time);
        try
        {
            while (!_catalog.IsDeposed && await timer.WaitForNextTickAsync(_stop.Token))
                await ExclusivelyAsync(NameWritersAsync, _stop.Token);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested) { }
        catch (Exception e)
        {
            // Whoever can't name writers leads no more: the next leader reads what the metadata hold.
            _log($"steps down, for writers can't be named: {e.Message}");
            _catalog.StepDown();
        }
    }

    /// <summary>Apart from the naming of writers, which must not wait for a node that is down.</summary>
    private async Task TidyAsync()
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(_options.TidyMs), _time);
        try
        {
            while (!_catalog.IsDeposed && await timer.WaitForNextTickAsync(_stop.Token))
            {
                try
                {
                    await _indexes.TidyAsync(_stop.Token);
                }
                catch (Exception e) when (!_stop.IsCancellationRequested)
                {
                    _log($"what is left to be made or dropped is tried again: {e.Message}");
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested) { }
    }

    /// <summary>One command at a time: each reads the table, decides and commits.</summary>
    private async Task<T> ExclusivelyAsync<T>(Func<CancellationToken, Task<T>> command, CancellationToken cancel)
    {
        if (!await _commands.Enter(cancel))
            throw new UnreachableException("coordinator", $"{MaxWaitingCommands} commands wait already: try later");
        try
        {
            return await command(cancel);
        }
        finally
        {
            _commands.Leave();
        }
    }

    /// <summary>Every shard whose writer is gone gets a live one: a new epoch, a new term.</summary>
    private async Task<bool> NameWritersAsync(CancellationToken cancel)
    {
        var table = _catalog.Table;
        List<CatalogWrite> writes = [];
        List<Task> ordered = [];
        foreach (var route in table.Routes)
        {
            if (route.Stage.IsRetired || !_registry.IsSuspect(route.Writer))
                continue;
            if (_registry.Choose(route.Shard, table.Routers) is not { } router)
                continue;
            if (_migrations.Of(route.Shard) is { } runner)
            {
                // The migration answers for this route: the change of writer is one of its transitions.
                if (!Coordination.Migrations.IsNaming(runner, route.Shard, router))
                    ordered.Add(
                        runner.OrderAsync(Order.NewAssignWriter(route.Shard, router.Name, router.Incarnation), cancel)
                    );
                continue;
            }

            writes.Add(CatalogWrite.Of(route.WrittenBy(router.Name, router.Incarnation)));
        }

        // Side by side, so that they go into the journal together.
        await Task.WhenAll(ordered);
        if (writes.Count > 0 && await _catalog.CommitAsync(writes, cancel) == CommitOutcome.Committed)
            _log($"{writes.Count} shards have a new writer");

        return true;
    }

    /// <summary>The same writer in another term, where nothing moves the shard; null where that can't be.</summary>
    private Task<Route?> RenewTermAsync(ShardId shard, CancellationToken cancel) =>
        ExclusivelyAsync(
            async limit =>
            {
                if (
                    _catalog.Table.TryRoute(shard) is not { IsValueSome: true, Value: var route }
                    || route.Stage.IsRetired
                    || route.Writer.IsNone
                    || _registry.IsSuspect(route.Writer)
                    || _migrations.Of(shard) is not null
                )
                    return null;
                var renewed = route.WrittenBy(route.Writer.Router, route.Writer.Incarnation);
                return await _catalog.CommitAsync([CatalogWrite.Of(renewed)], limit) == CommitOutcome.Committed
                    ? renewed
                    : (Route?)null;
            },
            cancel
        );

    public Task<RouterInfo> Register(string name, string address, long incarnation, CancellationToken cancel) =>
        ExclusivelyAsync(
            async limit =>
            {
                var table = _catalog.Table;
                var known = table.TryRouter(name);
                var number = known.IsSome
                    ? known.Value.Number
                    : table.Routers.Select(r => r.Number).DefaultIfEmpty(0).Max() + 1;
                if (number >= MaxRouters)
                    throw new InvalidOperationException(
                        $"there are {MaxRouters - 1} routers already: give a router the name of one that is gone"
                    );
                var router = new RouterInfo(name, address, incarnation, number);
                if (_registry.IsReplaced(name, incarnation))
                    throw new UnreachableException(
                        "coordinator",
                        $"another start of router '{name}' is the live one: give each router a name of its own"
                    );
                var isNews = known.IsNone || !known.Value.Equals(router);
                if (isNews && await _catalog.CommitAsync([CatalogWrite.Of(router)], limit) != CommitOutcome.Committed)
                    throw new UnreachableException("coordinator", "the registration could not be written");
                if (known.IsSome && known.Value.Incarnation != incarnation)
                    _registry.Replace(name, known.Value.Incarnation);
                _registry.Hear(name, incarnation);
                await NameWritersAsync(limit);
                return router;
            },
            cancel
        );

    public Task<bool> Heartbeat(string name, long incarnation, CancellationToken cancel)
    {
        var known = _catalog.Table.TryRouter(name);
        if (known.IsNone || known.Value.Incarnation != incarnation)
            return Task.FromResult(false);
        _registry.Hear(name, incarnation);
        return Task.FromResult(true);
    }

    /// <summary>
    /// A connection of the router's broke: its process may have ended. It is asked once; where its port is closed, or
    /// another start answers, its shards get another writer at once. A slow answer proves nothing: then silence decides.
    /// </summary>
    public async Task ProbeAsync(string name, long incarnation)
    {
        if (_stop.IsCancellationRequested || !_registry.IsLive(name, incarnation) || !_probed.TryAdd(name, incarnation))
            return;
        try
        {
            if (_catalog.Table.TryRouter(name) is { IsValueSome: true, Value: var router } && !await LivesAsync(router))
            {
                _registry.Miss(name, incarnation);
                _log($"router {name} is gone: its port is closed");
                await ExclusivelyAsync(NameWritersAsync, _stop.Token);
            }
        }
        catch (Exception e)
        {
            // Its silence will tell as well, only later.
            if (!_stop.IsCancellationRequested)
                _log($"router {name} could not be looked after: {e.Message}");
        }
        finally
        {
            _probed.TryRemove(name, out _);
        }
    }

    /// <summary>False only where that is certain.</summary>
    private async Task<bool> LivesAsync(RouterInfo router)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(_options.ProbeTimeoutMs), _time);
        try
        {
            return await _routers.Get(router.Name, router.Address).Incarnation(limit.Token) == router.Incarnation;
        }
        catch (NotSentException)
        {
            return limit.IsCancellationRequested;
        }
        catch (Exception e) when (e is UnreachableException or OperationCanceledException)
        {
            return true;
        }
    }

    public async Task<TableUpdate> Watch(long sinceRevision, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(_options.WatchMs), _time);
        return await _catalog.WatchAsync(sinceRevision, limit.Token, cancel);
    }

    public async Task<AdminReply<IndexInfo>> CreateIndex(CreateIndexRequest request, CancellationToken cancel)
    {
        var created = await ExclusivelyAsync(limit => _indexes.CreateAsync(request, limit), cancel);
        if (!created.IsOk || await _indexes.MakeAsync(request.Uid, cancel))
            return created;
        return AdminReply<IndexInfo>.Error(
            "node_unreachable",
            $"index `{request.Uid}` is there, but not every node could make its shards in time: it is being tried again; 'nodes list' shows who is missing"
        );
    }

    public Task<AdminReply<IndexInfo>> SetPrimaryKey(string uid, string primaryKey, CancellationToken cancel) =>
        ExclusivelyAsync(limit => _indexes.SetPrimaryKeyAsync(uid, primaryKey, limit), cancel);

    public Task<AdminReply<IndexInfo>> DeleteIndex(string uid, CancellationToken cancel) =>
        ExclusivelyAsync(limit => _indexes.DeleteAsync(uid, _migrations.IsMoving(uid), limit), cancel);

    public Task<ClusterView> Cluster(CancellationToken cancel) => _report.ClusterAsync(cancel);

    public async Task<AdminReply<NodeStatus>> NodeStores(string name, CancellationToken cancel)
    {
        var node = _catalog.Table.TryNode(name);
        if (node.IsNone)
            return AdminReply<NodeStatus>.Error(
                "node_not_found",
                $"there is no node '{name}': 'nodes list' shows those there are"
            );
        var (status, _, error) = await _report.AskAsync(node.Value, cancel);
        return status is null
            ? AdminReply<NodeStatus>.Error("node_unreachable", $"node '{name}' gives no answer: {error}")
            : AdminReply<NodeStatus>.Ok(status);
    }

    public async Task<AdminReply<NodeInfo>> AddNode(AddNodeRequest request, CancellationToken cancel)
    {
        if (request.Name == "" || request.Name.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.')))
            return AdminReply<NodeInfo>.Error(
                "invalid_node_name",
                $"`{request.Name}` is not a valid node name: letters, digits, -, _ and ."
            );
        if (
            !Uri.TryCreate(request.Address, UriKind.Absolute, out var address)
            || address.Scheme is not ("http" or "https")
        )
            return AdminReply<NodeInfo>.Error(
                "invalid_node_address",
                $"`{request.Address}` is not a node's address: expected something like http://127.0.0.1:7001"
            );
        if (!(request.Weight >= 0) || double.IsInfinity(request.Weight) || request.CapacityBytes < 0)
            return AdminReply<NodeInfo>.Error(
                "invalid_node_weight",
                "a node's weight and capacity must not be negative (0: the default)"
            );
        var node = new NodeInfo(
            request.Name,
            request.Address.TrimEnd('/'),
            request.Zone,
            request.Weight == 0 ? 1 : request.Weight,
            request.CapacityBytes,
            NodeRole.Active
        );
        var table = _catalog.Table;
        var known = table.TryNode(request.Name);
        if (known.IsSome && known.Value.Address != node.Address)
            return AdminReply<NodeInfo>.Error(
                "node_already_exists",
                $"node '{request.Name}' is there already, at {known.Value.Address}"
            );
        if (table.Nodes.FirstOrDefault(n => n.Name != node.Name && n.Address == node.Address) is { } other)
            return AdminReply<NodeInfo>.Error(
                "node_already_exists",
                $"{node.Address} is the address of node '{other.Name}' already"
            );
        var (status, _, error) = await _report.AskAsync(node, cancel);
        if (status is null)
            return AdminReply<NodeInfo>.Error(
                "node_unreachable",
                $"no node '{node.Name}' answers at {node.Address}: {error}"
            );
        var outcome = await ExclusivelyAsync(limit => _catalog.CommitAsync([CatalogWrite.Of(node)], limit), cancel);
        return outcome == CommitOutcome.Committed
            ? AdminReply<NodeInfo>.Ok(node)
            : AdminReply<NodeInfo>.Error("not_leader", "another coordinator leads now: ask that one");
    }

    public Task<AdminReply<Route[]>> Routes(string index, CancellationToken cancel)
    {
        var table = _catalog.Table;
        return Task.FromResult(
            index != "" && table.TryIndex(index).IsNone
                ? AdminReply<Route[]>.Error(
                    "index_not_found",
                    $"Index `{index}` not found. 'indexes list' shows those there are."
                )
                : AdminReply<Route[]>.Ok([.. table.Routes.Where(r => index == "" || r.Shard.Index == index)])
        );
    }

    public Task<AdminReply<MigrationView>> StartReshard(StartReshardRequest request, CancellationToken cancel) =>
        StartReshardAsync(request, cancel);

    private async Task<AdminReply<MigrationView>> StartReshardAsync(
        StartReshardRequest request,
        CancellationToken cancel
    )
    {
        var documents = await DocumentsAsync(request.Index, cancel);
        return await ExclusivelyAsync(limit => _migrations.StartAsync(request, documents, limit), cancel);
    }

    /// <summary>Live documents of each shard of an index, as its owners count them; missing where none answers.</summary>
    private async Task<Dictionary<ShardId, long>> DocumentsAsync(string index, CancellationToken cancel)
    {
        Dictionary<ShardId, long> documents = [];
        var answers = await Task.WhenAll(_catalog.Table.Nodes.Select(n => _report.AskAsync(n, cancel)));
        foreach (var store in answers.SelectMany(a => a.Status?.Stores ?? []))
        {
            if (store.Store.Index == index)
                documents[store.Store] = Math.Max(documents.GetValueOrDefault(store.Store), store.Documents);
        }

        return documents;
    }

    public Task<MigrationView[]> Migrations(CancellationToken cancel) => Task.FromResult(_migrations.Views());

    public Task<AdminReply<MigrationView>> Migration(MigrationSelector selector, CancellationToken cancel) =>
        Task.FromResult(_migrations.View(selector));

    public Task<AdminReply<MigrationView>> Cutover(MigrationSelector selector, CancellationToken cancel) =>
        _migrations.OrderAsync(selector, Order.Cutover, cancel);

    public Task<AdminReply<MigrationView>> Abort(MigrationSelector selector, CancellationToken cancel) =>
        _migrations.OrderAsync(selector, Order.NewAbort("aborted by an operator"), cancel);

    public Task<AdminReply<MigrationView>> Revert(RevertRequest request, CancellationToken cancel) =>
        new Reverts(_catalog, _report, _migrations).RevertAsync(request, cancel);

    public Task<AdminReply<MigrationView>> Pause(MigrationSelector selector, CancellationToken cancel) =>
        _migrations.OrderAsync(selector, Order.Pause, cancel);

    public Task<AdminReply<MigrationView>> Resume(MigrationSelector selector, CancellationToken cancel) =>
        _migrations.OrderAsync(selector, Order.Resume, cancel);

    public Task<OpenWritesView> OpenWrites(string index, bool onlyStuck, CancellationToken cancel) =>
        _writes.OpenAsync(index, onlyStuck, cancel);

    public Task<AdminReply<OpenWritesView>> FailWrites(FailWritesRequest request, CancellationToken cancel) =>
        _writes.FailAsync(request, cancel);

    public Task<AdminReply<MigrationView>> Set(
        MigrationSelector selector,
        int throttle,
        int drainTimeoutMs,
        CancellationToken cancel
    ) => _migrations.OrderAsync(selector, Order.NewTune(throttle, drainTimeoutMs), cancel);
}
