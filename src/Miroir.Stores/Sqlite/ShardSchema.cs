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
    public const long Format = 1;

    private const string Tables = """
        CREATE TABLE entries(
            hash INTEGER NOT NULL, key TEXT NOT NULL, term INTEGER NOT NULL, clock INTEGER NOT NULL,
            deleted INTEGER NOT NULL, digest BLOB NOT NULL, op BLOB NOT NULL, origin INTEGER NOT NULL, body INTEGER,
            PRIMARY KEY(hash, key)) WITHOUT ROWID;
        CREATE TABLE bodies(id INTEGER PRIMARY KEY, body TEXT NOT NULL);
        CREATE TABLE counters(
            id INTEGER PRIMARY KEY CHECK(id = 1), documents INTEGER NOT NULL, tombstones INTEGER NOT NULL,
            body_bytes INTEGER NOT NULL);
        CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE VIEW documents(key, document, version, deleted) AS
            SELECT entries.key, bodies.body, entries.term || '.' || entries.clock, entries.deleted
            FROM entries LEFT JOIN bodies ON bodies.id = entries.body;
        INSERT INTO counters VALUES(1, 0, 0, 0);
        """;

    public static long ToStored(ulong hash) => unchecked((long)(hash ^ (1UL << 63)));

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
        }

        database.Commit();
    }

    /// <summary>Refuses a file of a newer build, and one that is not the registered store's.</summary>
    /// <exception cref="InvalidDataException">It says which, and what to do.</exception>
    public static void Check(Database database, StoreRegistration store)
    {
        var format = Meta(database, "format");
        if (!long.TryParse(format, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number < 1)
            throw new InvalidDataException($"'{database.File}' is no shard file: its format is '{format}'.");
        if (number > Format)
            throw new InvalidDataException(
                $"'{database.File}' has format {number}; this build reads up to {Format}: use the newer build that wrote it."
            );
        var incarnation = Meta(database, "incarnation");
        if (incarnation != store.Incarnation.ToString("D"))
            throw new InvalidDataException(
                $"'{database.File}' is incarnation '{incarnation}' of a store; the node registered {store.Incarnation:D}: "
                    + "it was put there from elsewhere. Drop the store, and have it filled again."
            );
    }

    private static string? Meta(Database database, string name) =>
        database.QueryText($"SELECT value FROM meta WHERE name = '{name}'");

    private static byte[] Utf8(string text) => System.Text.Encoding.UTF8.GetBytes(text);
}
