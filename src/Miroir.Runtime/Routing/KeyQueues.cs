using Miroir.Core;

namespace Miroir.Runtime.Routing;

/// <summary>
/// One operation at a time for each key of a shard, in order of arrival. Bounded by the router's limit of open
/// operations: every waiter is one.
/// </summary>
internal sealed class KeyQueues
{
    private readonly Lock _lock = new();

    // A key that is taken is there; the queue behind it only once somebody waits.
    private readonly Dictionary<Key, Queue<Waiter>?> _taken = [];

    /// <summary>True once the key is the caller's, who must leave it; false where the token ended first.</summary>
    public ValueTask<bool> EnterAsync(Key key, CancellationToken cancel)
    {
        Waiter waiter;
        lock (_lock)
        {
            if (!_taken.TryGetValue(key, out var queue))
            {
                _taken.Add(key, null);
                return new ValueTask<bool>(true);
            }
            if (queue is null)
            {
                queue = new Queue<Waiter>();
                _taken[key] = queue;
            }
            waiter = new Waiter();
            queue.Enqueue(waiter);
        }
        return new ValueTask<bool>(waiter.TurnAsync(cancel));
    }

    public void Leave(Key key)
    {
        lock (_lock)
        {
            var queue = _taken[key];
            while (queue is not null && queue.TryDequeue(out var next))
            {
                if (next.Turn.TrySetResult(true))
                {
                    return;
                }
            }
            _taken.Remove(key);
        }
    }

    private sealed class Waiter
    {
        // Not in line: a long queue would grow the stack of whoever leaves.
        public TaskCompletionSource<bool> Turn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async Task<bool> TurnAsync(CancellationToken cancel)
        {
            using var registration = cancel.UnsafeRegister(
                static state => ((Waiter)state!).Turn.TrySetResult(false),
                this
            );
            return await Turn.Task;
        }
    }
}
