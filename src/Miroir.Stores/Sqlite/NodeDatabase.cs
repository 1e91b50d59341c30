using System.Globalization;
using System.Text;
using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>How far a store's making or dropping is. Stored by name: append only.</summary>
internal enum StoreState
{
    /// <summary>Registered; its file may not be there, or be half made.</summary>
    Making,

    /// <summary>Its file is whole.</summary>
    Serving,

    /// <summary>Its file goes, or is gone.</summary>
    Dropping,

    /// <summary>Its file is whole, and filled from other replicas: it does not serve yet.</summary>
    Filling,

    /// <summary>Its file can't be trusted, or is gone: it was set aside, or is to be.</summary>
    Quarantined,
}

/// <summary>The tables of node.db: who the node is, every barrier for ever, and which stores it has.</summary>
internal static class NodeDatabase
{
    public const long Format = 2;

    private const string SessionTable = """
        CREATE TABLE sessions(
            idx TEXT NOT NULL, generation INTEGER NOT NULL, shard INTEGER NOT NULL, last TEXT NOT NULL, next TEXT NOT NULL,
            PRIMARY KEY(idx, generation, shard)) WITHOUT ROWID;
        """;

    private const string Tables = $"""
        CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE barriers(
            idx TEXT NOT NULL, generation INTEGER NOT NULL, shard INTEGER NOT NULL, epoch INTEGER NOT NULL,
            route_epoch INTEGER NOT NULL, route TEXT, PRIMARY KEY(idx, generation, shard)) WITHOUT ROWID;
        CREATE TABLE stores(
            idx TEXT NOT NULL, generation INTEGER NOT NULL, shard INTEGER NOT NULL, state TEXT NOT NULL,
            range_lo TEXT NOT NULL, range_hi TEXT NOT NULL, incarnation TEXT NOT NULL, migration INTEGER NOT NULL,
            attempt INTEGER NOT NULL, made_epoch INTEGER NOT NULL, PRIMARY KEY(idx, generation, shard)) WITHOUT ROWID;
        {SessionTable}
        """;

    /// <summary>Opens node.db, making it where it is absent.</summary>
    /// <exception cref="InvalidDataException">It is of a newer build, or something else.</exception>
    public static Database Open(string file, DatabaseOptions options, Func<Guid> newGuid)
    {
        var database = Database.Open(file, options);
        try
        {
            database.MakeLogDurable();
            Prepare(database, newGuid);
            return database;
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    public static Guid NodeId(Database database) =>
        Guid.ParseExact(database.QueryText("SELECT value FROM meta WHERE name = 'node_id'") ?? "", "D");

    public static void LoadBarriers(Database database, RouteBarriers barriers)
    {
        using var rows = database.Prepare("SELECT idx, generation, shard, epoch, route FROM barriers");
        while (rows.Step())
        {
            var told = rows.IsNull(4) ? null : Codec.routeOfBytes(rows.Text(4).ToArray());
            barriers.Of(ShardOf(rows)).Raise(rows.Int64(3), told);
        }
    }

    /// <summary>Raises a barrier where it stands lower, and keeps the route where it is newer.</summary>
    public static void Raise(Database database, RouteStamp stamp, Route? told)
    {
        using var upsert = database.Prepare(
            """
            INSERT INTO barriers(idx, generation, shard, epoch, route_epoch, route) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT DO UPDATE SET
                epoch = max(epoch, excluded.epoch),
                route = CASE WHEN excluded.route_epoch > route_epoch THEN excluded.route ELSE route END,
                route_epoch = max(route_epoch, excluded.route_epoch)
            """
        );
        Bind(upsert, stamp.Shard).Bind(4, stamp.Epoch).Bind(5, told?.Epoch ?? 0);
        (told is null ? upsert.BindNull(6) : upsert.BindText(6, Codec.routeToBytes(told))).Execute();
    }

    /// <summary>Only a fault does this.</summary>
    public static void Forget(Database database, ShardId shard)
    {
        using var delete = database.Prepare("DELETE FROM barriers WHERE idx = ?1 AND generation = ?2 AND shard = ?3");
        Bind(delete, shard).Execute();
    }

    public static List<(StoreRegistration Store, StoreState State)> Stores(Database database)
    {
        using var rows = database.Prepare(
            """
            SELECT idx, generation, shard, state, range_lo, range_hi, incarnation, migration, attempt, made_epoch
            FROM stores ORDER BY idx, generation, shard
            """
        );
        var stores = new List<(StoreRegistration, StoreState)>();
        while (rows.Step())
        {
            var registration = new StoreRegistration(
                ShardOf(rows),
                new HashRange(Hex(rows.Text(4)), Hex(rows.Text(5))),
                GuidOf(rows.Text(6)),
                rows.Int64(7),
                (int)rows.Int64(8),
                rows.Int64(9)
            );
            stores.Add((registration, Enum.Parse<StoreState>(Encoding.UTF8.GetString(rows.Text(3)))));
        }

        return stores;
    }

    public static void Register(Database database, StoreRegistration store, StoreState state)
    {
        using var insert = database.Prepare(
            "INSERT OR REPLACE INTO stores VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        );
        // Its file is new, and was never stamped.
        if (state == StoreState.Making)
            Delete(database, "sessions", store.Store);
        Bind(insert, store.Store)
            .BindText(4, Utf8($"{state}"))
            .BindText(5, Utf8($"{store.Range.Lo:x16}"))
            .BindText(6, Utf8($"{store.Range.Hi:x16}"))
            .BindText(7, Utf8($"{store.Incarnation:D}"))
            .Bind(8, store.Migration)
            .Bind(9, store.Attempt)
            .Bind(10, store.MadeEpoch)
            .Execute();
    }

    public static void Unregister(Database database, ShardId store)
    {
        Delete(database, "stores", store);
        Delete(database, "sessions", store);
    }

    /// <summary>See <see cref="Sessions"/>.</summary>
    public static void Expect(Database database, ShardId store, Guid last, Guid next)
    {
        using var replace = database.Prepare("INSERT OR REPLACE INTO sessions VALUES(?1, ?2, ?3, ?4, ?5)");
        Bind(replace, store).BindText(4, Utf8($"{last:D}")).BindText(5, Utf8($"{next:D}")).Execute();
    }

    public static void LoadSessions(Database database, Sessions sessions)
    {
        using var rows = database.Prepare("SELECT idx, generation, shard, last, next FROM sessions");
        while (rows.Step())
            sessions.Load(ShardOf(rows), GuidOf(rows.Text(3)), GuidOf(rows.Text(4)));
    }

    private static void Prepare(Database database, Func<Guid> newGuid)
    {
        database.BeginImmediate();
        if (database.QueryInt64("SELECT count(*) FROM sqlite_schema") == 0)
        {
            database.Execute(Tables);
            using var insert = database.Prepare("INSERT INTO meta VALUES(?1, ?2)");
            insert.BindText(1, "format"u8).BindText(2, Utf8($"{Format}")).Execute();
            insert.BindText(1, "node_id"u8).BindText(2, Utf8($"{newGuid():D}")).Execute();
        }

        var format = database.QueryText("SELECT value FROM meta WHERE name = 'format'");
        // Format 1 knew no sessions.
        if (format == "1")
        {
            database.Execute(SessionTable);
            database.Execute("UPDATE meta SET value = '2' WHERE name = 'format'");
            format = "2";
        }

        database.Commit();
        if (format != FormattableString.Invariant($"{Format}"))
            throw new InvalidDataException(
                $"'{database.File}' has format {format}; this build reads {Format}: use the build that wrote it, or a newer one."
            );
    }

    private static void Delete(Database database, string table, ShardId store)
    {
        using var delete = database.Prepare($"DELETE FROM {table} WHERE idx = ?1 AND generation = ?2 AND shard = ?3");
        Bind(delete, store).Execute();
    }

    private static Statement Bind(Statement statement, ShardId shard) =>
        statement.BindText(1, Encoding.UTF8.GetBytes(shard.Index)).Bind(2, shard.Generation).Bind(3, shard.Shard);

    private static ShardId ShardOf(Statement row) =>
        new(Encoding.UTF8.GetString(row.Text(0)), (int)row.Int64(1), (int)row.Int64(2));

    private static Guid GuidOf(ReadOnlySpan<byte> utf8) => Guid.ParseExact(Encoding.UTF8.GetString(utf8), "D");

    private static ulong Hex(ReadOnlySpan<byte> utf8) =>
        ulong.Parse(utf8, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private static byte[] Utf8(FormattableString text) => Encoding.UTF8.GetBytes(FormattableString.Invariant(text));
}
