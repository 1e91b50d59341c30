using System.Diagnostics;
using Miroir.Chaos.Demo;
using Miroir.Chaos.Processes;

namespace Miroir.Benchmarks;

/// <summary>
/// What clients notice of a cutover: latencies while one runs beside those of as long a time without one, in the same
/// cluster, under the same load. Each pair is a cluster of its own: three nodes, a fourth added, 16 shards made 32; in
/// every other pair the time without comes before the migration instead of after it.
/// </summary>
internal static class CutoverStall
{
    private const string Index = "bench";
    private const int OldShards = 16;
    private const int NewShards = 32;
    private const int Clients = 16;
    private const int OperationsPerSecond = 1000;

    private static readonly TimeSpan CopyLimit = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan CutoverLimit = TimeSpan.FromSeconds(120);

    /// <param name="LengthMs">How long the cutover took, and the time without it.</param>
    private sealed record Pair(
        double LengthMs,
        LatencySummary Without,
        LatencySummary With,
        long Refused,
        long Unknown
    );

    public static async Task RunAsync(BenchOptions options, TextWriter output, CancellationToken cancel)
    {
        var (documents, pairs) = options.IsQuick ? (1_000, 1) : (20_000, 5);
        output.WriteLine(
            $"{documents:N0} documents of {MadeDocuments.BodyBytes} bytes, 3 nodes and a fourth, {OldShards} -> {NewShards} shards, {OperationsPerSecond:N0} operations/s from {Clients} clients, half of them writes, half confirmed reads; from the cutover's command to the migration's end."
        );
        List<Pair> measured = [];
        for (var pair = 0; pair < pairs; pair++)
        {
            var folder = options.Place($"cutover-{pair}");
            measured.Add(await MeasureAsync(options, folder, documents, pair % 2 == 1, cancel));
            Directory.Delete(folder, recursive: true);
            var (without, with) = (measured[^1].Without, measured[^1].With);
            output.WriteLine($"pair {pair + 1}: without {without}");
            output.WriteLine($"{"in the cutover", 15} {with}");
        }

        Print(measured, output);
    }

    private static async Task<Pair> MeasureAsync(
        BenchOptions options,
        string folder,
        int documents,
        bool isWithoutFirst,
        CancellationToken cancel
    )
    {
        await using var cluster = new Cluster(folder, 0, "");
        foreach (var name in (string[])["node-1", "node-2", "node-3"])
            await cluster.StartNodeAsync(name);
        await cluster.StartCoordinatorAsync();
        await cluster.StartRouterAsync("router");
        using var client = new RouterClient(cluster.Routers[0].Address, Index);
        var watch = new MigrationWatch(client.Http, new Uri(cluster.Coordinator.Address), Stopwatch.StartNew());
        await client.CreateIndexAsync(OldShards, replication: 1, cancel);
        await client.ImportAsync(documents, cancel);

        var revision = 0;
        var load = new PacedLoad(
            Clients,
            OperationsPerSecond,
            async (_, random) =>
            {
                var number = random.Next(documents);
                var isWrite = random.Next(2) == 0;
                if (isWrite)
                    await client.PutAsync(MadeDocuments.Body(number, Interlocked.Increment(ref revision)), cancel);
                else
                    await client.ReadAsync(MadeDocuments.Id(number), cancel);
                return isWrite;
            }
        );
        load.Start();
        // Everything is compiled and every connection is open before anything counts.
        await Task.Delay(TimeSpan.FromSeconds(options.IsQuick ? 1 : 5), cancel);
        var beforeMs = load.NowMs;
        if (isWithoutFirst)
            await Task.Delay(TimeSpan.FromSeconds(options.IsQuick ? 1 : 15), cancel);
        var untilMs = load.NowMs;

        await cluster.StartNodeAsync("node-4");
        await watch.CommandAsync("/_miroir/nodes", new { name = "node-4", address = cluster.Nodes[^1].Address });
        var started = await watch.CommandAsync(
            "/_miroir/reshards",
            new
            {
                index = Index,
                newShards = NewShards,
                throttle = 0,
            }
        );
        var id = started.GetProperty("id").GetInt64();
        await watch.UntilAsync(id, () => watch.IsReadyForCutover, CopyLimit);
        await Task.Delay(TimeSpan.FromSeconds(options.IsQuick ? 0.2 : 2), cancel);

        var cutoverMs = load.NowMs;
        await watch.CommandAsync($"/_miroir/reshards/{id}/cutover", null);
        await watch.UntilAsync(id, () => watch.Status is "Complete" or "Aborted" or "Failed", CutoverLimit);
        var endedMs = load.NowMs;
        if (watch.Status != "Complete")
            throw new InvalidOperationException($"the migration ended as {watch.Status}: {watch.View}");
        var lengthMs = endedMs - cutoverMs;
        if (!isWithoutFirst)
        {
            await Task.Delay(TimeSpan.FromSeconds(1), cancel);
            beforeMs = load.NowMs;
            await Task.Delay(TimeSpan.FromMilliseconds(lengthMs), cancel);
            untilMs = load.NowMs;
        }

        await load.StopAsync();
        return new Pair(
            lengthMs,
            load.Between(Math.Max(beforeMs, untilMs - lengthMs), untilMs),
            load.Between(cutoverMs, endedMs),
            client.Refused,
            client.Unknown
        );
    }

    private static void Print(List<Pair> pairs, TextWriter output)
    {
        (string Name, Func<LatencySummary, double> Of)[] figures =
        [
            ("p50", l => l.P50),
            ("p99", l => l.P99),
            ("p99.9", l => l.P999),
            ("worst stall", l => l.Max),
        ];
        var each = new MarkdownTable([
            "pair",
            "seconds",
            "operations",
            .. figures.SelectMany(f => new[] { $"{f.Name} ms without", "in the cutover", "ratio" }),
            "refused",
            "unknown",
        ]);
        for (var i = 0; i < pairs.Count; i++)
        {
            var pair = pairs[i];
            each.Add([
                $"{i + 1}",
                $"{pair.LengthMs / 1000:F1}",
                MarkdownTable.Count(pair.With.Count),
                .. figures.SelectMany(f =>
                    new[]
                    {
                        MarkdownTable.Ms(f.Of(pair.Without)),
                        MarkdownTable.Ms(f.Of(pair.With)),
                        MarkdownTable.Ratio(f.Of(pair.With) / f.Of(pair.Without)),
                    }
                ),
                MarkdownTable.Count(pair.Refused),
                MarkdownTable.Count(pair.Unknown),
            ]);
        }

        double Median(Func<Pair, double> of) => Measures.Median(pairs.Select(of));
        each.Add([
            "median",
            $"{Median(p => p.LengthMs) / 1000:F1}",
            MarkdownTable.Count(Median(p => p.With.Count)),
            .. figures.SelectMany(f =>
                new[]
                {
                    MarkdownTable.Ms(Median(p => f.Of(p.Without))),
                    MarkdownTable.Ms(Median(p => f.Of(p.With))),
                    MarkdownTable.Ratio(Median(p => f.Of(p.With) / f.Of(p.Without))),
                }
            ),
            MarkdownTable.Count(pairs.Sum(p => p.Refused)) + " in all",
            MarkdownTable.Count(pairs.Sum(p => p.Unknown)) + " in all",
        ]);
        each.Print(output);
    }
}
