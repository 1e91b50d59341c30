using Miroir.Core;
using Miroir.Stores.Sqlite;

namespace Miroir.Benchmarks;

/// <summary>
/// What a node's store on SQLite does in a second, synchronous=FULL: filling a shard in key order as a copy does, beside
/// what SQLite itself needs to copy the same rows from file to file; the same in random order, as clients' new documents
/// come; single puts from many callers; reads; scans; digests.
/// </summary>
internal sealed class SqliteNodeStoreThroughput
{
    private const int Shards = 16;

    private readonly Document[] _documents;
    private readonly Document[] _shuffled;
    private readonly int _callers;
    private readonly int _putsByCaller;
    private readonly List<(string What, double PerSecond, double PerCpuSecond)> _measured = [];

    private SqliteNodeStoreThroughput(bool isQuick)
    {
        _documents = new Document[isQuick ? 4_000 : 200_000];
        for (var i = 0; i < _documents.Length; i++)
            _documents[i] = MadeDocuments.Live(i, new DocumentVersion(1, i + 1));
        _shuffled = [.. _documents];
        new Random(1).Shuffle(_shuffled);
        Array.Sort(_documents, static (a, b) => a.Key.CompareTo(b.Key));
        (_callers, _putsByCaller) = isQuick ? (8, 50) : (64, 1000);
    }

    public static async Task RunAsync(BenchOptions options, TextWriter output, CancellationToken cancel)
    {
        var folder = options.Place("sqlite-node-store");
        var repeats = options.IsQuick ? 1 : 3;
        var bench = new SqliteNodeStoreThroughput(options.IsQuick);
        output.WriteLine(
            $"{bench._documents.Length:N0} documents of {MadeDocuments.BodyBytes} bytes; medians of {repeats} runs."
        );
        for (var repeat = 0; repeat < repeats; repeat++)
        {
            cancel.ThrowIfCancellationRequested();
            await bench.OnceAsync(folder);
            Directory.Delete(folder, recursive: true);
        }

        bench.Print(output);
    }

    private async Task OnceAsync(string folder)
    {
        await Fill(Path.Combine(folder, "fill-random"), _shuffled, atOnce: 1);
        await Fill(Path.Combine(folder, "fill-1"), _documents, atOnce: 1);
        await Fill(Path.Combine(folder, "fill-2"), _documents, atOnce: 2);
        var file = Path.Combine(folder, "fill-2", "shards", "bench", "1-0.db");
        var raw = SqliteCopy.Run(file, Path.Combine(folder, "raw.db"), _documents.Length);
        Note($"INSERT ... SELECT, transactions of {SqliteCopy.Batch}", _documents.Length, raw);
        await Singles(Path.Combine(folder, "singles"));
    }

    private void Print(TextWriter output)
    {
        var table = new MarkdownTable("what", "/s", "/s of CPU");
        foreach (var same in _measured.GroupBy(m => m.What))
            table.Add(
                same.Key,
                MarkdownTable.Count(Measures.Median(same.Select(m => m.PerSecond))),
                MarkdownTable.Count(Measures.Median(same.Select(m => m.PerCpuSecond)))
            );
        table.Print(output);
    }

    private void Note(string what, int count, Spent spent) =>
        _measured.Add((what, count / spent.Elapsed.TotalSeconds, count / spent.Cpu.TotalSeconds));

    private async Task Fill(string folder, Document[] documents, int atOnce)
    {
        await using var store = SqliteNodeStore.Open(folder);
        await Make(store, 0);
        var waiting = new Queue<Task<PutReply[]>>();
        var watch = Spent.Start();
        for (var from = 0; from < documents.Length; from += SqliteCopy.Batch)
        {
            if (waiting.Count == atOnce)
                await waiting.Dequeue();
            var commands = new PutCommand[SqliteCopy.Batch];
            for (var i = 0; i < SqliteCopy.Batch; i++)
                commands[i] = new PutCommand(Stamp(0), Shard(0), documents[from + i]);
            waiting.Enqueue(store.Put(commands, CancellationToken.None));
        }

        await Task.WhenAll(waiting);
        var order = ReferenceEquals(documents, _shuffled) ? "random" : "ordered";
        Note($"{order} fill, batches of {SqliteCopy.Batch}, {atOnce} at once", documents.Length, watch.Now());
        if (atOnce != 2)
            return;
        await Scans(store);
        await Digests(store);
    }

    /// <summary>The root and its children, as a comparison asks for them: nothing is read from the disk.</summary>
    private static async Task DigestsOnce(SqliteNodeStore store)
    {
        var command = new DigestCommand(Stamp(0), Shard(0), [HashRange.Full, .. DigestGrid.childrenOf(HashRange.Full)]);
        var reply = await store.Digests(command, CancellationToken.None);
        if (!reply.IsDigests)
            throw new InvalidOperationException($"{reply}");
    }

    private async Task Digests(SqliteNodeStore store)
    {
        const int Calls = 200;
        var watch = Spent.Start();
        for (var call = 0; call < Calls; call++)
            await DigestsOnce(store);
        Note("digests of everything and of its 16 parts, calls", Calls, watch.Now());
    }

    private async Task Scans(SqliteNodeStore store)
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

            Note(withBodies ? "scan with bodies" : "scan of entries", rows, watch.Now());
        }
    }

    private async Task Singles(string folder)
    {
        await using var store = SqliteNodeStore.Open(folder);
        for (var shard = 0; shard < Shards; shard++)
            await Make(store, shard);
        var puts = await EachCaller(async n =>
        {
            var shard = n % Shards;
            await store.Put([new PutCommand(Stamp(shard), Shard(shard), _documents[n])], CancellationToken.None);
        });
        Note($"single puts, {_callers} callers, {Shards} shards", _callers * _putsByCaller, puts);
        var reads = await EachCaller(async n =>
        {
            var shard = n % Shards;
            await store.Read([new ReadCommand(Stamp(shard), Shard(shard), _documents[n].Key)], CancellationToken.None);
        });
        Note($"single reads, {_callers} callers, {Shards} shards", _callers * _putsByCaller, reads);
    }

    private async Task<Spent> EachCaller(Func<int, Task> call)
    {
        var watch = Spent.Start();
        await Task.WhenAll(
            Enumerable
                .Range(0, _callers)
                .Select(caller =>
                    Task.Run(async () =>
                    {
                        for (var i = 0; i < _putsByCaller; i++)
                            await call(i * _callers + caller);
                    })
                )
        );
        return watch.Now();
    }

    private static Task Make(SqliteNodeStore store, int shard) =>
        store.Make(new MakeCommand(Stamp(shard), Shard(shard), HashRange.Full, 0, 1), CancellationToken.None);

    private static ShardId Shard(int number) => new("bench", 1, number);

    private static RouteStamp Stamp(int shard) => new(Shard(shard), 1);
}
