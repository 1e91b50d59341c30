using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Routing;

/// <summary>
/// Keeps the routing table near the coordinator's. The last table stays in force while the coordinator is away:
/// the nodes' barriers, not its freshness, keep it safe.
/// </summary>
internal sealed class TableFollower(
    RouterOptions options,
    long incarnation,
    ICoordinator coordinator,
    TimeProvider time,
    IEntropy entropy,
    Action<string> log
)
{
    private readonly Lock _lock = new();
    private Signal _changed = new();
    private volatile RoutingTable _table = RoutingTable.Empty;
    private volatile bool _isDeposed;

    public RoutingTable Table => _table;

    /// <summary>True once another start of the same name is the live one: this one is no writer any more.</summary>
    public bool IsDeposed => _isDeposed;

    /// <summary>Under the follower's lock, once the new table is in force: routes that changed, and those that went.</summary>
    public Action<IReadOnlyList<Route>, IReadOnlyList<ShardId>> OnChange { get; set; } = static (_, _) => { };

    public Action OnDeposed { get; set; } = static () => { };

    /// <summary>Set with the next change of the table. Take it before looking at the table.</summary>
    public Signal Changed
    {
        get
        {
            lock (_lock)
            {
                return _changed;
            }
        }
    }

    /// <summary>Waits until the table satisfies the predicate; false where the token ended first.</summary>
    public async Task<bool> WaitForAsync(Func<RoutingTable, bool> isSo, CancellationToken cancel)
    {
        while (true)
        {
            var changed = Changed;
            if (isSo(_table))
            {
                return true;
            }
            if (!await changed.Arrives(cancel))
            {
                return false;
            }
        }
    }

    /// <summary>A route that a node knows: taken over at once where it is newer than the table's.</summary>
    public void Adopt(Route route)
    {
        var known = _table.TryRoute(route.Shard);
        if (known.IsValueNone || known.Value.Epoch < route.Epoch)
        {
            Apply(new TableUpdate(_table.Revision, false, [], [], [route], [], [], [], [], []));
        }
    }

    public async Task RegisterAsync(CancellationToken stop)
    {
        var backoff = new Backoff(options.FirstRetryMs, options.MaxRetryMs, entropy);
        while (true)
        {
            try
            {
                using var limit = new Limit(options.CoordinatorTimeoutMs, time, stop);
                await coordinator.Register(options.Name, options.Address, incarnation, limit.Token);
                return;
            }
            catch (Exception e) when (!stop.IsCancellationRequested)
            {
                log($"router {options.Name}: the coordinator did not register it yet: {e.Message}");
            }
            await Task.Delay(backoff.Next(), time, stop);
        }
    }

    public async Task HeartbeatsAsync(CancellationToken stop)
    {
        while (!_isDeposed)
        {
            try
            {
                using var limit = new Limit(options.CoordinatorTimeoutMs, time, stop);
                if (!await coordinator.Heartbeat(options.Name, incarnation, limit.Token))
                {
                    _isDeposed = true;
                    log($"router {options.Name}: another start of it is the live one; this one stops writing");
                    OnDeposed();
                    return;
                }
            }
            catch (Exception) when (!stop.IsCancellationRequested)
            {
                // The watch, which fails as well, says so; whoever missed too many heartbeats decides what follows.
            }
            await Task.Delay(TimeSpan.FromMilliseconds(options.HeartbeatMs), time, stop);
        }
    }

    public async Task WatchAsync(CancellationToken stop)
    {
        var backoff = new Backoff(options.FirstRetryMs, options.MaxRetryMs, entropy);
        var isAway = false;
        var seen = 0L;
        while (true)
        {
            try
            {
                using var limit = new Limit(2 * options.CoordinatorTimeoutMs, time, stop);
                var update = await coordinator.Watch(seen, limit.Token);
                if (isAway)
                {
                    log($"router {options.Name}: the coordinator answers again");
                    isAway = false;
                }
                backoff.Reset();
                if (update.IsFull || update.Revision > seen)
                {
                    seen = update.Revision;
                    Apply(update);
                    continue;
                }
            }
            catch (OperationCanceledException) when (!stop.IsCancellationRequested)
            {
                // Nothing changed within the limit.
            }
            catch (Exception e) when (!stop.IsCancellationRequested)
            {
                if (!isAway)
                {
                    log(
                        $"router {options.Name}: no news from the coordinator, goes on with revision {seen}: {e.Message}"
                    );
                    isAway = true;
                }
            }
            // Also after a quiet watch: a coordinator that answers at once with nothing must not be asked in a loop.
            await Task.Delay(backoff.Next(), time, stop);
        }
    }

    private void Apply(TableUpdate update)
    {
        Signal changed;
        lock (_lock)
        {
            var before = _table;
            var table = before.Apply(update);
            var routes = update.Routes;
            var removed = update.RemovedRoutes;
            if (update.IsFull)
            {
                // A full table is read from the metadata, perhaps before a route that a node has told of already.
                var newer = before
                    .Routes.Where(known =>
                        table.TryRoute(known.Shard) is { IsValueSome: true, Value: var route }
                        && route.Epoch < known.Epoch
                    )
                    .ToArray();
                if (newer.Length > 0)
                {
                    table = table.Apply(new TableUpdate(table.Revision, false, [], [], newer, [], [], [], [], []));
                }
                routes = table.Routes;
                removed =
                [
                    .. before
                        .Routes.Where(known => table.TryRoute(known.Shard).IsValueNone)
                        .Select(known => known.Shard),
                ];
            }
            _table = table;
            OnChange(routes, removed);
            changed = _changed;
            _changed = new Signal();
        }
        changed.Set();
    }

    /// <summary>A token that ends with another one, or after a time.</summary>
    private sealed class Limit : IDisposable
    {
        private readonly CancellationTokenSource _timer;
        private readonly CancellationTokenRegistration _stop;

        public Limit(int limitMs, TimeProvider time, CancellationToken stop)
        {
            _timer = new CancellationTokenSource(TimeSpan.FromMilliseconds(limitMs), time);
            _stop = stop.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), _timer);
        }

        public CancellationToken Token => _timer.Token;

        public void Dispose()
        {
            _stop.Dispose();
            _timer.Dispose();
        }
    }
}
