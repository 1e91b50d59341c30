using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// One store of the node: its registration, its file, and the connections to it while it is open. Connections are touched
/// only by those who have entered the file through <see cref="ShardFiles"/>.
/// </summary>
internal sealed class ShardFile(StoreRegistration registration, string path, SqliteNodeStoreOptions options)
{
    private const int MaxIdleReaders = 2;

    private readonly Lock _connections = new();
    private readonly Stack<ShardReader> _idleReaders = new();
    private ShardWriter? _writer;
    private long _failedPuts;
    private Counted? _counts;

    public StoreRegistration Registration { get; } = registration;

    public string Path { get; } = path;

    public long FailedPuts => Interlocked.Read(ref _failedPuts);

    /// <summary>What was committed last; null while the file was never opened.</summary>
    public ShardCounts? Counts => Volatile.Read(ref _counts)?.Value;

    /// <summary>Guarded by <see cref="ShardFiles"/>: who is inside, and when somebody last came.</summary>
    internal int Users;
    internal long LastUse;
    internal bool IsOpen;
    internal bool IsRetired;
    internal TaskCompletionSource? Idle;

    public void CountFailed(int puts) => Interlocked.Add(ref _failedPuts, puts);

    public void Publish(ShardCounts counts) => Volatile.Write(ref _counts, new Counted(counts));

    /// <summary>The writing connection, opened where it is not. For the thread that commits to this file.</summary>
    public ShardWriter Writer(int fileCacheKiB)
    {
        var cacheKiB = Math.Max(64, fileCacheKiB / 2);
        var writer = OpenWriter(cacheKiB);
        writer.SetCache(cacheKiB);
        return writer;
    }

    /// <summary>Opens the file where it is not, so that its counts are known.</summary>
    public void Open(int fileCacheKiB) => OpenWriter(Math.Max(64, fileCacheKiB / 2));

    /// <summary>A reading connection; give it back with <see cref="Return"/>.</summary>
    public ShardReader Borrow(int fileCacheKiB)
    {
        var cacheKiB = Math.Max(64, fileCacheKiB / 4);
        // A writing connection goes first and stays longest: it recovers the log, and its closing empties it.
        OpenWriter(cacheKiB * 2);
        ShardReader? reader;
        lock (_connections)
            _idleReaders.TryPop(out reader);
        reader ??= new ShardReader(Path, options.Vfs, cacheKiB);
        reader.SetCache(cacheKiB);
        return reader;
    }

    public void Return(ShardReader reader, bool isUsable)
    {
        lock (_connections)
        {
            if (isUsable && _idleReaders.Count < MaxIdleReaders)
            {
                _idleReaders.Push(reader);
                return;
            }
        }

        reader.Dispose();
    }

    /// <summary>Takes the connections out; nobody may be inside. Dispose of them in their order.</summary>
    public List<IDisposable> TakeConnections()
    {
        lock (_connections)
        {
            List<IDisposable> taken = [.. _idleReaders];
            _idleReaders.Clear();
            if (_writer is not null)
                taken.Add(_writer);
            _writer = null;
            return taken;
        }
    }

    /// <summary>Bytes on the disk, the log included.</summary>
    public long Bytes()
    {
        var bytes = 0L;
        foreach (var suffix in new[] { "", "-wal", "-shm" })
        {
            var info = new FileInfo(Path + suffix);
            if (info.Exists)
                bytes += info.Length;
        }

        return bytes;
    }

    /// <summary>Makes the file of a store that is registered; what a crash left of an earlier try is deleted first.</summary>
    public void Create(int fileCacheKiB)
    {
        Delete();
        var folder = System.IO.Path.GetDirectoryName(Path)!;
        options.Names.Create(folder);
        // Both names may be there and not durable, where a process was killed between making and syncing them.
        var shards = System.IO.Path.GetDirectoryName(folder)!;
        options.Names.Sync(System.IO.Path.GetDirectoryName(shards)!);
        options.Names.Sync(shards);
        using (var database = Database.Open(Path, options.Writer(DatabaseAccess.Create, fileCacheKiB)))
            ShardSchema.Create(database, Registration);
        options.Names.Sync(folder);
        Publish(default);
    }

    /// <summary>Deletes the file and what SQLite keeps beside it. No connection may be open.</summary>
    public void Delete()
    {
        var folder = System.IO.Path.GetDirectoryName(Path)!;
        if (!Directory.Exists(folder))
            return;
        // The logs go last: without a database, a log alone is nothing. A file whose making was cut off may have a journal.
        foreach (var suffix in new[] { "", "-wal", "-journal", "-shm" })
            options.Names.Delete(Path + suffix);
        options.Names.Sync(folder);
    }

    private ShardWriter OpenWriter(int cacheKiB)
    {
        lock (_connections)
        {
            if (_writer is null)
            {
                _writer = new ShardWriter(Path, Registration, options, cacheKiB);
                Publish(_writer.Counts);
            }

            return _writer;
        }
    }

    private sealed record Counted(ShardCounts Value);
}
