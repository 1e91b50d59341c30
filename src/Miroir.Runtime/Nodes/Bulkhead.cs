namespace Miroir.Runtime.Nodes;

/// <summary>
/// So many at once, so many waiting in the order they came, and no more. Unlike a SemaphoreSlim it continues where the
/// caller's scheduler says, with a token too, and refuses when its queue is full.
/// </summary>
internal sealed class Bulkhead(int maxConcurrent, int maxWaiting)
{
    private readonly Lock gate = new();
    private readonly LinkedList<TaskCompletionSource<bool>> waiting = new();
    private int running;

    /// <summary>True: entered, to be followed by <see cref="Leave"/>. False: too many are waiting already.</summary>
    public async ValueTask<bool> Enter(CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        LinkedListNode<TaskCompletionSource<bool>> place;
        lock (gate)
        {
            if (running < maxConcurrent)
            {
                running++;
                return true;
            }

            if (waiting.Count >= maxWaiting)
            {
                return false;
            }

            place = waiting.AddLast(new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        using var registration = cancel.Register(() => GiveUp(place, cancel));
        return await place.Value.Task;
    }

    public void Leave()
    {
        lock (gate)
        {
            if (waiting.First is { } next)
            {
                // The place is handed on, so that nobody who comes now overtakes who waits.
                waiting.RemoveFirst();
                next.Value.SetResult(true);
            }
            else
            {
                running--;
            }
        }
    }

    private void GiveUp(LinkedListNode<TaskCompletionSource<bool>> place, CancellationToken cancel)
    {
        lock (gate)
        {
            if (place.List is not null)
            {
                waiting.Remove(place);
                place.Value.SetCanceled(cancel);
            }
        }
    }
}
