using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// The change log in a shard's file, in order of positions; how many changes it has and its floor stand beside the other
/// counters, so that a commit that logs writes no page for them. Belongs to the thread that writes.
/// </summary>
/// <remarks>
/// Rows at the floor or below may still be there, where a floor was given that is above many of them: they count for
/// nothing, and go a batch at a time. Beside the floor of all there may be higher ones of parts, where logs of several
/// shards were taken over.
/// </remarks>
internal sealed class ChangeTable
{
    // A version is NULL where it is the position, as nearly always.
    public const string Definition = """
        CREATE TABLE changes(
            term INTEGER NOT NULL, clock INTEGER NOT NULL, hash INTEGER NOT NULL, key TEXT NOT NULL,
            version_term INTEGER, version_clock INTEGER, deleted INTEGER NOT NULL, op BLOB NOT NULL,
            PRIMARY KEY(term, clock, hash, key)) WITHOUT ROWID;
        """;

    public const string FloorsDefinition = """
        CREATE TABLE feed_floors(
            lo INTEGER PRIMARY KEY, hi INTEGER NOT NULL, term INTEGER NOT NULL, clock INTEGER NOT NULL);
        """;

    public const string SelectFloors = "SELECT lo, hi, term, clock FROM feed_floors";

    /// <summary>Columns of the table of counters.</summary>
    public const string Counters =
        "changes INTEGER NOT NULL DEFAULT 0, feed_term INTEGER NOT NULL DEFAULT 0, feed_clock INTEGER NOT NULL DEFAULT 0";

    public const string SelectFloor = "SELECT feed_term, feed_clock, changes FROM counters";

    /// <summary>Changes that go with a transaction at most, beside twice as many as it adds.</summary>
    private const int Batch = 256;

    private readonly ChangeRetention _retention;
    private readonly FeedCounters _counters;
    private readonly Statement _insert;
    private readonly Statement _oldest;
    private readonly Statement _delete;
    private readonly Statement _deletePart;
    private readonly Statement _update;
    private readonly Database _database;
    private readonly long[] _leftOut = new long[Enum.GetValues<Origin>().Length];
    private State _state;
    private State _committed;
    private int _added;

    /// <summary>Loads what is committed.</summary>
    public ChangeTable(Database database, ChangeRetention retention, FeedCounters counters)
    {
        _database = database;
        _retention = retention;
        _counters = counters;
        _insert = database.Prepare("INSERT INTO changes VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING");
        _oldest = database.Prepare("SELECT term, clock FROM changes ORDER BY term, clock, hash, key LIMIT ?1");
        _delete = database.Prepare("DELETE FROM changes WHERE (term, clock) <= (?1, ?2)");
        _deletePart = database.Prepare(
            "DELETE FROM changes WHERE (term, clock) <= (?1, ?2) AND hash BETWEEN ?3 AND ?4"
        );
        _update = database.Prepare("UPDATE counters SET changes = ?1, feed_term = ?2, feed_clock = ?3 WHERE id = 1");
        using var row = database.Prepare(SelectFloor);
        if (!row.Step())
            throw new DamagedFileException($"'{database.File}' has no counters.");
        using var floors = database.Prepare(SelectFloors);
        var floor = new DocumentVersion(row.Int64(0), row.Int64(1));
        _state = _committed = new State(row.Int64(2), floor, FloorsOf(floors));
    }

    /// <summary>Whether puts are logged.</summary>
    public bool IsKept { get; init; } = true;

    /// <summary>
    /// Makes the table in a file whose entries were written without one: what they are is not known any more, so its floor
    /// is the highest version that was ever stored. In a transaction of the caller's.
    /// </summary>
    /// <param name="database">The file.</param>
    /// <param name="purged">Tombstones below it may have been there.</param>
    public static void Build(Database database, DocumentVersion purged)
    {
        database.Execute(Definition);
        foreach (var column in Counters.Split(", "))
            database.Execute($"ALTER TABLE counters ADD COLUMN {column}");
        using var newest = database.Prepare("SELECT term, clock FROM entries ORDER BY term DESC, clock DESC LIMIT 1");
        var floor = newest.Step() ? new DocumentVersion(newest.Int64(0), newest.Int64(1)) : DocumentVersion.Zero;
        newest.Reset();
        floor = purged.CompareTo(floor) > 0 ? purged : floor;
        using var set = database.Prepare("UPDATE counters SET feed_term = ?1, feed_clock = ?2 WHERE id = 1");
        set.Bind(1, floor.Term).Bind(2, floor.Clock).Execute();
    }

    /// <summary>The floors of parts, as <see cref="SelectFloors"/> gives them.</summary>
    public static FeedFloors FloorsOf(Statement floors)
    {
        var parts = new List<FeedFloor>();
        while (floors.Step())
        {
            // Ranges end before a hash, so the end of all is stored as the first one.
            var range = new HashRange(ShardSchema.FromStored(floors.Int64(0)), ShardSchema.FromStored(floors.Int64(1)));
            parts.Add(new FeedFloor(range, new DocumentVersion(floors.Int64(2), floors.Int64(3))));
        }

        return parts.Count == 0 ? FeedFloors.None : FeedFloors.Of(parts);
    }

    /// <summary>A put that was taken, whether it was applied or superseded.</summary>
    public void AddPut(Entry entry)
    {
        if (IsKept && (entry.Origin == Origin.Migration || !Add(Change.Of(entry))))
            _leftOut[(int)entry.Origin]++;
    }

    /// <summary>False: it is there already, or would not be above the floor.</summary>
    public bool Add(Change change)
    {
        if (
            change.Position.CompareTo(_state.Floor) <= 0
            || change.Position.CompareTo(_state.Floors.At(change.Key.Hash)) <= 0
        )
            return false;
        Span<byte> operation = stackalloc byte[16];
        change.OperationId.TryWriteBytes(operation, bigEndian: true, out _);
        _insert
            .Bind(1, change.Position.Term)
            .Bind(2, change.Position.Clock)
            .Bind(3, ShardSchema.ToStored(change.Key.Hash))
            .BindText(4, change.Key.Span)
            .Bind(7, change.IsDelete ? 1 : 0)
            .BindBlob(8, operation);
        if (change.Version.Equals(change.Position))
            _insert.BindNull(5).BindNull(6);
        else
            _insert.Bind(5, change.Version.Term).Bind(6, change.Version.Clock);
        _insert.Execute();
        if (_database.Changes == 0)
            return false;
        _state = _state with { Changes = _state.Changes + 1 };
        _added++;
        return true;
    }

    /// <summary>No floor sinks.</summary>
    public void Raise(HashRange range, DocumentVersion floor)
    {
        if (range.Equals(HashRange.Full))
            Raise(floor);
        else if (floor.CompareTo(_state.Floor) > 0)
            RaisePart(range, floor);
    }

    private void Raise(DocumentVersion floor)
    {
        if (floor.CompareTo(_state.Floor) > 0)
            _state = _state with { Floor = floor, Floors = _state.Floors.Above(floor) };
    }

    private void RaisePart(HashRange range, DocumentVersion floor)
    {
        var raised = _state.Floors.Raise(range, floor);
        if (ReferenceEquals(raised, _state.Floors))
            return;
        // At once: they do not stand at the beginning of the log, where trimming would find them. There are only those
        // that another replica of the same shard has kept for longer.
        _deletePart
            .Bind(1, floor.Term)
            .Bind(2, floor.Clock)
            .Bind(3, ShardSchema.ToStored(range.Lo))
            .Bind(4, ShardSchema.ToStored(range.Last))
            .Execute();
        _state = _state with { Changes = _state.Changes - _database.Changes, Floors = raised };
    }

    /// <summary>Into the transaction, when it ends: what is too old or too much goes, and the counters are written.</summary>
    public void Write()
    {
        Trim();
        if (_state != _committed)
            _update.Bind(1, _state.Changes).Bind(2, _state.Floor.Term).Bind(3, _state.Floor.Clock).Execute();
        if (!ReferenceEquals(_state.Floors, _committed.Floors))
            WriteFloors();
    }

    private void WriteFloors()
    {
        _database.Execute("DELETE FROM feed_floors");
        using var insert = _database.Prepare("INSERT INTO feed_floors VALUES(?1, ?2, ?3, ?4)");
        foreach (var part in _state.Floors.Parts)
            insert
                .Bind(1, ShardSchema.ToStored(part.Range.Lo))
                .Bind(2, ShardSchema.ToStored(part.Range.Hi))
                .Bind(3, part.Floor.Term)
                .Bind(4, part.Floor.Clock)
                .Execute();
    }

    /// <summary>The transaction is on the disk.</summary>
    public void Publish()
    {
        for (var origin = 0; origin < _leftOut.Length; origin++)
        {
            if (_leftOut[origin] > 0)
                _counters.LeftOut((Origin)origin, _leftOut[origin]);
        }

        _committed = _state;
        Forget();
    }

    public void Forget()
    {
        _state = _committed;
        _added = 0;
        Array.Clear(_leftOut);
    }

    private void Trim()
    {
        if (_state.Changes == 0)
            return;
        var tooMany = _state.Changes - _retention.MaxChanges;
        var oldestClock = _retention.OldestClock();
        DocumentVersion? last = null;
        _oldest.Bind(1, Batch + 2L * _added);
        for (; _oldest.Step(); tooMany--)
        {
            var position = new DocumentVersion(_oldest.Int64(0), _oldest.Int64(1));
            if (tooMany <= 0 && position.Clock >= oldestClock && position.CompareTo(_state.Floor) > 0)
                break;
            last = position;
        }

        _oldest.Reset();
        if (last is not { } gone)
            return;
        // Those of one position go together: a floor says of a position that it is gone.
        _delete.Bind(1, gone.Term).Bind(2, gone.Clock).Execute();
        _state = _state with { Changes = _state.Changes - _database.Changes };
        Raise(gone);
    }

    private readonly record struct State(long Changes, DocumentVersion Floor, FeedFloors Floors);
}
