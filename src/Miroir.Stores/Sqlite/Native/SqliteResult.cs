namespace Miroir.Stores.Sqlite.Native;

/// <summary>
/// SQLite's primary result codes that Miroir tells apart; the low byte of an extended code
/// (https://www.sqlite.org/rescode.html).
/// </summary>
public static class SqliteResult
{
    /// <summary>Success.</summary>
    public const int Ok = 0;

    /// <summary>A generic error: mostly SQL that can't be compiled.</summary>
    public const int Error = 1;

    /// <summary>Another connection holds the lock, and the busy timeout is over.</summary>
    public const int Busy = 5;

    /// <summary>A table is locked within this connection or a shared cache.</summary>
    public const int Locked = 6;

    /// <summary>Memory could not be had.</summary>
    public const int NoMemory = 7;

    /// <summary>The file or the connection admits no writes.</summary>
    public const int ReadOnly = 8;

    /// <summary>The operation was interrupted by <see cref="Database.Interrupt"/>.</summary>
    public const int Interrupted = 9;

    /// <summary>The operating system reported an input or output error.</summary>
    public const int IoError = 10;

    /// <summary>The file is damaged.</summary>
    public const int Corrupt = 11;

    /// <summary>The disk is full, or the file has reached <c>max_page_count</c>.</summary>
    public const int Full = 13;

    /// <summary>The file could not be opened.</summary>
    public const int CannotOpen = 14;

    /// <summary>A string or a blob is too big.</summary>
    public const int TooBig = 18;

    /// <summary>A constraint does not hold.</summary>
    public const int Constraint = 19;

    /// <summary>The interface was used out of order.</summary>
    public const int Misuse = 21;

    /// <summary>A parameter index is out of range.</summary>
    public const int Range = 25;

    /// <summary>The file is not a database.</summary>
    public const int NotADatabase = 26;

    internal const int Row = 100;
    internal const int Done = 101;
}
