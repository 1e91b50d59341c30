using Miroir.Core;
using Miroir.Stores.Sqlite;

namespace Miroir.Benchmarks;

/// <summary>
/// What something that a store keeps costs a put: the same puts into stores that keep it and into stores that do not, by
/// turns. The second kind exists for this comparison alone.
/// </summary>
/// <param name="folder">Where the stores are made.</param>
/// <param name="rows">Rows of one run.</param>
/// <param name="kept">What it is, in words.</param>
/// <param name="options">Of a store that keeps it, or does not.</param>
internal sealed class PutCost(string folder, int rows, string kept, Func<bool, SqliteNodeStoreOptions> options)
{
    private const int Callers = 64;

    private static readonly ShardId Shard = new("bench", 1, 0);
    private static readonly RouteStamp Stamp = new(Shard, 1);

    private readonly record struct Sample(string What, bool Keeps, double PerSecond, double CpuMicroseconds);

    private readonly List<Sample> _samples = [];
    private long _clock;

    public async Task RunAsync(int repeats, TextWriter output, CancellationToken cancel)
    {
        for (var repeat = 0; repeat <= repeats; repeat++)
        {
            cancel.ThrowIfCancellationRequested();
            await OnceAsync(repeat % 2 == 0);
            await OnceAsync(repeat % 2 != 0);
            // The first was to have everything compiled.
            if (repeat == 0)
                _samples.Clear();
        }

        output.WriteLine($"{kept}: {rows:N0} rows, one shard file; medians of {repeats} runs:");
        var table = new MarkdownTable("puts", "without /s", "with /s", "with : without", "without, CPU µs", "with");
        foreach (var same in _samples.GroupBy(sample => sample.What))
        {
            double Median(bool keeps, Func<Sample, double> of) =>
                Measures.Median(same.Where(sample => sample.Keeps == keeps).Select(of));
            var (without, with) = (Median(false, s => s.PerSecond), Median(true, s => s.PerSecond));
            table.Add(
                same.Key,
                MarkdownTable.Count(without),
                MarkdownTable.Count(with),
                MarkdownTable.Ratio(with / without),
                $"{Median(false, s => s.CpuMicroseconds):F1}",
                $"{Median(true, s => s.CpuMicroseconds):F1}"
            );
        }

        table.Print(output);
    }

    private async Task OnceAsync(bool keeps)
    {
        var place = Path.Combine(folder, "put-cost");
        await using (var store = SqliteNodeStore.Open(place, options(keeps)))
        {
            await store.Make(new MakeCommand(Stamp, Shard, HashRange.Full, 0, 1), CancellationToken.None);
            void Note(string what, int count, Spent spent) =>
                _samples.Add(new(what, keeps, count / spent.Elapsed.TotalSeconds, spent.Cpu.TotalMicroseconds / count));

            Document[] documents = [.. Enumerable.Range(0, rows).Select(row => EntropyRows.Live(row, Next()))];
            var watch = Spent.Start();
            foreach (var batch in documents.Chunk(SqliteCopy.Batch))
                await store.Put(
                    [.. batch.Select(document => new PutCommand(Stamp, Shard, document))],
                    CancellationToken.None
                );
            Note($"new rows, batches of {SqliteCopy.Batch}", rows, watch.Now());

            var replaced = rows / 4;
            documents = [.. Enumerable.Range(0, replaced).Select(row => EntropyRows.Live(row, Next(), 1))];
            watch = Spent.Start();
            await Task.WhenAll(
                Enumerable
                    .Range(0, Callers)
                    .Select(caller =>
                        Task.Run(async () =>
                        {
                            for (var i = caller; i < replaced; i += Callers)
                                await store.Put([new PutCommand(Stamp, Shard, documents[i])], CancellationToken.None);
                        })
                    )
            );
            Note($"rows replaced one by one, {Callers} callers", replaced, watch.Now());
        }

        Directory.Delete(place, recursive: true);
    }

    private DocumentVersion Next() => new(1, ++_clock);
}
