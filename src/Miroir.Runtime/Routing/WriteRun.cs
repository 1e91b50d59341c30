using Microsoft.FSharp.Collections;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Routing;

/// <summary>Performs one put's <see cref="WriteMachine"/>: sends, takes answers down, sends again. Decides nothing.</summary>
/// <param name="placed">Where it is not null, the replicas get this for their change logs, and not the document.</param>
internal sealed class WriteRun(
    RouterContext context,
    Document document,
    Change? placed,
    PutPurpose purpose,
    bool isResend,
    Deadline deadline
) : ISwept
{
    private readonly Lock _lock = new();
    private readonly long _startedMs = context.Deadlines.NowMs;
    private WriteState _state = null!;
    private long _begunEpoch;
    private TaskCompletionSource<WriteVerdict>? _waiter;
    private bool _isRetrying;
    private long _lastSentMs;
    private Backoff _backoff = context.Backoff();

    /// <summary>Takes its place under a route; what is returned is then performed, outside of the caller's lock.</summary>
    public FSharpList<WriteEffect> Prepare(Route route)
    {
        var (state, effects) = WriteMachine.start(route, document.Key.Hash, document.Version, purpose);
        _state = state;
        _begunEpoch = route.Epoch;
        return effects;
    }

    public ValueTask<WriteVerdict> RunAsync(FSharpList<WriteEffect> effects)
    {
        Perform(effects);
        lock (_lock)
        {
            if (!_state.IsOpen)
            {
                return new ValueTask<WriteVerdict>(_state.Verdict);
            }
            _waiter = new TaskCompletionSource<WriteVerdict>(TaskCreationOptions.RunContinuationsAsynchronously);
        }
        return new ValueTask<WriteVerdict>(WaitAsync(_waiter.Task));
    }

    public void Feed(WriteInput input)
    {
        FSharpList<WriteEffect> effects;
        WriteState state;
        TaskCompletionSource<WriteVerdict>? waiter = null;
        var retry = false;
        lock (_lock)
        {
            if (!_state.IsOpen)
            {
                return;
            }
            (state, effects) = WriteMachine.step(_state, input);
            _state = state;
            if (!state.IsOpen)
            {
                waiter = _waiter;
            }
            else if (state.HasMissing && !_isRetrying)
            {
                _isRetrying = true;
                retry = true;
            }
        }
        Perform(effects);
        waiter?.TrySetResult(state.Verdict);
        if (retry)
        {
            _ = RetryLaterAsync();
        }
    }

    public void Sweep(long nowMs)
    {
        var state = _state;
        if (
            !state.IsOpen
            || !state.HasAwaited
            || nowMs - Interlocked.Read(ref _lastSentMs) < context.Options.AttemptTimeoutMs
        )
        {
            return;
        }
        for (var i = 0; i < state.Replicas.Length; i++)
        {
            if (state.Progress[i] == ReplicaProgress.Awaited)
            {
                context.Counters.Unanswered();
                Feed(WriteInput.NewNoAnswer(state.Route.Epoch, state.Replicas[i]));
            }
        }
    }

    public Key Key => document.Key;

    /// <summary>A client waits for its outcome; for a put-back one waits as well, but for what it reads.</summary>
    public bool IsClients => purpose == PutPurpose.NewVersion && !isResend;

    public bool IsOpen => _state.IsOpen;

    public long AgeMs => context.Deadlines.NowMs - _startedMs;

    /// <summary>The epoch of the route under which it began.</summary>
    public long BegunEpoch => _begunEpoch;

    /// <summary>How it stands, for an operator's list.</summary>
    public OpenWriteView Describe()
    {
        var state = _state;
        var shard = state.Route.Shard;
        var answered = new List<string>();
        var missing = new List<string>();
        for (var i = 0; i < state.Replicas.Length; i++)
        {
            var isHolding = state.Progress[i] == ReplicaProgress.Holding;
            var replica = state.Replicas[i];
            (isHolding ? answered : missing).Add($"{replica.Store.Generation}/{replica.Store.Shard} on {replica.Node}");
        }
        var kind =
            isResend ? "Resend"
            : purpose == PutPurpose.PutBack ? "PutBack"
            : "Write";
        return new OpenWriteView(
            context.Options.Name,
            shard.Index,
            shard.Generation,
            shard.Shard,
            document.Key.Text,
            document.Entry.OperationId,
            document.Version.ToString(),
            kind,
            _begunEpoch,
            state.Route.Epoch,
            AgeMs,
            [.. answered],
            [.. missing],
            false
        );
    }

    private async Task<WriteVerdict> WaitAsync(Task<WriteVerdict> verdict)
    {
        deadline.Swept = this;
        using var over = deadline.Token.UnsafeRegister(static run => ((WriteRun)run!).Feed(WriteInput.Deadline), this);
        try
        {
            return await verdict;
        }
        finally
        {
            deadline.Swept = null;
        }
    }

    private void Perform(FSharpList<WriteEffect> effects)
    {
        for (; !effects.IsEmpty; effects = effects.Tail)
        {
            switch (effects.Head)
            {
                case WriteEffect.Send send:
                    Interlocked.Exchange(ref _lastSentMs, context.Deadlines.NowMs);
                    foreach (var replica in send.Replicas)
                    {
                        _ = SendAsync(send.Epoch, replica);
                    }
                    break;
                case WriteEffect.LearnRoute { Route: { } route }:
                    context.Follower.Adopt(route.Value);
                    break;
            }
        }
    }

    private async Task SendAsync(long epoch, Replica replica)
    {
        var input = WriteInput.NewNoAnswer(epoch, replica);
        if (context.Node(replica.Node) is { } node)
        {
            deadline.Hold();
            try
            {
                var stamp = new RouteStamp(_state.Route.Shard, epoch);
                var reply = placed is null
                    ? (await node.Put([new PutCommand(stamp, replica.Store, document)], deadline.Token))[0]
                    : await LogAsync(
                        node,
                        new LogChangesCommand(stamp, replica.Store, [placed], DocumentVersion.Zero, HashRange.Full)
                    );
                Count(replica, reply);
                input = WriteInput.NewReplied(epoch, replica, reply);
            }
            catch (Exception)
            {
                // Whatever it was, no answer came: the put may or may not be there.
                context.Counters.Unanswered();
                CountDualWrite(replica);
            }
            finally
            {
                deadline.Release();
            }
        }
        Feed(input);
    }

    private async Task<PutReply> LogAsync(INode node, LogChangesCommand command) =>
        await node.LogChanges(command, deadline.Token) switch
        {
            LogChangesReply.LogStaleEpoch stale => PutReply.NewStaleEpoch(stale.Epoch, stale.Route),
            LogChangesReply.LogRefused refused => PutReply.NewRefused(refused.Item),
            { IsLogged: true } => PutReply.NewApplied(false),
            _ => PutReply.NotServing,
        };

    private async Task RetryLaterAsync()
    {
        if (await context.DelayAsync(_backoff.Next(), deadline.Token))
        {
            lock (_lock)
            {
                _isRetrying = false;
            }
            context.Counters.Retry();
            Feed(WriteInput.Retry);
        }
    }

    private void Count(Replica replica, PutReply reply)
    {
        switch (reply)
        {
            case PutReply.StaleEpoch:
                context.Counters.Stale();
                break;
            case PutReply.Refused:
            case PutReply { IsNotServing: true }:
                context.Counters.Refused();
                CountDualWrite(replica);
                break;
        }
    }

    private void CountDualWrite(Replica replica)
    {
        var route = _state.Route;
        foreach (var target in route.Targets)
        {
            if (target.Shard.Equals(replica.Store) && Array.IndexOf(target.Nodes, replica.Node) >= 0)
            {
                context.Counters.DualWriteFailed(replica.Node, route.Shard);
                return;
            }
        }
    }
}
