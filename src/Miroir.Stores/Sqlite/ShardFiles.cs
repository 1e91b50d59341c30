using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// The stores that serve, and which of their files are open. A file is opened when somebody enters it, and closed when
/// too many are open and it was left for longest. Nobody waits here for a file that another uses.
/// </summary>
internal sealed class ShardFiles(SqliteNodeStoreOptions options)
{
    private readonly ConcurrentDictionary<ShardId, ShardFile> _byStore = new();
    private readonly Lock _lock = new();
    private readonly List<ShardFile> _open = [];
    private long _uses;

    /// <summary>What one file's connections may cache, in KiB: the budget shared out among those that may be open.</summary>
    public int FileCacheKiB => (int)Math.Min(int.MaxValue, options.CacheBudgetMiB * 1024L / Shares);

    private int Shares => Math.Clamp(_byStore.Count, 1, options.MaxOpenFiles);

    public bool TryGet(ShardId store, [MaybeNullWhen(false)] out ShardFile file) =>
        _byStore.TryGetValue(store, out file);

    /// <summary>The same, but only where the store answers for its data.</summary>
    public bool TryServing(ShardId store, [MaybeNullWhen(false)] out ShardFile file) =>
        TryGet(store, out file)
        && (file.Health == StoreHealth.Serving || file.Health == StoreHealth.Filling && Mutants.fillingStoreServes());

    /// <summary>Told once of each file that can't be trusted any more, by whoever noticed.</summary>
    public event Action<ShardFile, Exception>? Distrusted;

    /// <summary>Looks at a failure of a file: one that SQLite calls corrupt, that is gone or another one is left at once.</summary>
    public void Report(ShardFile file, Exception cause)
    {
        var isDamaged =
            cause is SqliteException { IsCorrupt: true } or DamagedFileException
            || (cause is SqliteException { Code: SqliteResult.CannotOpen } && !File.Exists(file.Path));
        if (!isDamaged)
            return;
        lock (_lock)
        {
            if (file.IsRetired || file.Health == StoreHealth.Quarantined)
                return;
            file._health = StoreHealth.Quarantined;
        }

        Distrusted?.Invoke(file, cause);
    }

    /// <summary>A store that is being filled serves from now on. False: it is not, or no longer.</summary>
    public bool TryServe(ShardFile file)
    {
        lock (_lock)
        {
            if (file.IsRetired || file.Health != StoreHealth.Filling)
                return false;
            file._health = StoreHealth.Serving;
            return true;
        }
    }

    public ShardFile[] All() => [.. _byStore.Values];

    public void Add(ShardFile file)
    {
        if (!_byStore.TryAdd(file.Registration.Store, file))
            throw new InvalidOperationException($"store {file.Registration.Store} is served already");
    }

    /// <summary>False: the store is gone. Else the file stays open until <see cref="Exit"/>.</summary>
    public bool TryEnter(ShardFile file)
    {
        ShardFile? victim = null;
        List<IDisposable> closing = [];
        lock (_lock)
        {
            if (file.IsRetired || file.Health == StoreHealth.Quarantined)
                return false;
            file.Users++;
            file.LastUse = ++_uses;
            if (!file.IsOpen)
            {
                file.IsOpen = true;
                _open.Add(file);
                victim = _open.Count > options.MaxOpenFiles ? _open.Where(Unused).MinBy(f => f.LastUse) : null;
                if (victim is not null)
                {
                    closing = Close(victim);
                    // Counted as a user until its connections are closed: a drop deletes the file only then.
                    victim.Users++;
                }
            }
        }

        if (victim is not null)
        {
            closing.ForEach(connection => connection.Dispose());
            Exit(victim);
        }

        return true;
    }

    public void Exit(ShardFile file)
    {
        TaskCompletionSource? idle = null;
        lock (_lock)
        {
            if (--file.Users == 0)
                idle = file.Idle;
        }

        idle?.TrySetResult();
    }

    /// <summary>
    /// Lets nobody enter any more, and ends when all have left and the connections are closed. A file in its place is there
    /// at once.
    /// </summary>
    public async Task Retire(ShardFile file, ShardFile? instead = null)
    {
        Task left;
        lock (_lock)
        {
            file.IsRetired = true;
            file.Idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (file.Users == 0)
                file.Idle.TrySetResult();
            left = file.Idle.Task;
        }

        if (instead is not null)
            _byStore.TryUpdate(file.Registration.Store, instead, file);
        else
            _byStore.TryRemove(KeyValuePair.Create(file.Registration.Store, file));
        await left.ConfigureAwait(false);
        List<IDisposable> closing;
        lock (_lock)
            closing = Close(file);
        closing.ForEach(connection => connection.Dispose());
    }

    private List<IDisposable> Close(ShardFile file)
    {
        _open.Remove(file);
        file.IsOpen = false;
        return file.TakeConnections();
    }

    private static bool Unused(ShardFile file) => file.Users == 0;
}
