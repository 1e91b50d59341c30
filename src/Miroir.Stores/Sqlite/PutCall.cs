using Miroir.Core;

namespace Miroir.Stores.Sqlite;

/// <summary>One call of Put: its replies, and how many of its jobs are not done.</summary>
internal sealed class PutCall(PutReply[] replies, int jobs, CancellationToken cancel)
{
    private readonly TaskCompletionSource<PutReply[]> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _open = jobs;
    private volatile bool _hasSkipped;

    public Task<PutReply[]> Done => _done.Task;

    /// <summary>Whoever asked no longer waits: what has not begun need not.</summary>
    public bool IsCancelled => cancel.IsCancellationRequested;

    public void Reply(int position, PutReply reply) => replies[position] = reply;

    /// <summary>A put was left out, since nobody waits any more.</summary>
    public void Skip() => _hasSkipped = true;

    public void JobDone()
    {
        if (Interlocked.Decrement(ref _open) != 0)
            return;
        if (_hasSkipped)
            _done.TrySetCanceled(cancel);
        else
            _done.TrySetResult(replies);
    }

    /// <summary>No reply can be given for a part: for whoever asked, all of it is unknown.</summary>
    public void Fail(Exception cause) => _done.TrySetException(cause);
}

/// <summary>The part of a call that goes to one store, in the call's order.</summary>
internal sealed class PutJob(PutCall call, List<PutJob.Item> items)
{
    /// <param name="Command">The put.</param>
    /// <param name="Barrier">The barrier of the route that it follows.</param>
    /// <param name="Position">Where its reply goes.</param>
    public readonly record struct Item(PutCommand Command, RouteBarrier Barrier, int Position);

    public PutCall Call { get; } = call;

    public List<Item> Items { get; } = items;

    /// <summary>Items before this one are in a group already.</summary>
    public int Next { get; set; }

    public static long BytesOf(in Item item) =>
        item.Command.Document.Body.Length + item.Command.Document.Key.Span.Length;
}
