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
    private readonly Statement _deleteEntry;
    private readonly LeafTable _leaves;
    private readonly ChangeTable _log;
    private DocumentVersion? _newFloor;
    private int _cacheKiB;
    private long _nextBody;
    private long _committedNextBody;
    private ShardCounts _counts;

    public ShardWriter(
        string path,
        StoreRegistration store,
        SqliteNodeStoreOptions options,
        Sessions sessions,
        FeedCounters counters,
        int cacheKiB
    )
    {
        _database = Database.Open(path, options.Writer(DatabaseAccess.Existing, cacheKiB));
        _cacheKiB = cacheKiB;
        try
        {
            _database.MakeLogDurable();
            ShardSchema.Check(_database, store, sessions);
            ShardSchema.Upgrade(_database);
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
                SELECT term, clock, deleted, body, (SELECT length(CAST(body AS BLOB)) FROM bodies WHERE id = entries.body),
                    digest
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
            _deleteEntry = _database.Prepare("DELETE FROM entries WHERE hash = ?1 AND key = ?2");
            Digests = new CommittedDigests(store.Range) { Floor = ShardSchema.Floor(_database) };
            _leaves = new LeafTable(_database, Digests) { IsKept = options.KeepsLeafDigests };
            _log = new ChangeTable(_database, options.Changes, counters) { IsKept = options.KeepsChangeLog };
            using var stored = _database.Prepare("SELECT documents, tombstones, body_bytes FROM counters");
            if (!stored.Step())
                throw new DamagedFileException($"'{path}' has no counters.");
            Counts = _counts = new(stored.Int64(0), stored.Int64(1), stored.Int64(2));
            _nextBody = _committedNextBody = (_database.QueryInt64("SELECT max(id) FROM bodies") ?? 0) + 1;
        }
        catch (SqliteException e) when (e.Code == SqliteResult.Error)
        {
            _database.Dispose();
            throw new DamagedFileException($"'{path}' does not have a shard file's tables: {e.Message}");
        }
        catch
        {
            _database.Dispose();
            throw;
        }
    }

    /// <summary>What is committed.</summary>
    public ShardCounts Counts { get; private set; }

    /// <summary>What is committed of the leaf digests, and the floor.</summary>
    public CommittedDigests Digests { get; }

    /// <summary>
    /// Gives the file a new stamp, in a transaction of its own; see <see cref="Sessions"/>. False: not now; the one that it
    /// carries still holds.
    /// </summary>
    /// <exception cref="SqliteException">The file is damaged.</exception>
    public bool Stamp(ShardId store, Sessions sessions)
    {
        if (sessions.Begin(store, ShardSchema.SessionOf(_database)) is not { } next)
            return false;
        try
        {
            _database.BeginImmediate();
            ShardSchema.SetSession(_database, next);
            _database.Commit();
        }
        catch (SqliteException e) when (!e.IsCorrupt)
        {
            _database.Rollback();
            return false;
        }

        sessions.Given(store, next);
        return true;
    }

    public void SetCache(int cacheKiB)
    {
        if (cacheKiB == _cacheKiB)
            return;
        _database.Execute(FormattableString.Invariant($"PRAGMA cache_size = -{cacheKiB}"));
        _cacheKiB = cacheKiB;
    }

    public void Begin() => _database.BeginImmediate();

    /// <summary>Stores the document where its version is the greater one, and logs the put either way.</summary>
    public PutReply Put(Document document)
    {
        var reply = Store(document);
        _log.AddPut(document.Entry);
        return reply;
    }

    /// <summary>See <see cref="LogChangesCommand"/>.</summary>
    public void Log(ReadOnlySpan<Change> changes, HashRange floorRange, DocumentVersion floor)
    {
        _log.Raise(floorRange, floor);
        foreach (var change in changes)
            _log.Add(change);
    }

    private PutReply Store(Document document)
    {
        // Most puts are of keys not seen before, all of them while a store is filled: the insert itself finds out.
        Bind(_insertEntry, document.Entry, document.IsTombstone ? null : _nextBody).Execute();
        if (_database.Changes == 0)
            return PutOverStored(document);
        if (!document.IsTombstone)
            InsertBody(document);
        _leaves.Add(document.Entry);
        Count(document.IsTombstone, document.Body.Length, 1);
        return AppliedOverNothing;
    }

    /// <summary>Replaces what is stored of the document's version, where that is the wrong content; see <see cref="HealCommand"/>.</summary>
    public HealReply Heal(Document document, Digest wrong)
    {
        if (Stored(document.Key) is not { } stored)
            return HealReply.NewNothingToHeal(DocumentVersion.Zero);
        var isWrong =
            stored.Digest.Equals(wrong) && !wrong.Equals(document.Entry.Digest)
            || stored.IsTombstone != stored.Digest.Equals(Digest.Tombstone)
            || !ActualDigest(stored.Body).Equals(stored.Digest);
        var isAskedFor = stored.Version.Equals(document.Version) && isWrong || Mutants.healOverwritesNewer();
        if (!isAskedFor)
            return HealReply.NewNothingToHeal(stored.Version);
        Replace(stored, document);
        return HealReply.Healed;
    }

    /// <summary>Tombstones of lower versions may go from now on. The floor never sinks.</summary>
    public void RaiseFloor(DocumentVersion below)
    {
        if (below.CompareTo(Digests.Floor) <= 0)
            return;
        ShardSchema.SetMeta(_database, "floor", $"{below}");
        _newFloor = below;
    }

    /// <summary>Deletes the entry where it is still a tombstone of a lower version.</summary>
    public bool Purge(Key key, DocumentVersion below)
    {
        if (Stored(key) is not { IsTombstone: true } stored || stored.Version.CompareTo(below) >= 0)
            return false;
        _deleteEntry.Bind(1, ShardSchema.ToStored(key.Hash)).BindText(2, key.Span).Execute();
        _leaves.Remove(key, stored.Version, true, stored.Digest);
        Count(true, 0, -1);
        return true;
    }

    /// <summary>
    /// Compares a leaf's digest, on the disk and in memory, with the sum over its entries. True: it was another, and is put
    /// right.
    /// </summary>
    public bool PutRight(int leaf)
    {
        var sum = RangeDigest.Zero;
        using (var entries = _database.Prepare($"{ShardReader.DigestColumns} WHERE hash BETWEEN ?1 AND ?2"))
        {
            var range = DigestGrid.rangeOf(leaf);
            entries.Bind(1, ShardSchema.ToStored(range.Lo)).Bind(2, ShardSchema.ToStored(range.Last));
            while (entries.Step())
                sum += LeafTable.DigestOf(entries);
        }

        using var row = _database.Prepare("SELECT sum_a, sum_b, entries FROM leaf_digests WHERE leaf = ?1");
        var stored = row.Bind(1, leaf).Step() ? LeafTable.DigestIn(row) : RangeDigest.Zero;
        row.Reset();
        if (leaf < Digests.Leaves.First || leaf > Digests.Leaves.Last)
        {
            // A row of a leaf that is none of this store's.
            _database.Execute(FormattableString.Invariant($"DELETE FROM leaf_digests WHERE leaf = {leaf}"));
            return true;
        }

        if (stored.Equals(sum) && Digests.Leaves[leaf].Equals(sum))
            return false;
        _leaves.Set(leaf, sum);
        return true;
    }

    /// <summary>On the disk when it returns.</summary>
    public void Commit()
    {
        if (_counts != Counts)
            _updateCounters.Bind(1, _counts.Documents).Bind(2, _counts.Tombstones).Bind(3, _counts.BodyBytes).Execute();
        _leaves.Write();
        _log.Write();
        lock (Digests.Moment)
        {
            _database.Commit();
            _leaves.Publish();
            Digests.Floor = _newFloor ?? Digests.Floor;
        }

        _newFloor = null;
        _log.Publish();
        Counts = _counts;
        _committedNextBody = _nextBody;
    }

    public void Rollback()
    {
        _counts = Counts;
        _nextBody = _committedNextBody;
        _newFloor = null;
        _leaves.Forget();
        _log.Forget();
        _database.Rollback();
    }

    public void Dispose() => _database.Dispose();

    private PutReply PutOverStored(Document document)
    {
        var stored =
            Stored(document.Key)
            ?? throw new DamagedFileException(
                $"'{_database.File}' has and has not an entry of key \"{document.Key}\"."
            );
        if (document.Version.CompareTo(stored.Version) <= 0 && !Mutants.olderOverwrites())
            return PutReply.NewSuperseded(stored.Version);
        Replace(stored, document);
        return stored.IsTombstone ? AppliedOverNothing : AppliedOverLive;
    }

    private StoredEntry? Stored(Key key)
    {
        _selectEntry.Bind(1, ShardSchema.ToStored(key.Hash)).BindText(2, key.Span);
        if (!_selectEntry.Step())
            return null;
        try
        {
            return new StoredEntry(
                new DocumentVersion(_selectEntry.Int64(0), _selectEntry.Int64(1)),
                _selectEntry.Int64(2) != 0,
                _selectEntry.IsNull(3) ? null : _selectEntry.Int64(3),
                _selectEntry.Int64(4),
                LeafTable.BodyDigest(_selectEntry.Blob(5))
            );
        }
        finally
        {
            _selectEntry.Reset();
        }
    }

    private void Replace(in StoredEntry stored, Document document)
    {
        Bind(_updateEntry, document.Entry, document.IsTombstone ? null : stored.Body ?? _nextBody).Execute();
        if (document.IsTombstone)
        {
            if (stored.Body is { } old)
                _deleteBody.Bind(1, old).Execute();
        }
        else if (stored.Body is { } id)
        {
            _updateBody.Bind(1, id).ExecuteWithText(2, document.Body.Span);
            // An entry may have lost its body.
            if (_database.Changes == 0)
                _insertBody.Bind(1, id).ExecuteWithText(2, document.Body.Span);
        }
        else
        {
            InsertBody(document);
        }

        _leaves.Remove(document.Key, stored.Version, stored.IsTombstone, stored.Digest);
        _leaves.Add(document.Entry);
        Count(stored.IsTombstone, stored.BodyBytes, -1);
        Count(document.IsTombstone, document.Body.Length, 1);
    }

    private Digest ActualDigest(long? body)
    {
        if (body is null)
            return Digest.Tombstone;
        using var select = _database.Prepare("SELECT body FROM bodies WHERE id = ?1");
        return Digest.OfBody(select.Bind(1, body.Value).Step() ? select.Text(0) : []);
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

    private readonly record struct StoredEntry(
        DocumentVersion Version,
        bool IsTombstone,
        long? Body,
        long BodyBytes,
        Digest Digest
    );
}
