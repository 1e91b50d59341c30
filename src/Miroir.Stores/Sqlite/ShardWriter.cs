using System.Buffers.Binary;
using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>Live documents, tombstones, and bytes of bodies.</summary>
internal readonly record struct ShardCounts(long Documents, long Tombstones, long BodyBytes);

/// <summary>
/// The one connection that writes to a shard's file. Used by one thread at a time, in transactions: Begin, puts, Commit;
/// Rollback after any failure.
/// </summary>
internal sealed class ShardWriter : IDisposable
{
    private static readonly PutReply AppliedOverNothing = PutReply.NewApplied(false);
    private static readonly PutReply AppliedOverLive = PutReply.NewApplied(true);

    private readonly Database _database;
    private readonly Statement _insertEntry;
    private readonly Statement _insertBody;
    private readonly Statement _selectEntry;
    private readonly Statement _updateEntry;
    private readonly Statement _updateBody;
    private readonly Statement _deleteBody;
    private readonly Statement _updateCounters;
    private int _cacheKiB;
    private long _nextBody;
    private long _committedNextBody;
    private ShardCounts _counts;

    public ShardWriter(string path, StoreRegistration store, SqliteNodeStoreOptions options, int cacheKiB)
    {
        _database = Database.Open(path, options.Writer(DatabaseAccess.Existing, cacheKiB));
        _cacheKiB = cacheKiB;
        try
        {
            _database.MakeLogDurable();
            ShardSchema.Check(_database, store);
            // A group is bounded: better to keep it in memory than to write its pages twice.
            _database.Execute("PRAGMA cache_spill = OFF");
            _insertEntry = _database.Prepare(
                """
                INSERT INTO entries(hash, key, term, clock, deleted, digest, op, origin, body)
                VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING
                """
            );
            _insertBody = _database.Prepare("INSERT INTO bodies(id, body) VALUES(?1, ?2)");
            _selectEntry = _database.Prepare(
                """
                SELECT term, clock, deleted, body, (SELECT length(CAST(body AS BLOB)) FROM bodies WHERE id = entries.body)
                FROM entries WHERE hash = ?1 AND key = ?2
                """
            );
            _updateEntry = _database.Prepare(
                """
                UPDATE entries SET term = ?3, clock = ?4, deleted = ?5, digest = ?6, op = ?7, origin = ?8, body = ?9
                WHERE hash = ?1 AND key = ?2
                """
            );
            _updateBody = _database.Prepare("UPDATE bodies SET body = ?2 WHERE id = ?1");
            _deleteBody = _database.Prepare("DELETE FROM bodies WHERE id = ?1");
            _updateCounters = _database.Prepare(
                "UPDATE counters SET documents = ?1, tombstones = ?2, body_bytes = ?3 WHERE id = 1"
            );
            using var counters = _database.Prepare("SELECT documents, tombstones, body_bytes FROM counters");
            if (!counters.Step())
                throw new InvalidDataException($"'{path}' has no counters.");
            Counts = _counts = new(counters.Int64(0), counters.Int64(1), counters.Int64(2));
            _nextBody = _committedNextBody = (_database.QueryInt64("SELECT max(id) FROM bodies") ?? 0) + 1;
        }
        catch
        {
            _database.Dispose();
            throw;
        }
    }

    /// <summary>What is committed.</summary>
    public ShardCounts Counts { get; private set; }

    public void SetCache(int cacheKiB)
    {
        if (cacheKiB == _cacheKiB)
            return;
        _database.Execute(FormattableString.Invariant($"PRAGMA cache_size = -{cacheKiB}"));
        _cacheKiB = cacheKiB;
    }

    public void Begin() => _database.BeginImmediate();

    /// <summary>Stores the document where its version is the greater one.</summary>
    public PutReply Put(Document document)
    {
        // Most puts are of keys not seen before, all of them while a store is filled: the insert itself finds out.
        Bind(_insertEntry, document.Entry, document.IsTombstone ? null : _nextBody).Execute();
        if (_database.Changes == 0)
            return PutOverStored(document);
        if (!document.IsTombstone)
            InsertBody(document);
        Count(document.IsTombstone, document.Body.Length, 1);
        return AppliedOverNothing;
    }

    /// <summary>On the disk when it returns.</summary>
    public void Commit()
    {
        if (_counts != Counts)
            _updateCounters.Bind(1, _counts.Documents).Bind(2, _counts.Tombstones).Bind(3, _counts.BodyBytes).Execute();
        _database.Commit();
        Counts = _counts;
        _committedNextBody = _nextBody;
    }

    public void Rollback()
    {
        _counts = Counts;
        _nextBody = _committedNextBody;
        _database.Rollback();
    }

    public void Dispose() => _database.Dispose();

    private PutReply PutOverStored(Document document)
    {
        _selectEntry.Bind(1, ShardSchema.ToStored(document.Key.Hash)).BindText(2, document.Key.Span);
        if (!_selectEntry.Step())
            throw new InvalidDataException($"'{_database.File}' has and has not an entry of key \"{document.Key}\".");
        var stored = new DocumentVersion(_selectEntry.Int64(0), _selectEntry.Int64(1));
        var wasDeleted = _selectEntry.Int64(2) != 0;
        var body = _selectEntry.IsNull(3) ? (long?)null : _selectEntry.Int64(3);
        var storedBytes = _selectEntry.Int64(4);
        _selectEntry.Reset();
        if (document.Version.CompareTo(stored) <= 0)
            return PutReply.NewSuperseded(stored);

        Bind(_updateEntry, document.Entry, document.IsTombstone ? null : body ?? _nextBody).Execute();
        if (!document.IsTombstone && body is null)
            InsertBody(document);
        else if (!document.IsTombstone)
            _updateBody.Bind(1, body!.Value).ExecuteWithText(2, document.Body.Span);
        else if (body is { } old)
            _deleteBody.Bind(1, old).Execute();
        Count(wasDeleted, storedBytes, -1);
        Count(document.IsTombstone, document.Body.Length, 1);
        return wasDeleted ? AppliedOverNothing : AppliedOverLive;
    }

    private void InsertBody(Document document) =>
        _insertBody.Bind(1, _nextBody++).ExecuteWithText(2, document.Body.Span);

    private static Statement Bind(Statement statement, Entry entry, long? body)
    {
        Span<byte> digest = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(digest, entry.Digest.A);
        BinaryPrimitives.WriteUInt64BigEndian(digest[8..], entry.Digest.B);
        Span<byte> operation = stackalloc byte[16];
        entry.OperationId.TryWriteBytes(operation, bigEndian: true, out _);
        statement
            .Bind(1, ShardSchema.ToStored(entry.Key.Hash))
            .BindText(2, entry.Key.Span)
            .Bind(3, entry.Version.Term)
            .Bind(4, entry.Version.Clock)
            .Bind(5, entry.IsTombstone ? 1 : 0)
            .BindBlob(6, digest)
            .BindBlob(7, operation)
            .Bind(8, (long)entry.Origin);
        return body is { } id ? statement.Bind(9, id) : statement.BindNull(9);
    }

    private void Count(bool isTombstone, long bodyBytes, int sign) =>
        _counts = isTombstone
            ? _counts with
            {
                Tombstones = _counts.Tombstones + sign,
            }
            : _counts with
            {
                Documents = _counts.Documents + sign,
                BodyBytes = _counts.BodyBytes + sign * bodyBytes,
            };
}
