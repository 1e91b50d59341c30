using Miroir.Core;

namespace Miroir.Runtime.Routing;

/// <summary>
/// Performs one read under one route: <see cref="ReadMachine"/> anywhere, <see cref="WriterRead"/> in the key's queue
/// at the writer. Decides nothing.
/// </summary>
internal sealed class ReadRun : ISwept
{
    private readonly Lock _lock = new();
    private readonly RouterContext _context;
    private readonly Key _key;
    private readonly bool _isAtWriter;
    private readonly Deadline _deadline;
    private readonly long _startedMs;
    private ReadState _state;
    private TaskCompletionSource<ReadVerdict>? _waiter;
    private bool _isRetrying;
    private long _lastSentMs;
    private Backoff _backoff;

    private ReadRun(RouterContext context, Route route, Key key, bool isAtWriter, Deadline deadline)
    {
        _context = context;
        _key = key;
        _isAtWriter = isAtWriter;
        _deadline = deadline;
        _startedMs = context.Deadlines.NowMs;
        _backoff = context.Backoff();
        _state = isAtWriter ? WriterRead.start(route, key.Hash) : ReadMachine.start(route, key.Hash);
    }

    /// <summary>A confirmed read by asking alone.</summary>
    public static ValueTask<ReadVerdict> AskAsync(RouterContext context, Route route, Key key, Deadline deadline) =>
        new ReadRun(context, route, key, false, deadline).RunAsync();

    /// <summary>The read in the key's queue. The caller holds the key.</summary>
    public static ValueTask<ReadVerdict> AtWriterAsync(
        RouterContext context,
        Route route,
        Key key,
        Deadline deadline
    ) => new ReadRun(context, route, key, true, deadline).RunAsync();

    public void Sweep(long nowMs)
    {
        if (!_isAtWriter)
        {
            if (nowMs - _startedMs >= _context.Options.ReadPatienceMs)
            {
                Feed(ReadInput.OutOfPatience);
            }
            return;
        }
        if (nowMs - Interlocked.Read(ref _lastSentMs) >= _context.Options.AttemptTimeoutMs)
        {
            Interlocked.Exchange(ref _lastSentMs, nowMs);
            foreach (var replica in _state.Replicas)
            {
                Feed(ReadInput.NewNoAnswer(_state.Route.Epoch, replica));
            }
        }
    }

    private ValueTask<ReadVerdict> RunAsync()
    {
        Ask(_state.Replicas);
        lock (_lock)
        {
            if (!_state.IsOpen)
            {
                return new ValueTask<ReadVerdict>(_state.Verdict);
            }
            _waiter = new TaskCompletionSource<ReadVerdict>(TaskCreationOptions.RunContinuationsAsynchronously);
        }
        return new ValueTask<ReadVerdict>(WaitAsync(_waiter.Task));
    }

    private async Task<ReadVerdict> WaitAsync(Task<ReadVerdict> verdict)
    {
        _deadline.Swept = this;
        using var over = _deadline.Token.UnsafeRegister(
            static run => ((ReadRun)run!).Feed(ReadInput.OutOfPatience),
            this
        );
        try
        {
            return await verdict;
        }
        finally
        {
            _deadline.Swept = null;
        }
    }

    private void Feed(ReadInput input)
    {
        TaskCompletionSource<ReadVerdict>? waiter = null;
        Replica[] again = [];
        ReadState state;
        var retry = false;
        lock (_lock)
        {
            if (!_state.IsOpen)
            {
                return;
            }
            if (_isAtWriter)
            {
                (state, again) = WriterRead.step(_state, input);
            }
            else
            {
                state = ReadMachine.step(_state, input);
            }
            _state = state;
            if (!state.IsOpen)
            {
                waiter = _waiter;
            }
            else if (_isAtWriter && state.HasFailed && !_isRetrying)
            {
                _isRetrying = true;
                retry = true;
            }
        }
        if (state.Verdict is ReadVerdict.StartAgain { Route: { } route })
        {
            _context.Follower.Adopt(route.Value);
        }
        waiter?.TrySetResult(state.Verdict);
        Ask(again);
        if (retry)
        {
            _ = RetryLaterAsync();
        }
    }

    private void Ask(Replica[] replicas)
    {
        if (replicas.Length == 0)
        {
            return;
        }
        Interlocked.Exchange(ref _lastSentMs, _context.Deadlines.NowMs);
        foreach (var replica in replicas)
        {
            _ = AskAsync(replica);
        }
    }

    private async Task AskAsync(Replica replica)
    {
        var route = _state.Route;
        var input = ReadInput.NewNoAnswer(route.Epoch, replica);
        if (_context.Node(replica.Node) is { } node)
        {
            _deadline.Hold();
            try
            {
                var replies = await node.Read([new ReadCommand(route.Stamp, replica.Store, _key)], _deadline.Token);
                if (replies[0].IsReadStaleEpoch)
                {
                    _context.Counters.Stale();
                }
                else if (replies[0].IsReadRefused || replies[0].IsReadNotServing)
                {
                    _context.Counters.Refused();
                }
                input = ReadInput.NewReplied(route.Epoch, replica, replies[0]);
            }
            catch (Exception)
            {
                _context.Counters.Unanswered();
            }
            finally
            {
                _deadline.Release();
            }
        }
        Feed(input);
    }

    private async Task RetryLaterAsync()
    {
        if (await _context.DelayAsync(_backoff.Next(), _deadline.Token))
        {
            lock (_lock)
            {
                _isRetrying = false;
            }
            _context.Counters.Retry();
            Feed(ReadInput.Retry);
        }
    }
}
