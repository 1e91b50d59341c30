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
internal static class ShardFileFsyncs
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
    public static Task RunAsync(BenchOptions options, TextWriter output, CancellationToken cancel)
    {
        var folder = options.Place("shard-file-fsyncs");
        var repeats = options.IsQuick ? 1 : Repeats;
        output.WriteLine(
            $"{Shards} shards, bodies of {BodyBytes} bytes, synchronous=FULL; medians of {repeats} interleaved runs."
        );
        var table = new MarkdownTable(
            "waiting for each shard",
            "documents",
            "one file/s",
            "file each/s",
            "syncs",
            "syncs each",
            "file each : one file"
        );
        foreach (var waiting in options.IsQuick ? [4] : new[] { 1, 4, 16, 64 })
        {
            var rounds = options.IsQuick ? 10 : Math.Max(100, 3200 / waiting);
            var documents = Shards * waiting * rounds;
            var one = new List<double>();
            var each = new List<double>();
            for (var repeat = 0; repeat < repeats; repeat++)
            {
                cancel.ThrowIfCancellationRequested();
                // Interleaved, so that a busy moment of the machine meets both.
                one.Add(documents / Measure(folder, files: 1, Shards * waiting, rounds).TotalSeconds);
                each.Add(documents / Measure(folder, files: Shards, waiting, rounds).TotalSeconds);
            }

            var (o, e) = (Measures.Median(one), Measures.Median(each));
            table.Add(
                MarkdownTable.Count(waiting),
                MarkdownTable.Count(documents),
                MarkdownTable.Count(o),
                MarkdownTable.Count(e),
                MarkdownTable.Count(rounds),
                MarkdownTable.Count(rounds * Shards),
                MarkdownTable.Ratio(e / o)
            );
        }

        table.Print(output);
        return Task.CompletedTask;
    }

    private static TimeSpan Measure(string folder, int files, int documentsPerCommit, int rounds)
    {
        var here = Directory.CreateDirectory(Path.Combine(folder, "files"));
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
}
