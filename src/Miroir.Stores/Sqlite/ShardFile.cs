using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// One store of the node: its registration, its file, and the connections to it while it is open. Connections are touched
/// only by those who have entered the file through <see cref="ShardFiles"/>.
/// </summary>
internal sealed class ShardFile(
    StoreRegistration registration,
    string path,
    SqliteNodeStoreOptions options,
    Sessions sessions,
    FeedCounters counters,
    StoreHealth health
)
{
    private const int MaxIdleReaders = 2;

    private readonly Lock _connections = new();
    private readonly Stack<ShardReader> _idleReaders = new();
    private ShardWriter? _writer;
    private long _failedPuts;
    private Counted? _counts;
    private long? _stampedAtMs;
    private volatile bool _isKnown;

    public StoreRegistration Registration { get; } = registration;

    public string Path { get; } = path;

    public long FailedPuts => Interlocked.Read(ref _failedPuts);

    /// <summary>What was committed last; null while the file was never opened.</summary>
    public ShardCounts? Counts => Volatile.Read(ref _counts)?.Value;

    /// <summary>Changed by <see cref="ShardFiles"/> alone.</summary>
    public StoreHealth Health => _health;

    /// <summary>The file was opened in this process's life, and was the one written last.</summary>
    public bool IsKnown => _isKnown;

    /// <summary>Whether its puts are taken: a store that is being filled takes those of who fills it.</summary>
    public bool Takes(Document document) =>
        Health == StoreHealth.Serving || (Health == StoreHealth.Filling && document.Entry.Origin == Origin.Migration);

    internal volatile StoreHealth _health = health;

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
        if (IsStampDue)
            Stamp(writer);
        return writer;
    }

    /// <summary>Of the open file.</summary>
    public CommittedDigests Digests
    {
        get
        {
            lock (_connections)
                return _writer?.Digests ?? throw new InvalidOperationException($"'{Path}' is not open");
        }
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

    /// <summary>
    /// Renames the file, and the log beside it, so that it can be looked at later and stands in nobody's way. No connection
    /// may be open. Does nothing where it is gone.
    /// </summary>
    public void SetAside()
    {
        var folder = System.IO.Path.GetDirectoryName(Path)!;
        if (!Directory.Exists(folder))
            return;
        var aside = FormattableString.Invariant($"{Path}.quarantined-{Registration.Incarnation:n}");
        options.Names.Delete(Path + "-shm");
        // The log first: where this is cut off, the file's turn comes when the node is opened again.
        foreach (var suffix in new[] { "-wal", "-journal", "" })
        {
            if (File.Exists(Path + suffix))
                options.Names.Move(Path + suffix, aside + suffix);
        }

        options.Names.Sync(folder);
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
                var writer = new ShardWriter(Path, Registration, options, sessions, counters, cacheKiB);
                try
                {
                    if (IsStampDue)
                        Stamp(writer);
                }
                catch
                {
                    writer.Dispose();
                    throw;
                }

                _isKnown = true;
                _writer = writer;
                Publish(_writer.Counts);
            }

            return _writer;
        }
    }

    private bool IsStampDue =>
        _stampedAtMs is not { } at || Environment.TickCount64 - at > options.RestampInterval.TotalMilliseconds;

    private void Stamp(ShardWriter writer)
    {
        // Where it can't be given now, it is tried again when the next one is due.
        writer.Stamp(Registration.Store, sessions);
        _stampedAtMs = Environment.TickCount64;
    }

    private sealed record Counted(ShardCounts Value);
}
