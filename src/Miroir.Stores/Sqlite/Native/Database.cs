using System.Runtime.InteropServices;
using System.Text;

namespace Miroir.Stores.Sqlite.Native;

/// <summary>
/// One connection to one SQLite file, in WAL mode. Used by one thread at a time;
/// only <see cref="Interrupt"/> may be called from another.
/// </summary>
public sealed class Database : IDisposable
{
    private const int OpenReadOnly = 0x1;
    private const int OpenReadWrite = 0x2;
    private const int OpenCreate = 0x4;
    private const int OpenNoMutex = 0x8000;

    private readonly DatabaseHandle _handle;

    // Keeps the statements reachable for as long as the connection is: a finalizer must not end
    // one on its own thread while another thread uses the connection.
    private readonly List<Statement> _statements = [];

    private Statement? _begin;
    private Statement? _commit;
    private Statement? _rollback;

    private Database(DatabaseHandle handle, string file)
    {
        _handle = handle;
        File = file;
    }

    /// <summary>The path under which the file was opened.</summary>
    public string File { get; }

    /// <summary>True between <see cref="BeginImmediate"/> and the end of that transaction.</summary>
    public bool InTransaction => NativeMethods.sqlite3_get_autocommit(Pointer) == 0;

    /// <summary>Rows that the last INSERT, UPDATE or DELETE changed.</summary>
    public int Changes => NativeMethods.sqlite3_changes(Pointer);

    /// <summary>The rowid of the last INSERT into a rowid table.</summary>
    public long LastInsertRowId => NativeMethods.sqlite3_last_insert_rowid(Pointer);

    internal nint Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
            return _handle.DangerousGetHandle();
        }
    }

    /// <summary>Opens <paramref name="file"/> and puts it in WAL mode.</summary>
    /// <exception cref="SqliteException">The file can't be opened, or is no database.</exception>
    /// <exception cref="ArgumentException">An option or the path is out of its range.</exception>
    /// <exception cref="DllNotFoundException">There is no SQLite library.</exception>
    public static Database Open(string file, DatabaseOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(file);
        var chosen = options ?? new DatabaseOptions();
        chosen.Check();
        var database = Connect(file, chosen.Access, chosen.Vfs);
        try
        {
            database.Configure(chosen);
            return database;
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>Runs one or more statements without parameters; rows are passed over.</summary>
    public void Execute(string sql)
    {
        ArgumentNullException.ThrowIfNull(sql);
        ReadOnlySpan<byte> rest = Encoding.UTF8.GetBytes(sql);
        while (!rest.IsEmpty)
        {
            var statement = PrepareOne(rest, sql, persistent: false, out var consumed);
            rest = rest[consumed..];
            if (statement is null)
                continue;
            using (statement)
            {
                while (statement.Step()) { }
            }
        }
    }

    /// <summary>Compiles one statement, which lives until it or the connection is disposed.</summary>
    public Statement Prepare(string sql)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(sql);
        ReadOnlySpan<byte> utf8 = Encoding.UTF8.GetBytes(sql);
        var statement =
            PrepareOne(utf8, sql, persistent: true, out var consumed)
            ?? throw new ArgumentException("Expected an SQL statement, found only blanks or comments.", nameof(sql));
        if (!utf8[consumed..].Trim(" \t\r\n;"u8).IsEmpty)
        {
            statement.Dispose();
            throw new ArgumentException(
                $"Expected one SQL statement, found more after it: {sql}. Use Execute for several.",
                nameof(sql)
            );
        }

        return statement;
    }

    /// <summary>The first column of the first row as an integer; null when there is no row or it is NULL.</summary>
    public long? QueryInt64(string sql)
    {
        using var statement = Prepare(sql);
        return statement.Step() && !statement.IsNull(0) ? statement.Int64(0) : null;
    }

    /// <summary>The first column of the first row as a string; null when there is no row or it is NULL.</summary>
    public string? QueryText(string sql)
    {
        using var statement = Prepare(sql);
        return statement.Step() && !statement.IsNull(0) ? Encoding.UTF8.GetString(statement.Text(0)) : null;
    }

    /// <summary>Begins a transaction that takes the write lock at once, so that it can't fail for it later.</summary>
    public void BeginImmediate() => (_begin ??= Prepare("BEGIN IMMEDIATE")).Execute();

    /// <summary>Commits. Under <see cref="Synchronous.Full"/> it returns when the transaction is on the disk.</summary>
    public void Commit() => (_commit ??= Prepare("COMMIT")).Execute();

    /// <summary>
    /// Rolls back. Does nothing where SQLite has already done so by itself, as it may after a full
    /// disk or an input or output error.
    /// </summary>
    public void Rollback()
    {
        if (InTransaction)
            (_rollback ??= Prepare("ROLLBACK")).Execute();
    }

    /// <summary>
    /// Copies what it can of the write-ahead log into the file without waiting for readers.
    /// Returns the pages in the log and those of them that are copied.
    /// </summary>
    public (int LogPages, int CopiedPages) CheckpointPassive() => Checkpoint(0, "PRAGMA wal_checkpoint(PASSIVE)");

    /// <summary>
    /// Makes durable what the write-ahead log holds. A killed process may have left a commit that it never saw synced:
    /// it is in the operating system's memory, whoever opens the file reads it as done, and a power cut would take it.
    /// To be called before anything that is read is passed on as durable.
    /// </summary>
    /// <exception cref="SqliteException">Busy: other connections were at it for longer than the busy timeout.</exception>
    public void MakeLogDurable()
    {
        // A checkpoint syncs the log before it copies: https://www.sqlite.org/wal.html#checkpointing
        try
        {
            CheckpointPassive();
        }
        catch (SqliteException e) when (e.IsBusy)
        {
            // Another connection copies just now. This one waits for it.
            Checkpoint(1, "PRAGMA wal_checkpoint(FULL)");
        }
    }

    /// <summary>Waits for readers and writers (busy timeout), copies the whole log, and empties its file.</summary>
    /// <exception cref="SqliteException">Busy: a reader is still on an older snapshot.</exception>
    public void CheckpointTruncate() => Checkpoint(3, "PRAGMA wal_checkpoint(TRUNCATE)");

    /// <summary>Stops the statement that is running on this connection; it fails as interrupted. From any thread.</summary>
    public void Interrupt()
    {
        var held = false;
        try
        {
            _handle.DangerousAddRef(ref held);
            NativeMethods.sqlite3_interrupt(_handle.DangerousGetHandle());
        }
        finally
        {
            if (held)
                _handle.DangerousRelease();
        }
    }

    /// <summary>Ends the statements and closes the file. An open transaction is rolled back.</summary>
    public void Dispose()
    {
        if (_handle.IsClosed)
            return;
        for (var i = _statements.Count - 1; i >= 0; i--)
            _statements[i].Dispose();
        _handle.Dispose();
    }

    internal SqliteException Failure(int code, string? sql)
    {
        // The code of the call decides; the connection's message belongs to it only when they agree.
        var pointer = Pointer;
        var extended = NativeMethods.sqlite3_extended_errcode(pointer);
        var agrees = (extended & 0xFF) == (code & 0xFF);
        return new SqliteException(agrees ? extended : code, agrees ? MessageOf(pointer) : MessageOf(code), File, sql);
    }

    internal void Forget(Statement statement) => _statements.Remove(statement);

    private static unsafe Database Connect(string file, DatabaseAccess access, string? vfs)
    {
        var flags =
            OpenNoMutex
            | access switch
            {
                DatabaseAccess.Create => OpenReadWrite | OpenCreate,
                DatabaseAccess.Existing => OpenReadWrite,
                _ => OpenReadOnly,
            };
        nint pointer;
        int code;
        fixed (byte* name = NulTerminated(file))
        fixed (byte* vfsName = vfs is null ? null : NulTerminated(vfs))
            code = NativeMethods.sqlite3_open_v2(name, &pointer, flags, vfsName);
        if (code == SqliteResult.Ok)
        {
            _ = NativeMethods.sqlite3_extended_result_codes(pointer, 1);
            return new Database(new DatabaseHandle(pointer), file);
        }

        // A connection comes back from most failures too, and must be closed.
        var extended = pointer == 0 ? code : NativeMethods.sqlite3_extended_errcode(pointer);
        var message = pointer == 0 ? MessageOf(code) : MessageOf(pointer);
        _ = NativeMethods.sqlite3_close_v2(pointer);
        throw new SqliteException(extended, message, file, sql: null);
    }

    private void Configure(DatabaseOptions options)
    {
        Check(NativeMethods.sqlite3_busy_timeout(Pointer, options.BusyTimeoutMs), sql: null);
        if (options.Access != DatabaseAccess.ReadOnly)
        {
            Execute(FormattableString.Invariant($"PRAGMA page_size = {options.PageSizeBytes}"));
            var mode = QueryText("PRAGMA journal_mode = WAL");
            if (mode != "wal")
                throw new SqliteException(
                    SqliteResult.Error,
                    $"journal_mode is '{mode}' where 'wal' is needed; put the file on a disk with shared memory",
                    File,
                    "PRAGMA journal_mode = WAL"
                );
            Execute(
                FormattableString.Invariant(
                    $"""
                    PRAGMA synchronous = {(options.Synchronous == Synchronous.Full ? "FULL" : "NORMAL")};
                    PRAGMA wal_autocheckpoint = {options.WalAutoCheckpointPages};
                    PRAGMA journal_size_limit = {options.JournalSizeLimitBytes};
                    """
                )
            );
            if (options.MaxPageCount is { } pages)
                Execute(FormattableString.Invariant($"PRAGMA max_page_count = {pages}"));
        }

        Execute(
            FormattableString.Invariant(
                $"PRAGMA cache_size = -{options.CacheKiB}; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON"
            )
        );
    }

    private unsafe Statement? PrepareOne(ReadOnlySpan<byte> utf8, string sql, bool persistent, out int consumed)
    {
        const uint Persistent = 0x1;
        nint pointer;
        fixed (byte* start = utf8)
        {
            byte* tail;
            var code = NativeMethods.sqlite3_prepare_v3(
                Pointer,
                start,
                utf8.Length,
                persistent ? Persistent : 0,
                &pointer,
                &tail
            );
            Check(code, sql);
            consumed = (int)(tail - start);
        }

        if (pointer == 0)
            return null;
        var statement = new Statement(this, new StatementHandle(pointer), sql);
        _statements.Add(statement);
        return statement;
    }

    private unsafe (int LogPages, int CopiedPages) Checkpoint(int mode, string sql)
    {
        int log,
            copied;
        Check(NativeMethods.sqlite3_wal_checkpoint_v2(Pointer, null, mode, &log, &copied), sql);
        return (log, copied);
    }

    private void Check(int code, string? sql)
    {
        if (code != SqliteResult.Ok)
            throw Failure(code, sql);
    }

    private static byte[] NulTerminated(string text)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
        Encoding.UTF8.GetBytes(text, bytes);
        return bytes;
    }

    private static unsafe string MessageOf(nint database) =>
        Marshal.PtrToStringUTF8((nint)NativeMethods.sqlite3_errmsg(database)) ?? "no message";

    private static unsafe string MessageOf(int code) =>
        Marshal.PtrToStringUTF8((nint)NativeMethods.sqlite3_errstr(code)) ?? "no message";
}
