using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// The queue of puts to one store's file. One worker at a time takes what waits, up to a limit, puts it in one
/// transaction with one sync, and answers: while one group syncs, the next one gathers.
/// </summary>
internal sealed class ShardPump(ShardFile file, ShardFiles files, WorkerThreads workers, SqliteNodeStoreOptions options)
{
    private const int MaxTasks = 256;

    private readonly Lock _lock = new();
    private readonly Queue<PutJob> _queue = new();
    private readonly SharedGates _gates = new();
    private readonly List<Slice> _group = [];
    private readonly Queue<IWriterTask> _tasks = new();
    private int _queuedPuts;
    private long _queuedBytes;
    private bool _isScheduled;
    private bool _isAnswered;

    /// <summary>False: too much waits; the job was answered.</summary>
    public bool TryEnqueue(PutJob job)
    {
        var bytes = 0L;
        foreach (var item in job.Items)
            bytes += PutJob.BytesOf(item);
        int waiting;
        lock (_lock)
        {
            waiting = _queuedPuts;
            var fits =
                waiting == 0
                || (
                    waiting + job.Items.Count <= options.MaxQueuedPuts && _queuedBytes + bytes <= options.MaxQueuedBytes
                );
            if (fits)
            {
                _queue.Enqueue(job);
                _queuedPuts += job.Items.Count;
                _queuedBytes += bytes;
                if (!_isScheduled)
                {
                    _isScheduled = true;
                    workers.Post(Run);
                }

                return true;
            }
        }

        var refused = PutReply.NewRefused(Refusals.Overloaded(file.Registration.Store, waiting));
        foreach (var item in job.Items)
            job.Call.Reply(item.Position, refused);
        job.Call.JobDone();
        return false;
    }

    /// <summary>Runs in the next turn; one task and one group of puts by turns.</summary>
    public void Post(IWriterTask task)
    {
        lock (_lock)
        {
            if (_tasks.Count < MaxTasks)
            {
                _tasks.Enqueue(task);
                if (!_isScheduled)
                {
                    _isScheduled = true;
                    workers.Post(Run);
                }

                return;
            }
        }

        task.Refused(Refusals.Overloaded(file.Registration.Store, MaxTasks));
    }

    private void Run()
    {
        IWriterTask? task;
        lock (_lock)
            _tasks.TryDequeue(out task);
        if (task is not null)
            Do(task);
        Gather();
        if (_group.Count > 0)
            PutGroup();
        lock (_lock)
        {
            if (_queue.Count == 0 && _tasks.Count == 0)
                _isScheduled = false;
            else
                workers.Post(Run);
        }
    }

    private void Do(IWriterTask task)
    {
        try
        {
            if (!files.TryEnter(file))
            {
                task.NotServing();
                return;
            }

            try
            {
                foreach (var barrier in task.Barriers)
                    _gates.Add(barrier);
                if (Transact(task.Work) is { } failure)
                    task.Refused(Refusals.Of(failure));
                else
                    task.Committed();
            }
            finally
            {
                files.Exit(file);
            }
        }
        catch (Exception e)
        {
            task.Unknown(e);
        }
    }

    private void PutGroup()
    {
        try
        {
            if (files.TryEnter(file))
            {
                try
                {
                    Commit();
                }
                finally
                {
                    files.Exit(file);
                }
            }
            else
            {
                ReplyAll(PutReply.NotServing);
            }

            if (!_isAnswered)
                Answer();
        }
        catch (Exception e)
        {
            // Whether the group is there is not known: neither answer would be true, so no reply is given.
            _group.ForEach(slice => slice.Job.Call.Fail(e));
        }

        _group.Clear();
        _isAnswered = false;
    }

    private void Gather()
    {
        var puts = 0;
        var bytes = 0L;
        lock (_lock)
        {
            while (_queue.TryPeek(out var job) && puts < options.MaxGroupPuts && bytes < options.MaxGroupBytes)
            {
                var from = job.Next;
                while (job.Next < job.Items.Count && puts < options.MaxGroupPuts && bytes < options.MaxGroupBytes)
                {
                    bytes += PutJob.BytesOf(job.Items[job.Next++]);
                    puts++;
                }

                _group.Add(new Slice(job, from, job.Next));
                if (job.Next == job.Items.Count)
                    _queue.Dequeue();
            }

            _queuedPuts -= puts;
            _queuedBytes -= bytes;
        }
    }

    /// <summary>Fills in the replies. Throws only where it is open whether the group is on the disk.</summary>
    private void Commit()
    {
        foreach (var (job, from, to) in _group)
        {
            for (var i = from; i < to; i++)
                _gates.Add(job.Items[i].Barrier);
        }

        if (Transact(PutAll) is { } failure)
            Refuse(failure);
    }

    private void PutAll(ShardWriter writer)
    {
        foreach (var (job, from, to) in _group)
        {
            if (job.Call.IsCancelled)
            {
                job.Call.Skip();
                continue;
            }

            for (var i = from; i < to; i++)
                job.Call.Reply(job.Items[i].Position, Put(writer, job.Items[i]));
        }

        if (Mutants.answeredBeforeCommit())
            Answer();
    }

    /// <summary>
    /// Work in a transaction, behind the gates that were added. Null: it is on the disk; else why nothing of it is. Throws
    /// where that is open.
    /// </summary>
    private Exception? Transact(Action<ShardWriter> work)
    {
        ShardWriter writer;
        try
        {
            writer = file.Writer(files.FileCacheKiB);
        }
        catch (Exception e) when (e is SqliteException or ShardFileException)
        {
            files.Report(file, e);
            _gates.Clear();
            return e;
        }

        _gates.Enter();
        var isCommitting = false;
        try
        {
            writer.Begin();
            work(writer);
            isCommitting = true;
            writer.Commit();
            file.Publish(writer.Counts);
            return null;
        }
        catch (Exception e)
        {
            try
            {
                writer.Rollback();
            }
            catch (SqliteException)
            {
                // The first failure is the one to report; the next BEGIN fails where the transaction lingers.
            }

            files.Report(file, e);
            // A commit that failed for lack of space wrote no commit mark. After any other failure of the commit
            // itself a recovery might still find it.
            if (isCommitting && e is not SqliteException { IsFull: true })
                throw new UncertainCommitException(e);
            if (e is not (SqliteException or ShardFileException))
                throw;
            return e;
        }
        finally
        {
            _gates.Exit();
        }
    }

    private PutReply Put(ShardWriter writer, in PutJob.Item item)
    {
        var isStale = item.Command.Stamp.Epoch < item.Barrier.Epoch;
        if (isStale && !Mutants.epochCheckLeftOut() && !Mutants.epochCheckBeforeTheTransaction())
            return PutReply.NewStaleEpoch(item.Barrier.Epoch, item.Barrier.ToldOption);
        var document = item.Command.Document;
        return file.Registration.Range.Contains(document.Key)
            ? writer.Put(document)
            : PutReply.NewRefused(Refusals.WrongShard(document.Key, file.Registration.Store, file.Registration.Range));
    }

    /// <summary>Tells the calls of which this group was the last part.</summary>
    private void Answer()
    {
        _isAnswered = true;
        foreach (var (job, _, to) in _group)
        {
            if (to == job.Items.Count)
                job.Call.JobDone();
        }
    }

    private void Refuse(Exception cause)
    {
        file.CountFailed(_group.Sum(slice => slice.To - slice.From));
        ReplyAll(PutReply.NewRefused(Refusals.Of(cause)));
    }

    private void ReplyAll(PutReply reply)
    {
        foreach (var (job, from, to) in _group)
        {
            for (var i = from; i < to; i++)
                job.Call.Reply(job.Items[i].Position, reply);
        }
    }

    private readonly record struct Slice(PutJob Job, int From, int To);
}
