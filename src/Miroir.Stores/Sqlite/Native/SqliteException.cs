namespace Miroir.Stores.Sqlite.Native;

/// <summary>An error that SQLite reported, with the file and the SQL that met it.</summary>
public sealed class SqliteException : Exception
{
    internal SqliteException(int extendedCode, string detail, string file, string? sql)
        : base(Describe(extendedCode, detail, file, sql))
    {
        ExtendedCode = extendedCode;
        Detail = detail;
        File = file;
        Sql = sql;
    }

    /// <summary>SQLite's extended result code.</summary>
    public int ExtendedCode { get; }

    /// <summary>SQLite's primary result code, one of <see cref="SqliteResult"/>.</summary>
    public int Code => ExtendedCode & 0xFF;

    /// <summary>SQLite's own message.</summary>
    public string Detail { get; }

    /// <summary>The path of the database file.</summary>
    public string File { get; }

    /// <summary>The statement that failed; null where there was none, as in opening.</summary>
    public string? Sql { get; }

    /// <summary>The disk is full or the file has reached its page limit. What was committed before is intact.</summary>
    public bool IsFull => Code == SqliteResult.Full;

    /// <summary>Another connection held a lock for longer than the busy timeout; the same call may succeed later.</summary>
    public bool IsBusy => Code is SqliteResult.Busy or SqliteResult.Locked;

    /// <summary>The file is damaged or no database: nothing in it can be trusted.</summary>
    public bool IsCorrupt => Code is SqliteResult.Corrupt or SqliteResult.NotADatabase;

    /// <summary>The operating system refused a read, a write or a sync.</summary>
    public bool IsIoError => Code is SqliteResult.IoError or SqliteResult.CannotOpen;

    /// <summary>The statement was stopped by <see cref="Database.Interrupt"/>.</summary>
    public bool IsInterrupted => Code == SqliteResult.Interrupted;

    private static string Describe(int code, string detail, string file, string? sql)
    {
        var at = sql is null ? "" : $" in: {(sql.Length <= 500 ? sql : sql[..500] + "...")}";
        return FormattableString.Invariant($"SQLite error {code & 0xFF} (extended {code}) on '{file}': {detail}{at}");
    }
}
