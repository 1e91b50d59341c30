using System.Diagnostics;
using System.Text;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Benchmarks;

/// <summary>
/// What a file for each shard costs in fsyncs when all shards are written at once, against one file
/// for all: the same documents, the same number waiting at each shard, group commit in both.
/// With one file a round is one transaction and one sync; with a file each, one of each per shard,
/// from as many threads as there are shards.
/// </summary>
public sealed class ShardFileFsyncs
{
    private const int Shards = 16;
    private const int BodyBytes = 1024;
    private const int Repeats = 3;

    // The same memory for both, shared out among the files.
    private const int CacheKiB = 32 * 1024;

    private const string Schema = """
        CREATE TABLE entries(hash INTEGER, key TEXT, clock INTEGER, body INTEGER, PRIMARY KEY(hash, key)) WITHOUT ROWID;
        CREATE TABLE bodies(id INTEGER PRIMARY KEY, body TEXT)
        """;

    /// <summary>Prints documents/s and syncs of both, and their ratio, for several sizes of a group.</summary>
    /// <param name="output">Where the table goes.</param>
    /// <param name="folder">A folder on the disk to measure; files are made in it and removed.</param>
    public static void Run(TextWriter output, string folder)
    {
        output.WriteLine(
            $"SQLite {SqliteLibrary.Version}, {Shards} shards, bodies of {BodyBytes} bytes, synchronous=FULL"
        );
        output.WriteLine(
            $"{"waiting/shard", 13} {"documents", 9} {"one file/s", 11} {"file each/s", 11} {"syncs", 6} {"syncs each", 10} {"ratio", 6}"
        );
        foreach (var waiting in new[] { 1, 4, 16, 64 })
        {
            var rounds = Math.Max(100, 3200 / waiting);
            var documents = Shards * waiting * rounds;
            var one = new List<double>();
            var each = new List<double>();
            for (var repeat = 0; repeat < Repeats; repeat++)
            {
                // Interleaved, so that a busy moment of the machine meets both.
                one.Add(documents / Measure(folder, files: 1, Shards * waiting, rounds).TotalSeconds);
                each.Add(documents / Measure(folder, files: Shards, waiting, rounds).TotalSeconds);
            }

            var (o, e) = (Median(one), Median(each));
            output.WriteLine(
                $"{waiting, 13} {documents, 9:N0} {o, 11:N0} {e, 11:N0} {rounds, 6:N0} {rounds * Shards, 10:N0} {e / o, 6:F2}"
            );
        }
    }

    private static TimeSpan Measure(string folder, int files, int documentsPerCommit, int rounds)
    {
        var here = Directory.CreateDirectory(Path.Combine(folder, $"shard-file-fsyncs-{Environment.ProcessId}"));
        var databases = new List<Database>();
        try
        {
            for (var i = 0; i < files; i++)
            {
                databases.Add(
                    Database.Open(Path.Combine(here.FullName, $"{i}.db"), new() { CacheKiB = CacheKiB / files })
                );
                databases[i].Execute(Schema);
            }

            using var start = new Barrier(files + 1);
            var threads = databases
                .Select(database => new Thread(() =>
                {
                    start.SignalAndWait();
                    Write(database, documentsPerCommit, rounds);
                }))
                .ToList();
            threads.ForEach(thread => thread.Start());
            start.SignalAndWait();
            var watch = Stopwatch.StartNew();
            threads.ForEach(thread => thread.Join());
            return watch.Elapsed;
        }
        finally
        {
            databases.ForEach(database => database.Dispose());
            here.Delete(recursive: true);
        }
    }

    private static void Write(Database database, int documentsPerCommit, int rounds)
    {
        var random = new Random(documentsPerCommit);
        var body = Encoding.UTF8.GetBytes($"\"{new string('x', BodyBytes - 2)}\"");
        using var entry = database.Prepare("INSERT INTO entries VALUES(?1, ?2, ?3, ?4)");
        using var content = database.Prepare("INSERT INTO bodies VALUES(?1, ?2)");
        var id = 0L;
        for (var round = 0; round < rounds; round++)
        {
            database.BeginImmediate();
            for (var i = 0; i < documentsPerCommit; i++)
            {
                id++;
                entry.Bind(1, random.NextInt64(long.MinValue, long.MaxValue)).BindText(2, "a-key-of-24-bytes-or-so-"u8);
                entry.Bind(3, id).Bind(4, id).Execute();
                content.Bind(1, id).BindText(2, body).Execute();
            }
            database.Commit();
        }
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }
}
