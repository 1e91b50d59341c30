using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;

namespace Miroir.Runtime.Coordination;

/// <summary>All migrations that the journal knows, each with its runner.</summary>
internal sealed class Migrations(Catalog catalog, IWorld world, CoordinatorOptions options, Action<string> log)
{
    private readonly ConcurrentDictionary<long, MigrationRunner> _runners = new();
    private readonly ConcurrentDictionary<(long, ShardId), long> _totals = new();

    /// <summary>Folds every journal, and goes on with those that have not ended.</summary>
    public async Task RecoverAsync(CancellationToken cancel)
    {
        foreach (var record in catalog.RecordsOf(CatalogKeys.Migrations))
        {
            var id = long.Parse(record.Key[CatalogKeys.Migrations.Length..], CultureInfo.InvariantCulture);
            var journal = await catalog.JournalAsync(id, cancel);
            var state = Transition.recover(journal.Select(entry => Journal.ofBytes(entry)));
            if (state.IsError)
                throw new InvalidOperationException(
                    $"the journal of migration {id} can't be read: {state.ErrorValue.Message}. Nothing was changed; restore the metadata or ask for help."
                );
            var runner = new MigrationRunner(catalog, world, state.ResultValue, journal.Count, log);
            _runners[id] = runner;
            if (!state.ResultValue.IsEnded)
                log($"migration {id}: goes on in {Phase.ofState(state.ResultValue)}");
            runner.Start();
        }
    }

    public async Task StopAsync()
    {
        foreach (var runner in _runners.OrderBy(r => r.Key))
            await runner.Value.StopAsync();
    }

    private IEnumerable<MigrationRunner> Running =>
        _runners.OrderBy(r => r.Key).Select(r => r.Value).Where(r => !r.State.IsEnded);

    /// <summary>The migration that answers for a shard's route; null where none does.</summary>
    public MigrationRunner? Of(ShardId shard) => Running.FirstOrDefault(r => r.State.AnswersFor(shard));

    public bool IsMoving(string index) => Running.Any(r => r.State.Plan.Index.Uid == index);

    public IReadOnlyList<long> RunningIds() => [.. Running.Select(r => r.Id)];

    /// <summary>Indexes of which a moved shard is kept in Switched until anti-entropy has certified its targets.</summary>
    public IReadOnlyList<string> IndexesThatWait() =>
        [
            .. Running
                .Where(r => r.State.Moves.Any(m => m.Step.IsHolding && m.Certificates.Length < m.Targets.Length))
                .Select(r => r.State.Plan.Index.Uid),
        ];

    /// <summary>True where the migration is about to publish just this writer.</summary>
    public static bool IsNaming(MigrationRunner runner, ShardId shard, RouterInfo router)
    {
        var state = runner.State;
        bool Names(RouteChange change) =>
            change.Shard.Equals(shard)
            && change.Route is { } route
            && route.Value.Writer.Is(router.Name, router.Incarnation);
        return state.Writers.TryGetValue(shard, out var wanted)
                && wanted.Item1 == router.Name
                && wanted.Item2 == router.Incarnation
            || state.Publishing.Values.Any(p => p.Changes.Any(Names));
    }

    public MigrationView[] Views() => [.. _runners.OrderBy(r => r.Key).Select(r => ViewOf(r.Value))];

    private MigrationView ViewOf(MigrationRunner runner) =>
        MigrationViews.ofState(
            runner.State,
            shard => _totals.TryGetValue((runner.Id, shard), out var total) ? total : -1
        );

    private MigrationRunner? Find(MigrationSelector selector) =>
        selector.Id != 0
            ? _runners.GetValueOrDefault(selector.Id)
            : _runners
                .OrderByDescending(r => r.Key)
                .Select(r => r.Value)
                .FirstOrDefault(r => selector.Index == "" || r.State.Plan.Index.Uid == selector.Index);

    private static AdminReply<MigrationView> NotFound(MigrationSelector selector) =>
        AdminReply<MigrationView>.Error(
            "migration_not_found",
            selector.Id != 0
                ? $"there is no migration {selector.Id}: 'reshard list' shows those there are"
                : $"index '{selector.Index}' has no migration: 'reshard start' begins one"
        );

    /// <summary>Null: there is no such migration.</summary>
    public State? StateOf(MigrationSelector selector) => Find(selector)?.State;

    public AdminReply<MigrationView> View(MigrationSelector selector) =>
        Find(selector) is { } runner ? AdminReply<MigrationView>.Ok(ViewOf(runner)) : NotFound(selector);

    public async Task<AdminReply<MigrationView>> OrderAsync(
        MigrationSelector selector,
        Order order,
        CancellationToken cancel
    )
    {
        if (Find(selector) is not { } runner)
            return NotFound(selector);
        return await runner.OrderAsync(order, cancel) is { } rejection
            ? AdminReply<MigrationView>.Error(rejection.Code, rejection.Message)
            : AdminReply<MigrationView>.Ok(ViewOf(runner));
    }

    private static AdminReply<MigrationView> Refuse(string code, string message) =>
        AdminReply<MigrationView>.Error(code, message);

    public async Task<AdminReply<MigrationView>> StartAsync(
        StartReshardRequest request,
        IReadOnlyDictionary<ShardId, long> documents,
        CancellationToken cancel
    )
    {
        var table = catalog.Table;
        var found = table.TryIndex(request.Index);
        if (found.IsNone)
            return Refuse(
                "index_not_found",
                $"Index `{request.Index}` not found. 'indexes list' shows those there are."
            );
        if (request.Throttle < 0)
            return Refuse(
                "invalid_throttle",
                $"throttle is documents per second, 0 or more (0: unlimited), not {request.Throttle}"
            );
        if (IsMoving(request.Index))
            return Refuse(
                "migration_overlap",
                $"index '{request.Index}' is moving already: wait for that migration, or abort it ('reshard list' shows it)"
            );
        if (Running.Count() >= options.MaxConcurrentMigrations)
            return Refuse(
                "too_many_migrations",
                $"{options.MaxConcurrentMigrations} migrations run already ([migration] max_concurrent): wait for one to end"
            );

        var index = found.Value;
        var id = _runners.Keys.DefaultIfEmpty(0).Max() + 1;
        var limits = options.MigrationLimits.For(request.Throttle, request.SkipDeltaPass);
        Route[] routes = [.. table.Routes.Where(r => r.Shard.Index == index.Uid)];
        var plan = Planning.compute(id, index, routes, table.Nodes, request.NewShards, limits);
        if (plan.IsError)
            return Refuse(plan.ErrorValue.Code, plan.ErrorValue.Message);

        var now = world.Time.GetUtcNow().ToUnixTimeMilliseconds();
        var begun = Transition.start(now, plan.ResultValue);
        if (begun.IsError)
            return Refuse(begun.ErrorValue.Code, begun.ErrorValue.Message);
        var state = begun.ResultValue.Item1;
        var runner = new MigrationRunner(catalog, world, state, 1, log);
        if (request.DryRun)
            return AdminReply<MigrationView>.Ok(ViewOf(runner));

        foreach (var (shard, count) in documents)
            _totals[(id, shard)] = count;

        var outcome = await catalog.CommitAsync(
            [
                CatalogWrite.Of(index.Spending(plan.ResultValue.To.Generation)),
                CatalogWrite.Record(CatalogKeys.Migration(id), Encoding.UTF8.GetBytes(index.Uid)),
                CatalogWrite.Of(id, 0, new Observation(now, Event.NewStarted(plan.ResultValue))),
            ],
            cancel
        );
        if (outcome != CommitOutcome.Committed)
            return Refuse("not_leader", "another coordinator leads now: ask that one");

        _runners[id] = runner;
        log(
            $"migration {id}: index {index.Uid}, {index.Layout.ShardCount} -> {plan.ResultValue.To.ShardCount} shards, {plan.ResultValue.Moves.Length} affected"
        );
        runner.Start();
        return AdminReply<MigrationView>.Ok(ViewOf(runner));
    }
}
