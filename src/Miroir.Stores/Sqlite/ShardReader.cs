using System.Buffers;
using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>One connection that reads a shard's file. It sees only what is on the disk, and keeps no snapshot between calls.</summary>
internal sealed class ShardReader : IDisposable
{
    /// <summary>What <see cref="LeafTable.DigestOf"/> needs of an entry.</summary>
    public const string DigestColumns = "SELECT key, term, clock, deleted, digest FROM entries";

    private const int FirstBufferBytes = 64 << 10;

    private readonly Database _database;
    private readonly Statement _begin;
    private readonly Statement _end;
    private readonly Statement _find;
    private readonly Statement _entries;
    private readonly Statement _documents;
    private readonly Statement _digests;
    private readonly Statement _tombstones;
    private readonly ChangeReader _changes;
    private int _cacheKiB;
    private int _lastPageBytes = FirstBufferBytes;

    public ShardReader(string path, string? vfs, int cacheKiB)
    {
        _database = Database.Open(
            path,
            new()
            {
                Access = DatabaseAccess.ReadOnly,
                CacheKiB = cacheKiB,
                Vfs = vfs,
            }
        );
        _cacheKiB = cacheKiB;
        try
        {
            const string Columns = "e.key, e.term, e.clock, e.deleted, e.digest, e.op, e.origin";
            const string WithBody = $"SELECT {Columns}, b.body FROM entries e LEFT JOIN bodies b ON b.id = e.body";
            const string Page = "WHERE (e.hash, e.key) > (?1, ?2) AND e.hash <= ?3 ORDER BY e.hash, e.key LIMIT ?4";
            _begin = _database.Prepare("BEGIN");
            _end = _database.Prepare("COMMIT");
            _find = _database.Prepare($"{WithBody} WHERE e.hash = ?1 AND e.key = ?2");
            _entries = _database.Prepare($"SELECT {Columns} FROM entries e {Page}");
            _documents = _database.Prepare($"{WithBody} {Page}");
            _digests = _database.Prepare($"{DigestColumns} WHERE hash BETWEEN ?1 AND ?2");
            _tombstones = _database.Prepare(
                "SELECT key, deleted, term, clock FROM entries WHERE (hash, key) > (?1, ?2) ORDER BY hash, key LIMIT ?3"
            );
            _changes = new ChangeReader(_database);
        }
        catch
        {
            _database.Dispose();
            throw;
        }
    }

    public void SetCache(int cacheKiB)
    {
        if (cacheKiB == _cacheKiB)
            return;
        _database.Execute(FormattableString.Invariant($"PRAGMA cache_size = -{cacheKiB}"));
        _cacheKiB = cacheKiB;
    }

    /// <summary>From here to <see cref="End"/> all reads see the same snapshot.</summary>
    public void Begin() => _begin.Execute();

    /// <summary>The same; and the snapshot is the one of now.</summary>
    public void BeginSnapshot()
    {
        Begin();
        // Until something is read, there is none.
        _ = _database.QueryInt64("SELECT documents FROM counters");
    }

    public void End()
    {
        if (_database.InTransaction)
            _end.Execute();
    }

    /// <summary>The sum over the entries of a range.</summary>
    public RangeDigest DigestOf(HashRange range)
    {
        _digests.Bind(1, ShardSchema.ToStored(range.Lo)).Bind(2, ShardSchema.ToStored(range.Last));
        try
        {
            var sum = RangeDigest.Zero;
            while (_digests.Step())
                sum += LeafTable.DigestOf(_digests);
            return sum;
        }
        finally
        {
            _digests.Reset();
        }
    }

    /// <summary>Tombstones of versions below another, among the next entries behind a key; `After` null: that was all.</summary>
    public (List<Key> Keys, Key? After) TombstonesBelow(DocumentVersion below, Key? after, int maxEntries)
    {
        _tombstones
            .Bind(1, ShardSchema.ToStored(after?.Hash ?? 0))
            .BindText(2, after is null ? [] : after.Span)
            .Bind(3, maxEntries);
        var keys = new List<Key>();
        Key? last = null;
        var seen = 0;
        try
        {
            for (; _tombstones.Step(); seen++)
            {
                var isLast = seen == maxEntries - 1;
                var isBelow =
                    _tombstones.Int64(1) != 0
                    && new DocumentVersion(_tombstones.Int64(2), _tombstones.Int64(3)).CompareTo(below) < 0;
                if (!isBelow && !isLast)
                    continue;
                last = Key.OfBytes(_tombstones.Text(0));
                if (isBelow)
                    keys.Add(last);
            }
        }
        finally
        {
            _tombstones.Reset();
        }

        return (keys, seen == maxEntries ? last : null);
    }

    /// <summary>See <see cref="ShardScrub"/>; on the committed digests that the writing connection keeps.</summary>
    public (ScrubPart Part, List<int> Suspects) Scrub(ScrubCommand command, LeafDigests committed)
    {
        Begin();
        try
        {
            return ShardScrub.Run(_database, committed, command.FromLeaf, command.MaxBytes);
        }
        finally
        {
            End();
        }
    }

    /// <summary>See <see cref="ChangesCommand"/>; the floor and the changes are of one moment.</summary>
    public ChangesPage Changes(ChangesCommand command)
    {
        Begin();
        try
        {
            return _changes.Page(command);
        }
        finally
        {
            End();
        }
    }

    /// <exception cref="RottenBodyException">The body is not the one that its digest was taken of.</exception>
    public Document? Find(Key key)
    {
        _find.Bind(1, ShardSchema.ToStored(key.Hash)).BindText(2, key.Span);
        try
        {
            return _find.Step()
                ? new Document(Verified(ReadEntry(_find, key), _find.Text(7)), _find.Text(7).ToArray())
                : null;
        }
        finally
        {
            _find.Reset();
        }
    }

    /// <exception cref="RottenBodyException">A body is not the one that its digest was taken of.</exception>
    public ScanPage Page(ScanCommand command)
    {
        var statement = command.WithBodies ? _documents : _entries;
        Bind(statement, command.Range, command.After, command.MaxEntries);
        try
        {
            if (command.WithBodies)
                return Documents(statement, command);
            var entries = new List<Entry>();
            var isLast = ReadEntries(entries, command.MaxEntries);
            return new ScanPage([.. entries], [], isLast);
        }
        finally
        {
            statement.Reset();
        }
    }

    /// <summary>In one snapshot.</summary>
    public ScanPage Page(RangesCommand command)
    {
        var entries = new List<Entry>();
        var isLast = true;
        Begin();
        try
        {
            for (var i = command.First; isLast && i < command.Ranges.Length; i++)
            {
                Bind(_entries, command.Ranges[i], command.After, command.MaxEntries - entries.Count);
                isLast = ReadEntries(entries, command.MaxEntries);
            }

            return new ScanPage([.. entries], [], isLast);
        }
        finally
        {
            _entries.Reset();
            End();
        }
    }

    public void Dispose() => _database.Dispose();

    /// <summary>To one more than there is room for, which says that there is more.</summary>
    private static void Bind(Statement page, HashRange range, Key? after, int room)
    {
        // An empty key sorts below every real one of its hash.
        var isBehind = after is not null && after.Hash >= range.Lo;
        page.Bind(1, ShardSchema.ToStored(isBehind ? after!.Hash : range.Lo))
            .BindText(2, isBehind ? after!.Span : [])
            .Bind(3, ShardSchema.ToStored(range.Last))
            .Bind(4, room + 1L);
    }

    /// <summary>Adds to a page what its statement has; false: there is more than the page holds.</summary>
    private bool ReadEntries(List<Entry> entries, int max)
    {
        while (_entries.Step())
        {
            if (entries.Count == max)
                return false;
            entries.Add(ReadEntry(_entries, Key.OfBytes(_entries.Text(0))));
        }

        return true;
    }

    private ScanPage Documents(Statement statement, ScanCommand command)
    {
        var entries = new List<Entry>();
        var ends = new List<int>();
        // Pages of one scan are alike: the last one says how large this one will be.
        var bytes = new ArrayBufferWriter<byte>(Math.Clamp(_lastPageBytes, 1, Math.Max(command.MaxBytes, 1)));
        var isLast = true;
        while (statement.Step())
        {
            var body = statement.Text(7);
            var isFull =
                entries.Count == command.MaxEntries
                || (entries.Count > 0 && (long)bytes.WrittenCount + body.Length > command.MaxBytes);
            if (isFull)
            {
                isLast = false;
                break;
            }

            entries.Add(Verified(ReadEntry(statement, Key.OfBytes(statement.Text(0))), body));
            bytes.Write(body);
            ends.Add(bytes.WrittenCount);
        }

        _lastPageBytes = bytes.WrittenCount + bytes.WrittenCount / 16 + FirstBufferBytes / 16;
        // One array for the whole page: its documents travel together.
        var bodies = new ReadOnlyMemory<byte>[ends.Count];
        for (var i = 0; i < bodies.Length; i++)
            bodies[i] = bytes.WrittenMemory[(i == 0 ? 0 : ends[i - 1])..ends[i]];
        return new ScanPage([.. entries], bodies, isLast);
    }

    private static Entry ReadEntry(Statement row, Key key)
    {
        return new Entry(
            key,
            new DocumentVersion(row.Int64(1), row.Int64(2)),
            row.Int64(3) != 0,
            LeafTable.BodyDigest(row.Blob(4)),
            OperationId(row.Blob(5), key),
            (Origin)row.Int64(6)
        );
    }

    /// <exception cref="DamagedFileException">It has 16 bytes.</exception>
    public static Guid OperationId(ReadOnlySpan<byte> stored, Key key) =>
        stored.Length == 16
            ? new Guid(stored, bigEndian: true)
            : throw new DamagedFileException(
                $"the entry of key \"{key}\" has an operation id of {stored.Length} bytes, not 16"
            );

    private static Entry Verified(Entry entry, ReadOnlySpan<byte> body) =>
        RottenBody.Is(entry, body) ? throw new RottenBodyException(entry) : entry;
}
