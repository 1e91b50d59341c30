using System.Globalization;
using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// The tables of a shard's file. Entries are narrow, so that fingerprints and delta passes read little; bodies stand
/// apart, as the JSON that they are. A hash is stored as the signed integer hash - 2^63, which orders as the unsigned
/// one does; a key as its UTF-8 text, ordered by its bytes.
/// </summary>
internal static class ShardSchema
{
    /// <summary>Grows when a build that knows only the older form would read the file wrongly.</summary>
    public const long Format = 4;

    private const string Tables = $"""
        CREATE TABLE entries(
            hash INTEGER NOT NULL, key TEXT NOT NULL, term INTEGER NOT NULL, clock INTEGER NOT NULL,
            deleted INTEGER NOT NULL, digest BLOB NOT NULL, op BLOB NOT NULL, origin INTEGER NOT NULL, body INTEGER,
            PRIMARY KEY(hash, key)) WITHOUT ROWID;
        CREATE TABLE bodies(id INTEGER PRIMARY KEY, body TEXT NOT NULL);
        CREATE TABLE counters(
            id INTEGER PRIMARY KEY CHECK(id = 1), documents INTEGER NOT NULL, tombstones INTEGER NOT NULL,
            body_bytes INTEGER NOT NULL, {ChangeTable.Counters});
        CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE VIEW documents(key, document, version, deleted) AS
            SELECT entries.key, bodies.body, entries.term || '.' || entries.clock, entries.deleted
            FROM entries LEFT JOIN bodies ON bodies.id = entries.body;
        {LeafTable.Definition}
        {ChangeTable.Definition}
        {ChangeTable.FloorsDefinition}
        INSERT INTO counters(id, documents, tombstones, body_bytes) VALUES(1, 0, 0, 0);
        """;

    private const string Session = "session";

    public static long ToStored(ulong hash) => unchecked((long)(hash ^ (1UL << 63)));

    public static ulong FromStored(long hash) => unchecked((ulong)hash ^ (1UL << 63));

    /// <summary>Fills an empty file, in one transaction.</summary>
    public static void Create(Database database, StoreRegistration store)
    {
        database.BeginImmediate();
        database.Execute(Tables);
        using (var insert = database.Prepare("INSERT INTO meta VALUES(?1, ?2)"))
        {
            void Add(string name, FormattableString value) =>
                insert.BindText(1, Utf8(name)).BindText(2, Utf8(FormattableString.Invariant(value))).Execute();

            Add("format", $"{Format}");
            Add("index", $"{store.Store.Index}");
            Add("generation", $"{store.Store.Generation}");
            Add("shard", $"{store.Store.Shard}");
            Add("range_lo", $"{store.Range.Lo:x16}");
            Add("range_hi", $"{store.Range.Hi:x16}");
            Add("incarnation", $"{store.Incarnation:D}");
            Add("migration", $"{store.Migration}");
            Add("attempt", $"{store.Attempt}");
            Add("made_epoch", $"{store.MadeEpoch}");
            // There from the beginning, so that stamping a full file takes no page.
            Add(Session, $"{Guid.Empty:D}");
        }

        database.Commit();
    }

    /// <summary>Refuses a file of a newer build, one that is not the registered store's, and an older copy of it.</summary>
    /// <exception cref="ShardFileException">A newer build's; it says what to do.</exception>
    /// <exception cref="DamagedFileException">No shard file, another store's, or an older copy.</exception>
    public static void Check(Database database, StoreRegistration store, Sessions sessions)
    {
        var format = FormatOf(database);
        if (format > Format)
            throw new ShardFileException(
                $"'{database.File}' has format {format}; this build reads up to {Format}: use the newer build that wrote it."
            );
        var incarnation = Meta(database, "incarnation");
        if (incarnation != store.Incarnation.ToString("D"))
            throw new DamagedFileException(
                $"'{database.File}' is incarnation '{incarnation}' of a store; the node registered {store.Incarnation:D}: "
                    + "it was put there from elsewhere. Have the store rebuilt from its other replicas."
            );
        var session = SessionOf(database);
        if (!sessions.Accepts(store.Store, session))
            throw new DamagedFileException(
                $"'{database.File}' carries the stamp {session:D}, which is not the one it was given last: it is an older "
                    + "copy, and lacks what was written since. Have the store rebuilt from its other replicas."
            );
    }

    /// <summary>
    /// Brings a file of an older format to this one, in one transaction. Format 1 had no leaf digests, format 2 no change
    /// log, format 3 one floor for all of it.
    /// </summary>
    public static void Upgrade(Database database)
    {
        var format = FormatOf(database);
        if (format == Format)
            return;
        database.BeginImmediate();
        try
        {
            if (format < 2)
                LeafTable.Build(database);
            if (format < 3)
                ChangeTable.Build(database, Floor(database));
            database.Execute(ChangeTable.FloorsDefinition);
            SetMeta(database, "format", FormattableString.Invariant($"{Format}"));
            database.Commit();
        }
        catch
        {
            database.Rollback();
            throw;
        }
    }

    /// <summary>Tombstones below it may have been purged.</summary>
    public static DocumentVersion Floor(Database database) =>
        DocumentVersion.TryParse(Meta(database, "floor") ?? "0.0") is { IsValueSome: true } floor
            ? floor.Value
            : throw new DamagedFileException($"'{database.File}' has a floor that is no version.");

    /// <summary>The stamp that the file carries; Guid.Empty: none yet. See <see cref="Sessions"/>.</summary>
    public static Guid SessionOf(Database database) =>
        Meta(database, Session) is not { } stored ? Guid.Empty
        : Guid.TryParseExact(stored, "D", out var session) ? session
        : throw new DamagedFileException($"'{database.File}' carries the stamp '{stored}', which is none.");

    /// <summary>In a transaction of the caller's.</summary>
    public static void SetSession(Database database, Guid session) => SetMeta(database, Session, $"{session:D}");

    public static string? Meta(Database database, string name)
    {
        using var select = database.Prepare("SELECT value FROM meta WHERE name = ?1");
        return select.BindText(1, Utf8(name)).Step() ? System.Text.Encoding.UTF8.GetString(select.Text(0)) : null;
    }

    /// <summary>In a transaction of the caller's.</summary>
    public static void SetMeta(Database database, string name, string value)
    {
        using var replace = database.Prepare("INSERT OR REPLACE INTO meta VALUES(?1, ?2)");
        replace.BindText(1, Utf8(name)).BindText(2, Utf8(value)).Execute();
    }

    private static long FormatOf(Database database)
    {
        // A file that was emptied is a database too.
        if (database.QueryInt64("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'") == 0)
            throw new DamagedFileException($"'{database.File}' is no shard file: it has no table 'meta'.");
        var format = Meta(database, "format");
        return long.TryParse(format, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw new DamagedFileException($"'{database.File}' is no shard file: its format is '{format}'.");
    }

    private static byte[] Utf8(string text) => System.Text.Encoding.UTF8.GetBytes(text);
}
