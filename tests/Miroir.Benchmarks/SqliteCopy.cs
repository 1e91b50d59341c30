using Miroir.Stores.Sqlite.Native;

namespace Miroir.Benchmarks;

/// <summary>
/// SQLite's own copy of a shard's file: <c>INSERT ... SELECT</c> into a WAL file with the same tables, page size and
/// synchronous=FULL, in transactions of as many rows as Miroir's. Nothing of Miroir's is between the two files, and each
/// table is read in its own order, which no copy in the order of keys can have.
/// </summary>
internal static class SqliteCopy
{
    public const int Batch = 2000;

    /// <param name="source">A shard's file whose bodies are numbered from 1 on.</param>
    /// <param name="target">Made here.</param>
    /// <param name="documents">As many as the source has.</param>
    public static Spent Run(string source, string target, int documents)
    {
        using var database = Database.Open(target, new() { CacheKiB = 128 << 10, WalAutoCheckpointPages = 4000 });
        database.Execute($"ATTACH '{source}' AS source");
        database.Execute(
            """
            CREATE TABLE entries(
                hash INTEGER, key TEXT, term INTEGER, clock INTEGER, deleted INTEGER, digest BLOB, op BLOB,
                origin INTEGER, body INTEGER, PRIMARY KEY(hash, key)) WITHOUT ROWID;
            CREATE TABLE bodies(id INTEGER PRIMARY KEY, body TEXT)
            """
        );
        using var entries = database.Prepare(
            "INSERT INTO main.entries SELECT * FROM source.entries WHERE hash > ?1 ORDER BY hash, key LIMIT ?2"
        );
        using var bodies = database.Prepare(
            "INSERT INTO main.bodies SELECT * FROM source.bodies WHERE id >= ?1 AND id < ?1 + ?2"
        );
        using var greatest = database.Prepare("SELECT hash FROM main.entries ORDER BY hash DESC LIMIT 1");
        var watch = Spent.Start();
        for (var from = 0; from < documents; from += Batch)
        {
            database.BeginImmediate();
            var last = greatest.Step() ? greatest.Int64(0) : long.MinValue;
            greatest.Reset();
            entries.Bind(1, last).Bind(2, Batch).Execute();
            bodies.Bind(1, from + 1).Bind(2, Batch).Execute();
            database.Commit();
        }

        var spent = watch.Now();
        foreach (var table in (string[])["entries", "bodies"])
        {
            var copied = database.QueryInt64($"SELECT count(*) FROM main.{table}");
            if (copied != documents)
                throw new InvalidOperationException($"SQLite copied {copied} {table} of {documents} from {source}");
        }

        return spent;
    }
}
