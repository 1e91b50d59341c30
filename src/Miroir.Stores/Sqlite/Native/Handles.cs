using System.Runtime.InteropServices;

namespace Miroir.Stores.Sqlite.Native;

/// <summary>Owns a <c>sqlite3*</c>. <c>sqlite3_close_v2</c> waits for the last statement by itself.</summary>
internal sealed class DatabaseHandle : SafeHandle
{
    public DatabaseHandle(nint database)
        : base(0, ownsHandle: true) => SetHandle(database);

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle() => NativeMethods.sqlite3_close_v2(handle) == SqliteResult.Ok;
}

/// <summary>Owns a <c>sqlite3_stmt*</c>.</summary>
internal sealed class StatementHandle : SafeHandle
{
    public StatementHandle(nint statement)
        : base(0, ownsHandle: true) => SetHandle(statement);

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        // Its result repeats the error of the last step, which was reported then.
        _ = NativeMethods.sqlite3_finalize(handle);
        return true;
    }
}
