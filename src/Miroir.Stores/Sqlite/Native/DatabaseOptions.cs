namespace Miroir.Stores.Sqlite.Native;

/// <summary>How a database file is opened.</summary>
public enum DatabaseAccess
{
    /// <summary>Read and write; the file is made when it is absent.</summary>
    Create,

    /// <summary>Read and write; an absent file is an error.</summary>
    Existing,

    /// <summary>Read only; an absent file is an error.</summary>
    ReadOnly,
}

/// <summary>What <c>PRAGMA synchronous</c> promises in WAL mode.</summary>
public enum Synchronous
{
    /// <summary>A commit may vanish with the power; the file stays whole. For caches and throwaways alone.</summary>
    Normal,

    /// <summary>A commit is on the disk before it returns.</summary>
    Full,
}

/// <summary>Settings of one connection. The defaults are those of durable data.</summary>
public sealed record DatabaseOptions
{
    /// <summary>How the file is opened.</summary>
    public DatabaseAccess Access { get; init; } = DatabaseAccess.Create;

    /// <summary>Bytes of a page: a power of two from 512 to 65536. Counts when the file is made, never later.</summary>
    public int PageSizeBytes { get; init; } = 4096;

    /// <summary>What a commit waits for.</summary>
    public Synchronous Synchronous { get; init; } = Synchronous.Full;

    /// <summary>How long a locked file is waited for before SQLITE_BUSY, in milliseconds.</summary>
    public int BusyTimeoutMs { get; init; } = 5000;

    /// <summary>Pages that the file may have; a write beyond is SQLITE_FULL. Null: SQLite's own limit.</summary>
    public long? MaxPageCount { get; init; }

    /// <summary>Pages in the write-ahead log after which a commit copies them into the file; 0: never by itself.</summary>
    public int WalAutoCheckpointPages { get; init; } = 1000;

    /// <summary>The page cache of this connection, in KiB.</summary>
    public int CacheKiB { get; init; } = 2048;

    /// <summary>Bytes of the write-ahead log file that are kept after a checkpoint has emptied it.</summary>
    public long JournalSizeLimitBytes { get; init; } = 64L << 20;

    /// <summary>The name of a registered SQLite VFS, through which the files are reached; null: SQLite's own.</summary>
    public string? Vfs { get; init; }

    internal void Check()
    {
        if (PageSizeBytes is < 512 or > 65536 || (PageSizeBytes & (PageSizeBytes - 1)) != 0)
            throw Wrong(nameof(PageSizeBytes), PageSizeBytes, "a power of two from 512 to 65536");
        if (BusyTimeoutMs < 0)
            throw Wrong(nameof(BusyTimeoutMs), BusyTimeoutMs, "0 or more milliseconds");
        if (MaxPageCount is < 1 or > 4294967294)
            throw Wrong(nameof(MaxPageCount), MaxPageCount, "1 to 4294967294 pages, or null");
        if (WalAutoCheckpointPages < 0)
            throw Wrong(nameof(WalAutoCheckpointPages), WalAutoCheckpointPages, "0 or more pages");
        if (CacheKiB < 1)
            throw Wrong(nameof(CacheKiB), CacheKiB, "1 KiB or more");
        if (JournalSizeLimitBytes < 0)
            throw Wrong(nameof(JournalSizeLimitBytes), JournalSizeLimitBytes, "0 or more bytes");
    }

    private static ArgumentOutOfRangeException Wrong(string name, object? value, string expected) =>
        new(name, value, $"{name} must be {expected}.");
}
