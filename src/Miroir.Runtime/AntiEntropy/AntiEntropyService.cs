using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Coordination;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>
/// Compares and repairs by schedule, on an operator's word, for migrations that wait for a certificate, and where a
/// node has lost a replica. Runs where the coordinator leads.
/// </summary>
public sealed class AntiEntropyService : IAntiEntropy
{
    private const int KeptRuns = 64;

    private readonly EntropyWorld _world;
    private readonly ShardMending _mending;
    private readonly ShardCertification _certification;
    private readonly Migrations _migrations;
    private readonly PassLog _passes;
    private readonly EntropyOptions _options;
    private readonly Action<string> _log;
    private readonly Lock _lock = new();
    private readonly List<PassRun> _runs = [];
    private readonly HashSet<long> _running = [];
    private readonly CancellationTokenSource _stop = new();
    private long _nextId;
    private long _nextRunAtUnixMs;
    private DivergenceCounts _totals = DivergenceCounts.Zero;
    private long _repaired;
    private long _bytesRead;
    private Task _loop = Task.CompletedTask;

    internal AntiEntropyService(
        EntropyWorld world,
        Migrations migrations,
        Func<ShardId, CancellationToken, Task<Route?>> renewTerm,
        Action<string> log
    )
    {
        _world = world;
        _options = world.Options;
        _migrations = migrations;
        _log = log;
        _mending = new ShardMending(world, renewTerm, log);
        _certification = new ShardCertification(world, migrations, log);
        _passes = new PassLog(world.Catalog, world.Options, log);
    }

    /// <summary>Once the catalog is loaded.</summary>
    internal void Begin()
    {
        _nextId = _passes.NextId();
        _nextRunAtUnixMs = NextRun();
        foreach (var id in _migrations.RunningIds())
            _running.Add(id);
        _loop = LoopAsync();
    }

    internal async Task StopAsync()
    {
        _stop.Cancel();
        await _loop;
        PassRun[] runs;
        lock (_lock)
            runs = [.. _runs];
        await Task.WhenAll(runs.Select(run => run.Over));
    }

    /// <inheritdoc/>
    public Task<AdminReply<AntiEntropyView>> State(string index, CancellationToken cancel)
    {
        if (Unknown(index) is { } unknown)
            return Task.FromResult(AdminReply<AntiEntropyView>.Error("index_not_found", unknown));
        var running = Runs().Where(run => !run.IsOver && (index == "" || run.Index == index)).Select(run => run.View());
        var last = Finished(index).GroupBy(pass => pass.Index, StringComparer.Ordinal).Select(group => group.Last());
        lock (_lock)
        {
            return Task.FromResult(
                AdminReply<AntiEntropyView>.Ok(
                    new AntiEntropyView(
                        _options.Enabled,
                        _options.Schedule,
                        _options.AutoRepair,
                        _options.Enabled && _nextRunAtUnixMs < long.MaxValue ? _nextRunAtUnixMs : 0,
                        [.. running],
                        [.. last.OrderBy(pass => pass.Id)],
                        _totals,
                        _repaired,
                        _bytesRead
                    )
                )
            );
        }
    }

    /// <inheritdoc/>
    public Task<AdminReply<PassView[]>> History(string index, int limit, CancellationToken cancel)
    {
        if (Unknown(index) is { } unknown)
            return Task.FromResult(AdminReply<PassView[]>.Error("index_not_found", unknown));
        if (limit < 1)
            return Task.FromResult(
                AdminReply<PassView[]>.Error("invalid_limit", $"limit is 1 or more passes, not {limit}")
            );
        return Task.FromResult(AdminReply<PassView[]>.Ok([.. Finished(index).TakeLast(limit)]));
    }

    /// <inheritdoc/>
    public Task<AdminReply<PassView>> Pass(long id, CancellationToken cancel)
    {
        var view =
            Runs().FirstOrDefault(run => run.Id == id)?.View() ?? _passes.All().FirstOrDefault(pass => pass.Id == id);
        return Task.FromResult(
            view is null
                ? AdminReply<PassView>.Error(
                    "pass_not_found",
                    $"there is no pass {id}: 'anti-entropy history' shows those there are"
                )
                : AdminReply<PassView>.Ok(view)
        );
    }

    /// <inheritdoc/>
    public Task<AdminReply<PassView>> Start(PassRequest request, CancellationToken cancel)
    {
        if (Complaint(request) is { } complaint)
            return Task.FromResult(complaint);
        var shards = ShardsOf(request.Index).ToList();
        var last = request.LastShard == -1 ? int.MaxValue : request.LastShard;
        // While a layout changes, shards of either are in force: the operator counts in the one that is the index's own.
        var generation = _world.Table.TryIndex(request.Index).Value.Layout.Generation;
        shards.RemoveAll(shard =>
            shard.Generation == generation && (shard.Shard < request.FirstShard || shard.Shard > last)
        );
        if (request.Plan.Length > 0)
            shards.RemoveAll(shard => !request.Plan.Any(document => IsOf(shard, document)));
        var kind = request.Kind == PassKind.Run && request.Plan.Length > 0 ? PassKind.Apply : request.Kind;
        return Task.FromResult(
            Begin(request.Index, kind, shards, request.Plan) is { } run
                ? AdminReply<PassView>.Ok(run.View())
                : AdminReply<PassView>.Error(
                    "too_many_passes",
                    $"{_options.MaxPasses} passes run already: wait for one to end ('anti-entropy status' shows them)"
                )
        );
    }

    private bool IsOf(ShardId shard, DivergenceView document) =>
        Key.Parse(document.Key) is { IsOk: true, ResultValue: var key }
        && _world.Table.Resolve(shard.Index, key.Hash) is { IsValueSome: true, Value: var route }
        && route.Shard.Equals(shard);

    private AdminReply<PassView>? Complaint(PassRequest request)
    {
        if (request.Index == "" || Unknown(request.Index) is not null)
            return AdminReply<PassView>.Error(
                "index_not_found",
                Unknown(request.Index) ?? "an index is to be named: 'indexes list' shows those there are"
            );
        if (!PassKind.IsForOperators(request.Kind))
            return AdminReply<PassView>.Error(
                "invalid_pass_kind",
                $"`{request.Kind}` is no kind of pass: verify, run, dry-run and scrub are"
            );
        if (request.Plan.FirstOrDefault(document => Key.Parse(document.Key).IsError) is { } bad)
            return AdminReply<PassView>.Error(
                "invalid_plan",
                $"`{bad.Key}` in the plan is no document's key: {Key.Parse(bad.Key).ErrorValue}"
            );
        var count = _world.Table.TryIndex(request.Index).Value.Layout.ShardCount;
        var last = request.LastShard == -1 ? count - 1 : request.LastShard;
        return request.FirstShard < 0 || request.FirstShard > last || last >= count
            ? AdminReply<PassView>.Error(
                "invalid_shards",
                $"shards {request.FirstShard}-{last} are not in 0-{count - 1}, which index `{request.Index}` has"
            )
            : null;
    }

    private string? Unknown(string index) =>
        index == "" || _world.Table.TryIndex(index).IsSome
            ? null
            : $"Index `{index}` not found. 'indexes list' shows those there are.";

    private IEnumerable<ShardId> ShardsOf(string index) =>
        _world
            .Table.Routes.Where(route => route.Shard.Index == index && !route.Stage.IsRetired)
            .Select(route => route.Shard)
            .OrderBy(shard => shard.Generation)
            .ThenBy(shard => shard.Shard);

    private PassRun[] Runs()
    {
        lock (_lock)
            return [.. _runs];
    }

    private IEnumerable<PassView> Finished(string index)
    {
        var fresh = Runs().Where(run => run.IsOver).ToDictionary(run => run.Id, run => run.View());
        return _passes
            .All()
            .Where(pass => !fresh.ContainsKey(pass.Id))
            .Concat(fresh.Values)
            .Where(pass => index == "" || pass.Index == index)
            .OrderBy(pass => pass.Id);
    }

    /// <summary>Null: too many run.</summary>
    private PassRun? Begin(string index, string kind, IReadOnlyList<ShardId> shards, IReadOnlyList<DivergenceView> plan)
    {
        PassRun run;
        lock (_lock)
        {
            if (_stop.IsCancellationRequested || _runs.Count(known => !known.IsOver) >= _options.MaxPasses)
                return null;
            while (_runs.Count >= KeptRuns && _runs.FindIndex(known => known.IsOver) is >= 0 and var oldest)
                _runs.RemoveAt(oldest);
            run = new PassRun(_world, _mending, _certification, _nextId++, index, kind, shards, plan);
            _runs.Add(run);
        }

        _ = RunAsync(run);
        return run;
    }

    private async Task RunAsync(PassRun run)
    {
        await run.RunAsync(report => _passes.CertifyAsync(report, _world.NowUnixMs, _stop.Token), _stop.Token);
        var view = run.View();
        lock (_lock)
        {
            _totals = _totals.Plus(view.Divergences);
            _repaired += view.Repaired;
            _bytesRead += view.BytesRead;
        }

        var problems = view
            .Shards.Where(shard => shard.Problem != "")
            .Select(shard => $"shard {shard.Shard}: {shard.Problem}");
        _log(
            $"anti-entropy pass {view.Id} ({view.Kind} of {view.Index}): {view.Shards.Length} shards, {view.Divergences.Divergences} divergences, {view.Repaired} repaired{string.Concat(problems.Prepend(view.Reason).Where(text => text != "").Select(text => $"; {text}"))}"
        );
        try
        {
            await _passes.AppendAsync(view, _stop.Token);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested) { }
        catch (Exception e)
        {
            _log($"pass {view.Id} could not be kept in the metadata: {e.Message}");
        }
    }

    private async Task LoopAsync()
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(_options.TickMs), _world.Time);
        long ticks = 0;
        try
        {
            while (!_world.Catalog.IsDeposed && await timer.WaitForNextTickAsync(_stop.Token))
            {
                if (!_options.Enabled)
                    continue;
                try
                {
                    Tick();
                    if (++ticks % _options.TicksPerRebuildCheck == 0)
                        await RebuildAsync();
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    _log($"anti-entropy: {e.Message}");
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested) { }

        // Whoever leads no more must not go on repairing.
        _stop.Cancel();
    }

    private void Tick()
    {
        // Without auto_repair an operator says when: 'anti-entropy run'.
        foreach (var index in _options.AutoRepair ? _migrations.IndexesThatWait() : [])
            BeginOnce(index, PassKind.Migration, [.. ShardsOf(index)]);
        var running = _migrations.RunningIds();
        var ended = _running.Except(running).ToList();
        _running.UnionWith(running);
        foreach (var id in ended)
        {
            _running.Remove(id);
            if (_migrations.StateOf(new MigrationSelector(id, "")) is { Status.IsComplete: true } state)
                BeginOnce(state.Plan.Index.Uid, PassKind.Migration, [.. ShardsOf(state.Plan.Index.Uid)]);
        }

        if (_world.NowUnixMs < _nextRunAtUnixMs)
            return;
        _nextRunAtUnixMs = NextRun();
        BeginScheduled();
    }

    private async Task RebuildAsync()
    {
        var lost = await new LostReplicas(_world).FindAsync(_stop.Token);
        foreach (var group in lost.GroupBy(shard => shard.Index, StringComparer.Ordinal))
            BeginOnce(group.Key, PassKind.Rebuild, [.. group]);
    }

    private void BeginOnce(string index, string kind, IReadOnlyList<ShardId> shards)
    {
        if (
            shards.Count > 0
            && _world.Table.TryIndex(index).IsSome
            && !Runs().Any(run => !run.IsOver && run.Index == index && run.Kind == kind)
        )
            Begin(index, kind, shards, []);
    }

    private void BeginScheduled()
    {
        var oldest = _world
            .Table.Indexes.SelectMany(index => ShardsOf(index.Uid))
            .OrderBy(_passes.CertifiedAtUnixMs)
            .AsEnumerable();
        if (_options.ShardsPerPass > 0)
            oldest = oldest.Take(_options.ShardsPerPass);
        foreach (var group in oldest.GroupBy(shard => shard.Index, StringComparer.Ordinal))
            BeginOnce(group.Key, PassKind.Scheduled, [.. group]);
    }

    private long NextRun() => Schedule.next(_options.Schedule, _options.Zone, _world.NowUnixMs);
}
