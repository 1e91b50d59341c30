using Microsoft.FSharp.Core;
using Miroir.Ports;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// Tasks in one SQLite file. Records are committed in groups before <see cref="Append"/> returns, and outlive the
/// process; the newest may be lost with the power, which their numbers are not: those are reserved in blocks, each
/// durably before its first is given out, so that none is ever used twice.
/// </summary>
public sealed class SqliteTaskLog : ITaskLog
{
    /// <summary>Numbers that are reserved at a time; as many at most are skipped by a restart.</summary>
    public const int BlockSize = 10_000;

    private const int GroupSize = 256;
    private const int QueueSize = 1024;
    private const int PruneSize = 1000;

    private sealed record Waiting(TaskRecord Task, TaskCompletionSource<long> Answer);

    private readonly Database writing;
    private readonly Database reading;
    private readonly SemaphoreSlim readTurn = new(1, 1);
    private readonly SemaphoreSlim room = new(QueueSize, QueueSize);
    private readonly Lock gate = new();
    private readonly Queue<Waiting> pending = new();
    private readonly Statement insert;
    private readonly long keep;
    private long next;
    private long reserved;
    private long count;
    private bool isWriting;
    private bool isDisposed;

    /// <param name="file">The file; made where it is absent.</param>
    /// <param name="router">The router's number, 1 to 8191. A file keeps the number that it was made with.</param>
    /// <param name="keep">Records kept, the newest ones; up to 1,000 more for a while.</param>
    /// <exception cref="ArgumentException">A number out of range, or another router's file.</exception>
    /// <exception cref="SqliteException">The file can't be opened.</exception>
    public SqliteTaskLog(string file, int router, long keep = 100_000)
    {
        if (router is < 1 or > TaskUid.MaxRouter)
            throw new ArgumentOutOfRangeException(
                nameof(router),
                router,
                $"a router's number is 1 to {TaskUid.MaxRouter}"
            );
        ArgumentOutOfRangeException.ThrowIfLessThan(keep, 1);
        Router = router;
        this.keep = keep;
        var options = new DatabaseOptions { Synchronous = Synchronous.Normal };
        writing = Database.Open(file, options);
        try
        {
            TaskRows.MakeTables(writing);
            var owner = writing.QueryInt64("SELECT value FROM setting WHERE name = 'router'");
            if (owner is { } other && other != router)
                throw new ArgumentException($"{file} has the tasks of router {other}, not {router}", nameof(router));
            writing.Execute(FormattableString.Invariant($"INSERT OR IGNORE INTO setting VALUES ('router', {router})"));
            next = reserved = writing.QueryInt64("SELECT value FROM setting WHERE name = 'reserved'") ?? 0;
            count = writing.QueryInt64("SELECT count(*) FROM task") ?? 0;
            insert = writing.Prepare(TaskRows.Insert);
            reading = Database.Open(file, options);
        }
        catch
        {
            writing.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public int Router { get; }

    /// <inheritdoc/>
    public async Task<long> Append(TaskRecord task, CancellationToken cancel)
    {
        await room.WaitAsync(cancel);
        if (isDisposed)
        {
            room.Release();
            throw new ObjectDisposedException(nameof(SqliteTaskLog));
        }
        var waiting = new Waiting(
            task,
            new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously)
        );
        bool first;
        lock (gate)
        {
            pending.Enqueue(waiting);
            first = !isWriting;
            isWriting = true;
        }
        // Who finds nobody writing does so at once, on its own thread; those that come meanwhile are the next group.
        if (first)
            WriteGroup();
        return await waiting.Answer.Task;
    }

    /// <inheritdoc/>
    public Task<FSharpValueOption<TaskRecord>> Find(long uid, CancellationToken cancel) =>
        ReadAsync(database => TaskRows.Find(database, uid), cancel);

    /// <inheritdoc/>
    public Task<TaskPage> List(TaskQuery query, CancellationToken cancel) =>
        ReadAsync(database => TaskRows.List(database, query), cancel);

    /// <summary>Writes what waits, and closes the file.</summary>
    public async ValueTask DisposeAsync()
    {
        if (isDisposed)
            return;
        isDisposed = true;
        // All the room is free when the last that waited has its answer.
        for (var i = 0; i < QueueSize; i++)
            await room.WaitAsync();
        await readTurn.WaitAsync();
        reading.Dispose();
        writing.Dispose();
        room.Release(QueueSize);
    }

    private async Task<T> ReadAsync<T>(Func<Database, T> read, CancellationToken cancel)
    {
        await readTurn.WaitAsync(cancel);
        try
        {
            return read(reading);
        }
        finally
        {
            readTurn.Release();
        }
    }

    private void WriteGroup()
    {
        var group = new List<Waiting>();
        lock (gate)
            while (group.Count < GroupSize && pending.TryDequeue(out var waiting))
                group.Add(waiting);
        try
        {
            var first = Commit(group);
            for (var i = 0; i < group.Count; i++)
                group[i].Answer.SetResult(TaskUid.make(Router, first + i));
        }
        catch (Exception e)
        {
            writing.Rollback();
            foreach (var waiting in group)
                waiting.Answer.TrySetException(e);
        }
        bool more;
        lock (gate)
            more = isWriting = pending.Count > 0;
        // The next group is not the burden of whoever wrote this one.
        if (more)
            ThreadPool.UnsafeQueueUserWorkItem(log => log.WriteGroup(), this, preferLocal: false);
        room.Release(group.Count);
    }

    /// <summary>Answers the count of the group's first task; the others follow.</summary>
    private long Commit(List<Waiting> group)
    {
        if (next + group.Count > reserved)
            Reserve(group.Count);
        // Given out even where the commit fails: numbers are cheap, and one that is used twice is not.
        var first = next + 1;
        next += group.Count;
        writing.BeginImmediate();
        for (var i = 0; i < group.Count; i++)
            TaskRows.Add(insert, TaskUid.make(Router, first + i), group[i].Task);
        var pruned = 0;
        if (count + group.Count >= keep + PruneSize)
        {
            writing.Execute(
                FormattableString.Invariant(
                    $"DELETE FROM task WHERE uid IN (SELECT uid FROM task ORDER BY uid LIMIT {count + group.Count - keep})"
                )
            );
            pruned = writing.Changes;
        }
        writing.Commit();
        count += group.Count - pruned;
        return first;
    }

    private void Reserve(int atLeast)
    {
        var until = next + Math.Max(BlockSize, atLeast);
        if (until > TaskUid.MaxCount)
            throw new InvalidOperationException(
                $"router {Router} has given out all its {TaskUid.MaxCount} task numbers"
            );
        writing.Execute("PRAGMA synchronous = FULL");
        try
        {
            writing.BeginImmediate();
            writing.Execute(
                FormattableString.Invariant($"INSERT OR REPLACE INTO setting VALUES ('reserved', {until})")
            );
            writing.Commit();
            reserved = until;
        }
        catch
        {
            writing.Rollback();
            throw;
        }
        finally
        {
            writing.Execute("PRAGMA synchronous = NORMAL");
        }
    }
}
