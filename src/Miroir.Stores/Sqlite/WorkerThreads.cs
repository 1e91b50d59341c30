using System.Collections.Concurrent;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// A fixed number of threads for work that waits for disks, which the shared thread pool should not.
/// What is posted must not throw, and is bounded by those who post.
/// </summary>
internal sealed class WorkerThreads : IDisposable
{
    private readonly BlockingCollection<Action> _work = [];
    private readonly List<Thread> _threads = [];
    private bool _isDisposed;

    public WorkerThreads(int count, string name)
    {
        for (var i = 0; i < count; i++)
        {
            var thread = new Thread(Run) { IsBackground = true, Name = $"{name} {i}" };
            _threads.Add(thread);
            thread.Start();
        }
    }

    public void Post(Action work) => _work.Add(work);

    /// <summary>Finishes what was posted.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
            return;
        _work.CompleteAdding();
        _threads.ForEach(static thread => thread.Join());
        _work.Dispose();
    }

    private void Run()
    {
        foreach (var work in _work.GetConsumingEnumerable())
            work();
    }
}
