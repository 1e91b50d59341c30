using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>What SQLite's failures mean to those who asked.</summary>
internal static class Refusals
{
    // SQLITE_IOERR_SHMSIZE: the shared memory beside the file could not grow, which is a full disk too.
    private const int SharedMemorySize = SqliteResult.IoError | (19 << 8);

    public static Refusal Of(Exception cause) =>
        cause switch
        {
            SqliteException { IsFull: true } full => new(
                RefusalCode.DiskFull,
                $"{full.Message}. Nothing of this was stored: free space on the node's disk, or move shards away"
            ),
            SqliteException { ExtendedCode: SharedMemorySize } full => new(RefusalCode.DiskFull, full.Message),
            SqliteException { IsCorrupt: true } corrupt => new(RefusalCode.Corrupt, corrupt.Message),
            SqliteException { Code: SqliteResult.CannotOpen } gone => new(RefusalCode.Corrupt, gone.Message),
            SqliteException { IsBusy: true } busy => new(RefusalCode.Overloaded, busy.Message),
            ShardFileException damaged => new(RefusalCode.Corrupt, damaged.Message),
            _ => new(RefusalCode.Failed, cause.Message),
        };

    public static Refusal WrongShard(Key key, ShardId store, HashRange range) =>
        new(
            RefusalCode.WrongShard,
            $"key \"{key}\" (hash {key.Hash:x16}) is not in store {store}, which holds {range}: look the key up in the newest routing table"
        );

    public static Refusal Overloaded(ShardId store, int waiting) =>
        new(
            RefusalCode.Overloaded,
            $"{waiting} puts wait for the disk in store {store} already: try again later, or write more slowly"
        );
}
