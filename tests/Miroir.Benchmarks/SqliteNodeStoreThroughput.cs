using System.Diagnostics;
using System.Text;
using Miroir.Core;
using Miroir.Stores.Sqlite;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Benchmarks;

/// <summary>
/// What a node's store on SQLite does in a second, synchronous=FULL: filling a shard in key order as a copy does, beside
/// what SQLite itself needs to copy the same rows from file to file; single puts from many callers; reads; scans.
/// </summary>
public static class SqliteNodeStoreThroughput
{
    private const int Documents = 200_000;
    private const int Batch = 2000;
    private const int BodyBytes = 1024;
    private const int Shards = 16;
    private const int Callers = 64;
    private const int PutsByCaller = 1000;
    private const int Repeats = 3;

    /// <param name="output">Where the lines go.</param>
    /// <param name="folder">A folder on the disk to measure; files are made in it and removed.</param>
    public static async Task Run(TextWriter output, string folder)
    {
        var here = Path.Combine(folder, $"sqlite-node-store-{Environment.ProcessId}");
        var documents = MakeDocuments();
        try
        {
            output.WriteLine($"SQLite {SqliteLibrary.Version}, bodies of {BodyBytes} bytes, {Documents:N0} documents");
            for (var repeat = 0; repeat < Repeats; repeat++)
            {
                await Fill(output, Path.Combine(here, "fill-1"), documents, atOnce: 1);
                await Fill(output, Path.Combine(here, "fill-2"), documents, atOnce: 2);
                CopyFile(
                    output,
                    Path.Combine(here, "fill-2", "shards", "bench", "1-0.db"),
                    Path.Combine(here, "raw.db")
                );
                await Singles(output, Path.Combine(here, "singles"), documents);
                Directory.Delete(here, recursive: true);
            }
        }
        finally
        {
            if (Directory.Exists(here))
                Directory.Delete(here, recursive: true);
        }
    }

    private static Document[] MakeDocuments()
    {
        var filler = new string('x', BodyBytes - 30);
        var documents = new Document[Documents];
        for (var i = 0; i < documents.Length; i++)
        {
            var body = Encoding.UTF8.GetBytes($"{{\"n\":{i:D9},\"text\":\"{filler}\"}}");
            documents[i] = Document.Live(
                Key.Of($"document-{i:D9}"),
                new DocumentVersion(1, i + 1),
                body,
                new Guid(i, 0, 0, new byte[8]),
                Origin.Client
            );
        }

        Array.Sort(documents, static (a, b) => a.Key.CompareTo(b.Key));
        return documents;
    }

    private static async Task Fill(TextWriter output, string folder, Document[] documents, int atOnce)
    {
        await using var store = SqliteNodeStore.Open(folder);
        await Make(store, 0);
        var waiting = new Queue<Task<PutReply[]>>();
        var watch = Spent.Start();
        for (var from = 0; from < documents.Length; from += Batch)
        {
            if (waiting.Count == atOnce)
                await waiting.Dequeue();
            var commands = new PutCommand[Batch];
            for (var i = 0; i < Batch; i++)
                commands[i] = new PutCommand(Stamp(0), Shard(0), documents[from + i]);
            waiting.Enqueue(store.Put(commands, CancellationToken.None));
        }

        await Task.WhenAll(waiting);
        Print(output, $"ordered fill, batches of {Batch}, {atOnce} at once", documents.Length, watch.Now());
        if (atOnce == 2)
            await Scans(output, store);
    }

    private static async Task Scans(TextWriter output, SqliteNodeStore store)
    {
        foreach (var withBodies in new[] { false, true })
        {
            var watch = Spent.Start();
            var rows = 0;
            Key? after = null;
            while (true)
            {
                var command = new ScanCommand(Stamp(0), Shard(0), HashRange.Full, after, 2000, 4 << 20, withBodies);
                var page = ((ScanReply.Page)await store.ScanPage(command, CancellationToken.None)).Item;
                rows += page.Entries.Length;
                if (page.IsLast)
                    break;
                after = page.Entries[^1].Key;
            }

            Print(output, withBodies ? "scan with bodies" : "scan of entries", rows, watch.Now());
        }
    }

    /// <summary>The same rows, the same transactions, and nothing of Miroir's between the two files.</summary>
    private static void CopyFile(TextWriter output, string source, string target)
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
        var watch = Spent.Start();
        for (var from = 0; from < Documents; from += Batch)
        {
            database.BeginImmediate();
            var last = database.QueryInt64("SELECT max(hash) FROM main.entries") ?? long.MinValue;
            entries.Bind(1, last).Bind(2, Batch).Execute();
            bodies.Bind(1, from + 1).Bind(2, Batch).Execute();
            database.Commit();
        }

        Print(output, $"INSERT ... SELECT, transactions of {Batch}", Documents, watch.Now());
    }

    private static async Task Singles(TextWriter output, string folder, Document[] documents)
    {
        await using var store = SqliteNodeStore.Open(folder);
        for (var shard = 0; shard < Shards; shard++)
            await Make(store, shard);
        var puts = await EachCaller(async n =>
        {
            var shard = n % Shards;
            await store.Put([new PutCommand(Stamp(shard), Shard(shard), documents[n])], CancellationToken.None);
        });
        Print(output, $"single puts, {Callers} callers, {Shards} shards", Callers * PutsByCaller, puts);
        var reads = await EachCaller(async n =>
        {
            var shard = n % Shards;
            await store.Read([new ReadCommand(Stamp(shard), Shard(shard), documents[n].Key)], CancellationToken.None);
        });
        Print(output, $"single reads, {Callers} callers, {Shards} shards", Callers * PutsByCaller, reads);
    }

    private static async Task<Spent> EachCaller(Func<int, Task> call)
    {
        var watch = Spent.Start();
        await Task.WhenAll(
            Enumerable
                .Range(0, Callers)
                .Select(caller =>
                    Task.Run(async () =>
                    {
                        for (var i = 0; i < PutsByCaller; i++)
                            await call(i * Callers + caller);
                    })
                )
        );
        return watch.Now();
    }

    private static Task Make(SqliteNodeStore store, int shard) =>
        store.Make(new MakeCommand(Stamp(shard), Shard(shard), HashRange.Full, 0, 1), CancellationToken.None);

    private static ShardId Shard(int number) => new("bench", 1, number);

    private static RouteStamp Stamp(int shard) => new(Shard(shard), 1);

    private static void Print(TextWriter output, string what, int count, Spent spent) =>
        output.WriteLine(
            $"{what, -46} {count / spent.Elapsed.TotalSeconds, 12:N0}/s {count / spent.Cpu.TotalSeconds, 12:N0}/cpu-s"
        );

    /// <summary>Time by the clock, and by the processors: the second says more on a machine that is busy otherwise.</summary>
    private readonly record struct Spent(TimeSpan Elapsed, TimeSpan Cpu)
    {
        public static Spent Start() => new(Stopwatch.GetElapsedTime(0), Environment.CpuUsage.TotalTime);

        public Spent Now()
        {
            var now = Start();
            return new Spent(now.Elapsed - Elapsed, now.Cpu - Cpu);
        }
    }
}
