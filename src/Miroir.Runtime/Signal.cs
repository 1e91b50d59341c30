namespace Miroir.Runtime;

/// <summary>
/// Something that happens once, and that many may wait for. Whoever gives up leaves nothing behind. Unlike
/// Task.WaitAsync and Task.WhenAny over a task whose continuations run asynchronously, a wait goes on where the waiter's
/// scheduler says: that of a simulation, too.
/// </summary>
internal sealed class Signal
{
    private readonly Lock _lock = new();
    private readonly LinkedList<TaskCompletionSource<bool>> _waiting = new();
    private bool _isSet;

    /// <summary>Once; every time after the first it does nothing.</summary>
    public void Set()
    {
        TaskCompletionSource<bool>[] waiting;
        lock (_lock)
        {
            _isSet = true;
            waiting = [.. _waiting];
            _waiting.Clear();
        }
        foreach (var waiter in waiting)
        {
            waiter.TrySetResult(true);
        }
    }

    /// <summary>True once it is set; false where the token ended first.</summary>
    public async Task<bool> Arrives(CancellationToken cancel)
    {
        LinkedListNode<TaskCompletionSource<bool>> place;
        lock (_lock)
        {
            if (_isSet || cancel.IsCancellationRequested)
            {
                return _isSet;
            }
            place = _waiting.AddLast(
                new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously)
            );
        }
        using var over = cancel.UnsafeRegister(
            static state => ((TaskCompletionSource<bool>)state!).TrySetResult(false),
            place.Value
        );
        try
        {
            return await place.Value.Task;
        }
        finally
        {
            lock (_lock)
            {
                if (place.List is not null)
                {
                    _waiting.Remove(place);
                }
            }
        }
    }

    /// <summary>As the other, and false too where the time was over first.</summary>
    public async Task<bool> Arrives(TimeSpan within, TimeProvider time, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(within, time);
        using var link = cancel.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), limit);
        return await Arrives(limit.Token);
    }
}
