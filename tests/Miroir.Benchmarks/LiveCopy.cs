using Miroir.Chaos.Demo;
using Miroir.Chaos.Processes;
using Miroir.Core;
using Miroir.Server.Node;

namespace Miroir.Benchmarks;

/// <summary>
/// A shard copied between two node processes while documents in it are written, beside SQLite's own copy of the same
/// file. The copy is a target's pull over HTTP, durable on the target batch by batch; each write goes to both nodes, as a
/// router sends it while a shard is in Copying.
/// </summary>
/// <remarks>
/// The writes come from this process instead of a router's, so that the two processors are left to what is measured: the
/// two nodes. Every copy is checked by a delta pass, which has to find nothing left to do.
/// </remarks>
internal static class LiveCopy
{
    private const int Clients = 128;
    private const int WritesPerSecond = 2000;
    private const int Repeats = 3;

    /// <param name="Documents">How many are copied.</param>
    /// <param name="Repeats">How often, each time beside SQLite's copy.</param>
    /// <param name="RedisPerSecond">Keys/s of a Redis Cluster reshard of this size on such a machine, in memory.</param>
    private readonly record struct Size(int Documents, int Repeats, double? RedisPerSecond);

    private static readonly Size[] Sizes = [new(200_000, Repeats, 13_600), new(1_000_000, Repeats, 43_500)];

    public static async Task RunAsync(BenchOptions options, TextWriter output, CancellationToken cancel)
    {
        output.WriteLine(
            $"Documents of {MadeDocuments.BodyBytes} bytes, one shard, {WritesPerSecond:N0} writes/s from {Clients} clients meanwhile; every copy checked by a delta pass."
        );
        var table = new MarkdownTable(
            "documents",
            "Miroir/s",
            "MB/s",
            "SQLite/s",
            "Miroir : SQLite",
            "writes/s",
            "write p99 ms",
            "Redis reshard/s",
            "Miroir : Redis"
        );
        Size[] sizes = options switch
        {
            { Documents: > 0 } => [new Size(options.Documents, Repeats, null)],
            { IsQuick: true } => [new Size(5_000, 1, null)],
            _ => Sizes,
        };
        foreach (var size in sizes)
            await MeasureAsync(options, size, table, output, cancel);
        table.Print(output);
        output.WriteLine(
            "Redis reshard: for reference, what a Redis Cluster reshard of as many keys moved on such a machine, in memory; not measured here."
        );
    }

    private static async Task MeasureAsync(
        BenchOptions options,
        Size size,
        MarkdownTable table,
        TextWriter output,
        CancellationToken cancel
    )
    {
        var folder = options.Place($"copy-{size.Documents}");
        List<double> ours = [];
        List<double> sqlites = [];
        List<LatencySummary> writes = [];
        List<double> writeRates = [];
        await using (var cluster = new Cluster(folder, 0, ""))
        {
            var source = await cluster.StartNodeAsync("source");
            var target = await cluster.StartNodeAsync("target");
            using var nodes = new HttpNodeDirectory();
            var pair = new CopyPair(
                nodes.Get("source", source.Address),
                source.Address,
                nodes.Get("target", target.Address)
            );
            var filling = Spent.Start();
            await pair.FillAsync(size.Documents, cancel);
            output.WriteLine(
                $"{size.Documents:N0}: source filled by clients' puts, {size.Documents / filling.Now().Elapsed.TotalSeconds:N0}/s"
            );
            for (var repeat = 0; repeat < size.Repeats; repeat++)
            {
                await pair.MakeTargetAsync(cancel);
                var load = new PacedLoad(
                    Clients,
                    WritesPerSecond,
                    (client, random) => pair.DualWriteAsync(client, random, cancel)
                );
                load.Start();
                await Task.Delay(options.IsQuick ? 200 : 2000, cancel);
                var fromMs = load.NowMs;
                var cpu = Spent.Start(source.Id, target.Id);
                await pair.ReconcileAsync(ReconcileMode.Copy, cancel);
                var spent = cpu.Now(source.Id, target.Id);
                var meanwhile = load.Between(fromMs, load.NowMs);
                await load.StopAsync();
                await pair.SettleAsync();
                ours.Add(size.Documents / spent.Elapsed.TotalSeconds);
                writes.Add(meanwhile);
                writeRates.Add(meanwhile.Count / spent.Elapsed.TotalSeconds);

                var checking = Spent.Start();
                var delta = await pair.ReconcileAsync(ReconcileMode.Delta, cancel);
                if (delta.Copied != 0 || delta.Compared != size.Documents)
                    throw new InvalidOperationException(
                        $"the delta pass after the copy compared {delta.Compared} of {size.Documents} documents and copied {delta.Copied}: the copy was not whole"
                    );
                var checkedPerSecond = size.Documents / checking.Now().Elapsed.TotalSeconds;
                await pair.DropTargetAsync(cancel);

                var file = Path.Combine(cluster.NodeFolder("source"), "shards", "bench", "1-0.db");
                var raw = SqliteCopy.Run(file, Path.Combine(folder, $"sqlite-{repeat}.db"), size.Documents);
                sqlites.Add(size.Documents / raw.Elapsed.TotalSeconds);
                output.WriteLine(
                    $"{size.Documents:N0}: copy {ours[^1]:N0}/s, {spent.Cpu.TotalMicroseconds / size.Documents:F1} µs of both nodes' CPU each, {writeRates[^1]:N0} writes/s ({meanwhile}); SQLite {sqlites[^1]:N0}/s, {raw.Cpu.TotalMicroseconds / size.Documents:F1} µs each; delta pass compared {checkedPerSecond:N0}/s, found nothing"
                );
                foreach (var made in Directory.EnumerateFiles(folder, "sqlite-*"))
                    File.Delete(made);
            }
        }

        Directory.Delete(folder, recursive: true);
        var (our, sqlite) = (Measures.Median(ours), Measures.Median(sqlites));
        table.Add(
            MarkdownTable.Count(size.Documents),
            MarkdownTable.Count(our),
            MarkdownTable.Count(our * MadeDocuments.BodyBytes / 1e6),
            MarkdownTable.Count(sqlite),
            MarkdownTable.Ratio(our / sqlite),
            MarkdownTable.Count(Measures.Median(writeRates)),
            MarkdownTable.Ms(Measures.Median(writes.Select(w => w.P99))),
            size.RedisPerSecond is { } redis ? MarkdownTable.Count(redis) : "-",
            size.RedisPerSecond is { } keys ? MarkdownTable.Ratio(our / keys) : "-"
        );
    }
}
