namespace Miroir.Stores.Sqlite.Native;

/// <summary>The storage class of a value in a row, as SQLite numbers them.</summary>
public enum SqliteType
{
    /// <summary>A signed 64-bit integer.</summary>
    Integer = 1,

    /// <summary>A 64-bit floating point number.</summary>
    Real = 2,

    /// <summary>UTF-8 text.</summary>
    Text = 3,

    /// <summary>Bytes.</summary>
    Blob = 4,

    /// <summary>NULL.</summary>
    Null = 5,
}

/// <summary>
/// A compiled statement: bind (parameters from 1), step, read (columns from 0), reset. Used by the
/// thread that uses its connection. Binding, stepping and reading allocate nothing on the managed heap.
/// </summary>
public sealed class Statement : IDisposable
{
    private static readonly byte[] NoBytes = [0];

    // Asks SQLite to copy what is bound before the call returns.
    private const nint Transient = -1;

    // Promises SQLite that what is bound stays where it is for as long as it is bound.
    private const nint Static = 0;

    private readonly Database _database;
    private readonly StatementHandle _handle;
    private readonly int _columnCount;
    private bool _onRow;

    internal Statement(Database database, StatementHandle handle, string sql)
    {
        _database = database;
        _handle = handle;
        Sql = sql;
        _columnCount = NativeMethods.sqlite3_column_count(handle.DangerousGetHandle());
        ParameterCount = NativeMethods.sqlite3_bind_parameter_count(handle.DangerousGetHandle());
    }

    /// <summary>The text that was compiled.</summary>
    public string Sql { get; }

    /// <summary>The number of parameters to bind.</summary>
    public int ParameterCount { get; }

    // The connection keeps every statement that isn't disposed reachable, so the handle can't be
    // released under a call: the raw pointer saves two interlocked operations for each.
    private nint Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
            return _handle.DangerousGetHandle();
        }
    }

    /// <summary>Binds an integer.</summary>
    public Statement Bind(int parameter, long value)
    {
        Check(NativeMethods.sqlite3_bind_int64(Pointer, parameter, value));
        return this;
    }

    /// <summary>Binds NULL.</summary>
    public Statement BindNull(int parameter)
    {
        Check(NativeMethods.sqlite3_bind_null(Pointer, parameter));
        return this;
    }

    /// <summary>Binds bytes, which SQLite copies. An empty span is an empty blob, never NULL.</summary>
    public unsafe Statement BindBlob(int parameter, ReadOnlySpan<byte> value)
    {
        fixed (byte* bytes = value.IsEmpty ? NoBytes : value)
            Check(NativeMethods.sqlite3_bind_blob(Pointer, parameter, bytes, value.Length, Transient));
        return this;
    }

    /// <summary>Binds text given as UTF-8, which SQLite copies. An empty span is an empty text, never NULL.</summary>
    public unsafe Statement BindText(int parameter, ReadOnlySpan<byte> utf8)
    {
        fixed (byte* bytes = utf8.IsEmpty ? NoBytes : utf8)
            Check(NativeMethods.sqlite3_bind_text(Pointer, parameter, bytes, utf8.Length, Transient));
        return this;
    }

    /// <summary>
    /// Goes to the next row: true on a row, false at the end, where the statement is reset and may be
    /// bound and stepped again.
    /// </summary>
    /// <exception cref="SqliteException">The statement failed; it is reset.</exception>
    public bool Step()
    {
        var code = NativeMethods.sqlite3_step(Pointer);
        if (code == SqliteResult.Row)
            return _onRow = true;
        var failure = code == SqliteResult.Done ? null : _database.Failure(code, Sql);
        Reset();
        return failure is null ? false : throw failure;
    }

    /// <summary>Steps to the end, passing over rows.</summary>
    public void Execute()
    {
        while (Step()) { }
    }

    /// <summary>
    /// Steps to the end with a text bound that SQLite reads where it stands, for this run alone: large ones are not
    /// copied on the way into their pages. The parameter is NULL afterwards.
    /// </summary>
    public unsafe void ExecuteWithText(int parameter, ReadOnlySpan<byte> utf8)
    {
        fixed (byte* bytes = utf8.IsEmpty ? NoBytes : utf8)
        {
            Check(NativeMethods.sqlite3_bind_text(Pointer, parameter, bytes, utf8.Length, Static));
            try
            {
                Execute();
            }
            finally
            {
                // The statement must not remember what is free to move now.
                _ = NativeMethods.sqlite3_bind_null(Pointer, parameter);
            }
        }
    }

    /// <summary>
    /// Ends the current run, which ends its read snapshot where it is not in a transaction.
    /// What is bound stays bound.
    /// </summary>
    public void Reset()
    {
        _onRow = false;
        // Its result repeats the error of the last step, which was reported then.
        _ = NativeMethods.sqlite3_reset(Pointer);
    }

    /// <summary>The storage class of a column of the current row.</summary>
    public SqliteType Type(int column) => (SqliteType)NativeMethods.sqlite3_column_type(OnRow(column), column);

    /// <summary>Whether a column of the current row is NULL.</summary>
    public bool IsNull(int column) => Type(column) == SqliteType.Null;

    /// <summary>A column of the current row as an integer; 0 for NULL.</summary>
    public long Int64(int column) => NativeMethods.sqlite3_column_int64(OnRow(column), column);

    /// <summary>
    /// The bytes of a blob or of a text (as UTF-8) of the current row; empty for NULL. They are
    /// SQLite's own: valid until the next call of Step, Reset or Dispose.
    /// </summary>
    public unsafe ReadOnlySpan<byte> Blob(int column)
    {
        var pointer = OnRow(column);
        var bytes = NativeMethods.sqlite3_column_blob(pointer, column);
        return bytes is null ? [] : new(bytes, NativeMethods.sqlite3_column_bytes(pointer, column));
    }

    /// <summary>
    /// A column of the current row as UTF-8 text, numbers written out; empty for NULL. Valid until
    /// the next call of Step, Reset or Dispose.
    /// </summary>
    public unsafe ReadOnlySpan<byte> Text(int column)
    {
        var pointer = OnRow(column);
        var bytes = NativeMethods.sqlite3_column_text(pointer, column);
        return bytes is null ? [] : new(bytes, NativeMethods.sqlite3_column_bytes(pointer, column));
    }

    /// <summary>Ends the statement.</summary>
    public void Dispose()
    {
        if (_handle.IsClosed)
            return;
        _onRow = false;
        _handle.Dispose();
        _database.Forget(this);
    }

    private nint OnRow(int column)
    {
        if (!_onRow)
            throw new InvalidOperationException($"There is no current row: Step has not returned true. SQL: {Sql}");
        if ((uint)column >= (uint)_columnCount)
            throw new ArgumentOutOfRangeException(
                nameof(column),
                column,
                FormattableString.Invariant($"Expected a column from 0 to {_columnCount - 1}. SQL: {Sql}")
            );
        return Pointer;
    }

    private void Check(int code)
    {
        if (code != SqliteResult.Ok)
            throw _database.Failure(code, Sql);
    }
}
