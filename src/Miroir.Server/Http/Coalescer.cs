namespace Miroir.Server.Http;

/// <summary>
/// Natural batching: while requests are in flight, calls queue up, and go together in the next. No timers: a call
/// that finds a request free leaves at once. Calls keep their order; none is split here.
/// </summary>
/// <param name="send">
/// Sends one request with the commands of several calls; answers as many replies, in order. Its token is cancelled
/// once nobody waits for it any more.
/// </param>
/// <param name="weigh">Bytes that a command brings to its request.</param>
internal sealed class Coalescer<TCommand, TReply>(
    Func<IReadOnlyList<TCommand>, CancellationToken, Task<TReply[]>> send,
    Func<TCommand, int> weigh,
    WireLimits limits
)
{
    private sealed class PendingCall(IReadOnlyList<TCommand> commands, long bytes)
        : TaskCompletionSource<TReply[]>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public IReadOnlyList<TCommand> Commands => commands;
        public long Bytes => bytes;

        /// <summary>The request that it went with, once it went.</summary>
        public Request? Request;
    }

    private sealed class Request(List<PendingCall> calls) : CancellationTokenSource
    {
        public List<PendingCall> Calls => calls;
        public int Waiting = calls.Count;
        public bool IsDone;
    }

    private readonly Lock gate = new();
    private readonly LinkedList<PendingCall> queue = new();
    private readonly SemaphoreSlim room = new(limits.QueuedCalls, limits.QueuedCalls);
    private int inFlight;

    /// <exception cref="OperationCanceledException">The token was cancelled before the replies were there.</exception>
    public async Task<TReply[]> Call(IReadOnlyList<TCommand> commands, CancellationToken cancel)
    {
        if (commands.Count == 0)
            return [];
        if (commands.Count <= limits.BatchCommands && Bytes(commands) is var bytes && bytes <= limits.BatchBytes)
            return await One(commands, bytes, cancel);
        var replies = new List<TReply>(commands.Count);
        // One part after the other: commands of the same key must not overtake each other.
        foreach (var part in Split(commands))
            replies.AddRange(await One(part, Bytes(part), cancel));
        return [.. replies];
    }

    private async Task<TReply[]> One(IReadOnlyList<TCommand> commands, long bytes, CancellationToken cancel)
    {
        await room.WaitAsync(cancel);
        try
        {
            var call = new PendingCall(commands, bytes);
            lock (gate)
                queue.AddLast(call);
            await using var registration = cancel.UnsafeRegister(
                static (state, token) =>
                {
                    var (self, call) = ((Coalescer<TCommand, TReply>, PendingCall))state!;
                    self.GiveUp(call, token);
                },
                (this, call)
            );
            Start();
            return await call.Task;
        }
        finally
        {
            room.Release();
        }
    }

    private void GiveUp(PendingCall call, CancellationToken token)
    {
        Request? abandoned = null;
        lock (gate)
        {
            if (call.Request is not { } request)
                queue.Remove(call);
            else if (--request.Waiting == 0 && !request.IsDone)
                abandoned = request;
        }
        call.TrySetCanceled(token);
        try
        {
            abandoned?.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended in this moment.
        }
    }

    /// <summary>Starts as many requests as may be in flight and have calls to carry.</summary>
    private void Start()
    {
        while (true)
        {
            Request request;
            lock (gate)
            {
                if (inFlight >= limits.RequestsInFlight || queue.Count == 0)
                    return;
                request = new Request(Take());
                foreach (var call in request.Calls)
                    call.Request = request;
                inFlight++;
            }
            _ = Run(request);
        }
    }

    private List<PendingCall> Take()
    {
        var calls = new List<PendingCall>();
        var (commands, bytes) = (0, 0L);
        while (queue.First is { } first)
        {
            commands += first.Value.Commands.Count;
            bytes += first.Value.Bytes;
            if (calls.Count > 0 && (commands > limits.BatchCommands || bytes > limits.BatchBytes))
                break;
            calls.Add(first.Value);
            queue.RemoveFirst();
        }
        return calls;
    }

    private async Task Run(Request request)
    {
        try
        {
            IReadOnlyList<TCommand> commands =
                request.Calls.Count == 1
                    ? request.Calls[0].Commands
                    : [.. request.Calls.SelectMany(call => call.Commands)];
            var replies = await send(commands, request.Token);
            if (replies.Length != commands.Count)
                throw new InvalidOperationException($"{replies.Length} replies to {commands.Count} commands");
            var start = 0;
            foreach (var call in request.Calls)
            {
                var end = start + call.Commands.Count;
                call.TrySetResult(request.Calls.Count == 1 ? replies : replies[start..end]);
                start = end;
            }
        }
        catch (Exception e)
        {
            foreach (var call in request.Calls)
                call.TrySetException(e);
        }
        finally
        {
            lock (gate)
            {
                request.IsDone = true;
                inFlight--;
            }
            request.Dispose();
            Start();
        }
    }

    private long Bytes(IReadOnlyList<TCommand> commands)
    {
        var bytes = 0L;
        for (var i = 0; i < commands.Count; i++)
            bytes += weigh(commands[i]);
        return bytes;
    }

    private IEnumerable<IReadOnlyList<TCommand>> Split(IReadOnlyList<TCommand> commands)
    {
        var part = new List<TCommand>();
        var bytes = 0L;
        foreach (var command in commands)
        {
            var weight = weigh(command);
            if (part.Count > 0 && (part.Count == limits.BatchCommands || bytes + weight > limits.BatchBytes))
            {
                yield return part;
                part = [];
                bytes = 0;
            }
            part.Add(command);
            bytes += weight;
        }
        if (part.Count > 0)
            yield return part;
    }
}
