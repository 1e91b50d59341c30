using System.Collections.Concurrent;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>Work for a <see cref="CommitThread"/>. All of it is called on that thread.</summary>
internal interface ICommitJob
{
    /// <summary>Reads and writes inside a transaction, which other jobs share. May run again after a rollback.</summary>
    void Apply(Database database);

    /// <summary>The transaction is on the disk.</summary>
    void Committed();

    /// <param name="cause">What went wrong.</param>
    /// <param name="mayBeThere">True where the commit itself failed, and a recovery might still find it done.</param>
    void Failed(Exception cause, bool mayBeThere);
}

/// <summary>
/// One thread that owns one connection and commits in groups: everything that waits shares a transaction and its sync.
/// Where a group fails, each of its jobs is tried alone, so that one can't fail the others.
/// </summary>
internal sealed class CommitThread : IDisposable
{
    private const int MaxGroup = 512;
    private const int MaxWaiting = 8192;

    private readonly Database _database;
    private readonly BlockingCollection<ICommitJob> _jobs = new(MaxWaiting);
    private readonly Thread _thread;
    private bool _isDisposed;

    public CommitThread(Database database, string name)
    {
        _database = database;
        _thread = new Thread(Run) { IsBackground = true, Name = name };
        _thread.Start();
    }

    /// <summary>False: too many wait already.</summary>
    /// <exception cref="ObjectDisposedException">It is closing.</exception>
    public bool TryPost(ICommitJob job)
    {
        try
        {
            return _jobs.TryAdd(job);
        }
        catch (InvalidOperationException)
        {
            throw new ObjectDisposedException(nameof(CommitThread));
        }
    }

    /// <summary>Finishes what waits, then closes the connection.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
            return;
        _jobs.CompleteAdding();
        _thread.Join();
        _database.Dispose();
        _jobs.Dispose();
    }

    private void Run()
    {
        var group = new List<ICommitJob>(MaxGroup);
        foreach (var first in _jobs.GetConsumingEnumerable())
        {
            group.Clear();
            group.Add(first);
            while (group.Count < MaxGroup && _jobs.TryTake(out var next))
                group.Add(next);
            Commit(group);
        }
    }

    private void Commit(List<ICommitJob> group)
    {
        var committing = false;
        try
        {
            _database.BeginImmediate();
            foreach (var job in group)
                job.Apply(_database);
            committing = true;
            _database.Commit();
        }
        catch (Exception e)
        {
            TryRollback();
            var mayBeThere = committing && e is not SqliteException { IsFull: true };
            if (group.Count == 1 || mayBeThere)
                group.ForEach(job => job.Failed(e, mayBeThere));
            else
                group.ForEach(job => Commit([job]));
            return;
        }

        group.ForEach(static job => job.Committed());
    }

    private void TryRollback()
    {
        try
        {
            _database.Rollback();
        }
        catch (SqliteException)
        {
            // The transaction's own failure is the one to report; the next BEGIN fails where this one lingers.
        }
    }
}

/// <summary>A job that answers with a task.</summary>
/// <param name="apply">Runs in the transaction; see <see cref="ICommitJob.Apply"/>.</param>
/// <param name="committed">Runs after the commit on the thread, and makes the answer of what was applied.</param>
internal sealed class CommitJob<TApplied, TAnswer>(Func<Database, TApplied> apply, Func<TApplied, TAnswer> committed)
    : ICommitJob
{
    private readonly TaskCompletionSource<TAnswer> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TApplied? _applied;

    public Task<TAnswer> Answer => _answer.Task;

    public void Apply(Database database) => _applied = apply(database);

    public void Committed()
    {
        try
        {
            _answer.SetResult(committed(_applied!));
        }
        catch (Exception e)
        {
            _answer.SetException(e);
        }
    }

    public void Failed(Exception cause, bool mayBeThere) =>
        _answer.SetException(mayBeThere ? new UncertainCommitException(cause) : cause);
}

/// <summary>A commit failed in a way that leaves open whether a later recovery finds it done.</summary>
internal sealed class UncertainCommitException(Exception cause)
    : IOException($"The commit failed, and may be found done after a restart: {cause.Message}", cause);
