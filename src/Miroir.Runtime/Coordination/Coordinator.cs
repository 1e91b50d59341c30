using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;
using Miroir.Runtime.AntiEntropy;

namespace Miroir.Runtime.Coordination;

/// <summary>
/// The one leader: keeps the routing table, names writers, makes indexes, and runs migrations. Everything that it
/// decides is in the metadata before it is done; a restart goes on from there.
/// </summary>
public sealed class Coordinator : ICoordinator, IAdmin, IAsyncDisposable
{
    private readonly Catalog _catalog;
    private readonly RouterRegistry _registry;
    private readonly IndexKeeper _indexes;
    private readonly ClusterReport _report;
    private readonly Migrations _migrations;
    private readonly WritesReport _writes;
    private readonly AntiEntropyService _entropy;
    private readonly WriterNaming _naming;
    private readonly RouterKeeper _routers;
    private readonly NodeKeeper _nodes;
    private readonly TimeProvider _time;
    private readonly CoordinatorOptions _options;
    private readonly Action<string> _log;
    private readonly CommandQueue _commands = new();
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
        _naming = new WriterNaming(_catalog, _registry, _migrations, _commands, log);
        _routers = new RouterKeeper(_catalog, _registry, _naming, _commands, routers, time, options, log);
        _nodes = new NodeKeeper(_catalog, _report, _commands);
        _entropy = new AntiEntropyService(
            // Its pauses alone are drawn from it.
            new EntropyWorld(_catalog, nodes, routers, time, new SeededEntropy(1), options.AntiEntropy),
            _migrations,
            _naming.RenewTermAsync,
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
                await _commands.RunAsync(_naming.NameAsync, _stop.Token);
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

    public Task<RouterInfo> Register(string name, string address, long incarnation, CancellationToken cancel) =>
        _routers.RegisterAsync(name, address, incarnation, cancel);

    public Task<bool> Heartbeat(string name, long incarnation, CancellationToken cancel) =>
        Task.FromResult(_routers.Hear(name, incarnation));

    /// <inheritdoc cref="RouterKeeper.ProbeAsync"/>
    public Task ProbeAsync(string name, long incarnation) => _routers.ProbeAsync(name, incarnation, _stop.Token);

    public async Task<TableUpdate> Watch(long sinceRevision, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(_options.WatchMs), _time);
        return await _catalog.WatchAsync(sinceRevision, limit.Token, cancel);
    }

    public async Task<AdminReply<IndexInfo>> CreateIndex(CreateIndexRequest request, CancellationToken cancel)
    {
        var created = await _commands.RunAsync(limit => _indexes.CreateAsync(request, limit), cancel);
        if (!created.IsOk || await _indexes.MakeAsync(request.Uid, cancel))
            return created;
        return AdminReply<IndexInfo>.Error(
            "node_unreachable",
            $"index `{request.Uid}` is there, but not every node could make its shards in time: it is being tried again; 'nodes list' shows who is missing"
        );
    }

    public Task<AdminReply<IndexInfo>> SetPrimaryKey(string uid, string primaryKey, CancellationToken cancel) =>
        _commands.RunAsync(limit => _indexes.SetPrimaryKeyAsync(uid, primaryKey, limit), cancel);

    public Task<AdminReply<IndexInfo>> DeleteIndex(string uid, CancellationToken cancel) =>
        _commands.RunAsync(limit => _indexes.DeleteAsync(uid, _migrations.IsMoving(uid), limit), cancel);

    public Task<ClusterView> Cluster(CancellationToken cancel) => _report.ClusterAsync(cancel);

    public Task<AdminReply<NodeStatus>> NodeStores(string name, CancellationToken cancel) =>
        _nodes.StoresAsync(name, cancel);

    public Task<AdminReply<NodeInfo>> AddNode(AddNodeRequest request, CancellationToken cancel) =>
        _nodes.AddAsync(request, cancel);

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
        return await _commands.RunAsync(limit => _migrations.StartAsync(request, documents, limit), cancel);
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
