using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>Bounds of a <see cref="SqliteNodeStore"/>. The defaults suit a node with hundreds of shards.</summary>
public sealed record SqliteNodeStoreOptions
{
    /// <summary>What a commit waits for. Anything but Full may lose acknowledged writes with the power: for tests alone.</summary>
    public Synchronous Synchronous { get; init; } = Synchronous.Full;

    /// <summary>Pages of 4 KiB that one shard's file may have; puts beyond are refused as DiskFull. Null: no limit.</summary>
    public long? MaxPageCount { get; init; }

    /// <summary>MiB for the page caches of all shard files together.</summary>
    public int CacheBudgetMiB { get; init; } = 256;

    /// <summary>Pages in a shard file's write-ahead log after which a commit copies them into the file.</summary>
    public int WalAutoCheckpointPages { get; init; } = 4000;

    /// <summary>Bytes of a write-ahead log that stay allocated after a checkpoint.</summary>
    public long JournalSizeLimitBytes { get; init; } = 32L << 20;

    /// <summary>Shard files open at a time; the one that was idle for longest is closed for the next.</summary>
    public int MaxOpenFiles { get; init; } = 128;

    /// <summary>Threads that commit: so many files can sync at the same time.</summary>
    public int WriterThreads { get; init; } = 8;

    /// <summary>Reads and scan pages under way at a time; others wait for their turn.</summary>
    public int MaxConcurrentReads { get; init; } = 8;

    /// <summary>Puts in one transaction at most.</summary>
    public int MaxGroupPuts { get; init; } = 2000;

    /// <summary>Bytes of bodies after which a transaction takes no further put.</summary>
    public long MaxGroupBytes { get; init; } = 4L << 20;

    /// <summary>Puts that may wait for one shard's file; further calls are refused as Overloaded.</summary>
    public int MaxQueuedPuts { get; init; } = 20_000;

    /// <summary>Bytes of bodies that may wait for one shard's file; further calls are refused as Overloaded.</summary>
    public long MaxQueuedBytes { get; init; } = 64L << 20;

    /// <summary>
    /// How long a shard's file that is written keeps its stamp: a file replaced by a copy of itself is known for one at the
    /// next start, unless the copy was made under the last stamp.
    /// </summary>
    public TimeSpan RestampInterval { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How much of each store's change log is kept.</summary>
    public ChangeRetention Changes { get; init; } = new();

    /// <summary>Takes one line for each thing that an operator should know.</summary>
    public Action<string> Log { get; init; } = static _ => { };

    /// <summary>How long closing waits for calls that are under way.</summary>
    public TimeSpan CloseTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The registered SQLite VFS that opens every file; null: SQLite's own.</summary>
    internal string? Vfs { get; init; }

    /// <summary>What happens to names of files outside SQLite.</summary>
    internal IFileNames Names { get; init; } = SystemFileNames.Instance;

    internal void Check()
    {
        AtLeastOne(nameof(CacheBudgetMiB), CacheBudgetMiB);
        AtLeastOne(nameof(WalAutoCheckpointPages), WalAutoCheckpointPages);
        AtLeastOne(nameof(MaxOpenFiles), MaxOpenFiles);
        AtLeastOne(nameof(WriterThreads), WriterThreads);
        AtLeastOne(nameof(MaxConcurrentReads), MaxConcurrentReads);
        AtLeastOne(nameof(MaxGroupPuts), MaxGroupPuts);
        AtLeastOne(nameof(MaxGroupBytes), MaxGroupBytes);
        AtLeastOne(nameof(MaxQueuedPuts), MaxQueuedPuts);
        AtLeastOne(nameof(MaxQueuedBytes), MaxQueuedBytes);
        Changes.Check();
        AtLeastOne(nameof(RestampInterval), (long)RestampInterval.TotalMilliseconds);
    }

    /// <summary>False only to measure what keeping them costs: such a store can be compared with none.</summary>
    internal bool KeepsLeafDigests { get; init; } = true;

    /// <summary>False only to measure what keeping it costs: such a store's change feed lacks what was written.</summary>
    internal bool KeepsChangeLog { get; init; } = true;

    internal DatabaseOptions Writer(DatabaseAccess access, int cacheKiB) =>
        new()
        {
            Access = access,
            Synchronous = Core.Mutants.syncLeftOut() ? Synchronous.Normal : Synchronous,
            MaxPageCount = MaxPageCount,
            CacheKiB = cacheKiB,
            WalAutoCheckpointPages = WalAutoCheckpointPages,
            JournalSizeLimitBytes = JournalSizeLimitBytes,
            Vfs = Vfs,
        };

    private static void AtLeastOne(string name, long value)
    {
        if (value < 1)
            throw new ArgumentOutOfRangeException(name, value, $"{name} must be 1 or more.");
    }
}
