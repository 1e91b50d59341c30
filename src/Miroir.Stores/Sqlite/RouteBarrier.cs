using Microsoft.FSharp.Core;
using Miroir.Core;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// The barrier of one shard's route, as memory has it, and its gate.
/// </summary>
/// <remarks>
/// Why no older put commits after a raise has returned. Whoever follows the route holds the gate shared from before
/// the epoch is compared until the transaction has committed (or the rows are read). A raise first commits the
/// new epoch to node.db, then takes the gate exclusively just to replace the epoch here, and only then returns. So
/// every holder that saw the older epoch is done before the raise returns, and every later one sees the newer epoch:
/// comparing and committing are one step to a raise. What is on the disk is never behind what is here, so an epoch that
/// was ever enforced is still enforced after a crash; a raise that was cut off between the two stands after the
/// restart although nobody was told, which is harmless: epochs only grow.
///
/// Several gates are taken shared in the order of <see cref="Order"/>; a raise holds one at a time. So nobody who
/// holds a gate waits for one that comes before it, and there is no circle.
///
/// The gate belongs to a thread: hold it across no await.
/// </remarks>
internal sealed class RouteBarrier(ShardId shard, int order)
{
    private readonly ReaderWriterLockSlim _gate = new(LockRecursionPolicy.NoRecursion);
    private volatile State _state = new(0, null);

    public ShardId Shard { get; } = shard;

    /// <summary>A place of its own in the order in which gates are taken.</summary>
    public int Order { get; } = order;

    /// <summary>The lowest epoch still admitted, durably. Only grows.</summary>
    public long Epoch => _state.Epoch;

    /// <summary>The newest route that came with a raise, if any.</summary>
    public Route? Told => _state.Told;

    public FSharpOption<Route> ToldOption =>
        _state.Told is { } told ? FSharpOption<Route>.Some(told) : FSharpOption<Route>.None;

    public void EnterShared() => _gate.EnterReadLock();

    public void ExitShared() => _gate.ExitReadLock();

    /// <summary>Takes what node.db has durably by now. Waits for those who hold the gate.</summary>
    public void Raise(long epoch, Route? told)
    {
        _gate.EnterWriteLock();
        try
        {
            var now = _state;
            var newer = told is not null && (now.Told is null || told.Epoch > now.Told.Epoch);
            _state = new State(Math.Max(epoch, now.Epoch), newer ? told : now.Told);
        }
        finally
        {
            _gate.ExitWriteLock();
        }
    }

    private sealed record State(long Epoch, Route? Told);
}

/// <summary>The gates that a group of requests needs, taken once each and in order.</summary>
internal sealed class SharedGates
{
    private readonly List<RouteBarrier> _barriers = [];

    public void Add(RouteBarrier barrier)
    {
        // Nearly every group follows one or two routes: the others are sorted out in Enter.
        if (_barriers.Count > 8 || !_barriers.Contains(barrier))
            _barriers.Add(barrier);
    }

    public void Enter()
    {
        if (_barriers.Count > 1)
        {
            _barriers.Sort(static (a, b) => a.Order.CompareTo(b.Order));
            var kept = 1;
            for (var i = 1; i < _barriers.Count; i++)
            {
                if (_barriers[i] != _barriers[kept - 1])
                    _barriers[kept++] = _barriers[i];
            }

            _barriers.RemoveRange(kept, _barriers.Count - kept);
        }

        foreach (var barrier in _barriers)
            barrier.EnterShared();
    }

    public void Exit()
    {
        foreach (var barrier in _barriers)
            barrier.ExitShared();
        _barriers.Clear();
    }

    /// <summary>Nobody enters after all.</summary>
    public void Clear() => _barriers.Clear();
}
