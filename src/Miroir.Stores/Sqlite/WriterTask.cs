using Miroir.Core;

namespace Miroir.Stores.Sqlite;

/// <summary>What the writing connection of a store's file does beside puts: one transaction, between two groups of them.</summary>
internal interface IWriterTask
{
    /// <summary>Held from before the work begins until its transaction is on the disk.</summary>
    IEnumerable<RouteBarrier> Barriers { get; }

    void Work(ShardWriter writer);

    /// <summary>The transaction is on the disk.</summary>
    void Committed();

    void NotServing();

    /// <summary>Nothing of it was stored.</summary>
    void Refused(Refusal refusal);

    /// <summary>Perhaps it was.</summary>
    void Unknown(Exception cause);
}

/// <param name="barriers">See <see cref="IWriterTask.Barriers"/>.</param>
/// <param name="work">In the transaction.</param>
/// <param name="notServing">What is answered where the store is gone.</param>
/// <param name="refused">What is answered where nothing was stored.</param>
internal sealed class WriterTask<T>(
    IReadOnlyCollection<RouteBarrier> barriers,
    Func<ShardWriter, T> work,
    T notServing,
    Func<Refusal, T> refused
) : IWriterTask
{
    private readonly TaskCompletionSource<T> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private T? _done;

    public Task<T> Answer => _answer.Task;

    public IEnumerable<RouteBarrier> Barriers => barriers;

    public void Work(ShardWriter writer) => _done = work(writer);

    public void Committed() => _answer.TrySetResult(_done!);

    public void NotServing() => _answer.TrySetResult(notServing);

    public void Refused(Refusal refusal) => _answer.TrySetResult(refused(refusal));

    public void Unknown(Exception cause) => _answer.TrySetException(cause);
}
