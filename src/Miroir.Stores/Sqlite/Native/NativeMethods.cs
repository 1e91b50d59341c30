using System.Runtime.InteropServices;

namespace Miroir.Stores.Sqlite.Native;

/// <summary>The part of SQLite's C interface that Miroir uses, as it stands in sqlite3.h.</summary>
internal static unsafe partial class NativeMethods
{
    private const string Library = SqliteLibrary.ImportName;

    static NativeMethods() => SqliteLibrary.Register(typeof(NativeMethods).Assembly);

    [LibraryImport(Library)]
    internal static partial int sqlite3_open_v2(byte* fileName, nint* database, int flags, byte* vfs);

    [LibraryImport(Library)]
    internal static partial int sqlite3_close_v2(nint database);

    [LibraryImport(Library)]
    internal static partial int sqlite3_extended_result_codes(nint database, int onOff);

    [LibraryImport(Library)]
    internal static partial int sqlite3_extended_errcode(nint database);

    [LibraryImport(Library)]
    internal static partial byte* sqlite3_errmsg(nint database);

    [LibraryImport(Library)]
    internal static partial byte* sqlite3_errstr(int resultCode);

    [LibraryImport(Library)]
    internal static partial int sqlite3_busy_timeout(nint database, int milliseconds);

    [LibraryImport(Library)]
    internal static partial void sqlite3_interrupt(nint database);

    [LibraryImport(Library)]
    internal static partial int sqlite3_get_autocommit(nint database);

    [LibraryImport(Library)]
    internal static partial long sqlite3_last_insert_rowid(nint database);

    [LibraryImport(Library)]
    internal static partial int sqlite3_changes(nint database);

    [LibraryImport(Library)]
    internal static partial int sqlite3_wal_checkpoint_v2(
        nint database,
        byte* schema,
        int mode,
        int* logFrames,
        int* checkpointedFrames
    );

    [LibraryImport(Library)]
    internal static partial int sqlite3_prepare_v3(
        nint database,
        byte* sql,
        int byteCount,
        uint flags,
        nint* statement,
        byte** tail
    );

    [LibraryImport(Library)]
    internal static partial int sqlite3_finalize(nint statement);

    [LibraryImport(Library)]
    internal static partial int sqlite3_step(nint statement);

    [LibraryImport(Library)]
    internal static partial int sqlite3_reset(nint statement);

    [LibraryImport(Library)]
    internal static partial int sqlite3_bind_parameter_count(nint statement);

    [LibraryImport(Library)]
    internal static partial int sqlite3_bind_null(nint statement, int index);

    [LibraryImport(Library)]
    internal static partial int sqlite3_bind_int64(nint statement, int index, long value);

    [LibraryImport(Library)]
    internal static partial int sqlite3_bind_blob(
        nint statement,
        int index,
        byte* bytes,
        int byteCount,
        nint destructor
    );

    [LibraryImport(Library)]
    internal static partial int sqlite3_bind_text(
        nint statement,
        int index,
        byte* utf8,
        int byteCount,
        nint destructor
    );

    [LibraryImport(Library)]
    internal static partial int sqlite3_column_count(nint statement);

    [LibraryImport(Library)]
    internal static partial int sqlite3_column_type(nint statement, int column);

    [LibraryImport(Library)]
    internal static partial long sqlite3_column_int64(nint statement, int column);

    [LibraryImport(Library)]
    internal static partial byte* sqlite3_column_blob(nint statement, int column);

    [LibraryImport(Library)]
    internal static partial byte* sqlite3_column_text(nint statement, int column);

    [LibraryImport(Library)]
    internal static partial int sqlite3_column_bytes(nint statement, int column);
}
