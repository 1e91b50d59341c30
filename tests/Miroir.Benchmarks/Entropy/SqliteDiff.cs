using System.Diagnostics;
using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Benchmarks;

/// <summary>SQLite by itself over the two replicas' files, which the nodes have open meanwhile.</summary>
internal sealed class SqliteDiff : IDisposable
{
    private readonly Database _database;

    public SqliteDiff(string left, string right)
    {
        // The cache that a node's own connections to one file have at most.
        _database = Database.Open(left, new() { Access = DatabaseAccess.ReadOnly, CacheKiB = 128 << 10 });
        _database.Execute($"ATTACH '{right}' AS other");
    }

    /// <summary>All that a merge reads, of one file, in its order.</summary>
    public (long Rows, Spent Spent) Scan()
    {
        using var scan = _database.Prepare(
            "SELECT hash, key, term, clock, deleted, digest, op, origin FROM main.entries ORDER BY hash, key"
        );
        var started = Spent.Start();
        var rows = 0L;
        var read = 0L;
        while (scan.Step())
        {
            rows++;
            read += scan.Int64(0) + scan.Text(1).Length + scan.Int64(2) + scan.Int64(3) + scan.Int64(4);
            read += scan.Blob(5).Length + scan.Blob(6).Length + scan.Int64(7);
        }

        GC.KeepAlive(read);
        return (rows, started.Now());
    }

    /// <summary>What differs between the two, by their versions and digests: how many, and milliseconds.</summary>
    public (long Differences, double Ms) FullJoin()
    {
        using var join = _database.Prepare(
            """
            SELECT l.hash, r.hash FROM main.entries l FULL JOIN other.entries r ON l.hash = r.hash AND l.key = r.key
            WHERE l.term IS NOT r.term OR l.clock IS NOT r.clock OR l.deleted IS NOT r.deleted OR l.digest IS NOT r.digest
            """
        );
        var started = Stopwatch.GetTimestamp();
        var differences = 0L;
        while (join.Step())
            differences++;
        return (differences, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
    }

    public void Dispose() => _database.Dispose();
}
