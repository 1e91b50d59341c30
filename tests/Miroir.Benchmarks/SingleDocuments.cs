using System.Globalization;
using Miroir.Chaos.Processes;
using Miroir.Server.Node;

namespace Miroir.Benchmarks;

/// <summary>
/// Single documents, durably written and confirmed read: through a router process and the document API, beside a node
/// process alone, called as a router calls it. Both from this process, both with as many shards, one copy of each.
/// </summary>
internal static class SingleDocuments
{
    private const string Index = "bench";
    private const int Shards = 16;

    private static readonly int[] Clients = [1, 32, 128];

    public static async Task RunAsync(BenchOptions options, TextWriter output, CancellationToken cancel)
    {
        var (documents, repeats, length) = options.IsQuick
            ? (1_000, 1, TimeSpan.FromSeconds(0.3))
            : (20_000, 3, TimeSpan.FromSeconds(3));
        output.WriteLine(
            $"Documents of {MadeDocuments.BodyBytes} bytes over {documents:N0} keys in {Shards} shards; writes replace, reads are confirmed; medians of {repeats} interleaved runs of {length.TotalSeconds:N1} s."
        );
        var folder = options.Place("single");
        await using (var cluster = new Cluster(folder, 0, ""))
        {
            await cluster.StartNodeAsync("routed");
            await cluster.StartCoordinatorAsync();
            await cluster.StartRouterAsync("router");
            var alone = await cluster.StartNodeAsync("alone");
            using var directory = new HttpNodeDirectory();
            using var client = new RouterClient(cluster.Routers[0].Address, Index);
            await client.CreateIndexAsync(Shards, replication: 1, cancel);
            var node = await NodeAlone.MakeAsync(directory.Get("alone", alone.Address), Shards, documents, cancel);
            await client.ImportAsync(documents, cancel);

            var revision = 0;
            (string What, Func<Random, Task> Routed, Func<Random, Task> Alone)[] operations =
            [
                (
                    "write",
                    random =>
                        client.PutAsync(
                            MadeDocuments.Body(random.Next(documents), Interlocked.Increment(ref revision)),
                            cancel
                        ),
                    random => node.PutAsync(random.Next(documents), Interlocked.Increment(ref revision), cancel)
                ),
                (
                    "read",
                    random => client.ReadAsync(MadeDocuments.Id(random.Next(documents)), cancel),
                    random => node.ReadAsync(random.Next(documents), cancel)
                ),
            ];
            var table = new MarkdownTable(
                "operation, clients",
                "router/s",
                "p50 ms",
                "p99 ms",
                "node alone/s",
                "p50 ms",
                "p99 ms",
                "rate, router : node",
                "p50, router : node",
                "p99, router : node"
            );
            foreach (var (what, routed, direct) in operations)
            {
                // Once unmeasured: what is compiled on first use is no cost of a document.
                await LoopResult.RunAsync(32, length, routed);
                await LoopResult.RunAsync(32, length, direct);
                foreach (var clients in Clients)
                {
                    List<LoopResult> through = [];
                    List<LoopResult> without = [];
                    for (var repeat = 0; repeat < repeats; repeat++)
                    {
                        cancel.ThrowIfCancellationRequested();
                        through.Add(await LoopResult.RunAsync(clients, length, routed));
                        without.Add(await LoopResult.RunAsync(clients, length, direct));
                    }

                    Add(table, $"{what}, {clients.ToString(CultureInfo.InvariantCulture)}", through, without);
                }
            }

            table.Print(output);
            if (client.Refused + client.Unknown > 0)
                output.WriteLine(
                    $"{client.Refused} requests were refused and sent again, {client.Unknown} ended with an unknown outcome."
                );
        }

        Directory.Delete(folder, recursive: true);
    }

    private static void Add(MarkdownTable table, string name, List<LoopResult> through, List<LoopResult> without)
    {
        static double Of(List<LoopResult> runs, Func<LoopResult, double> figure) =>
            Measures.Median(runs.Select(figure));
        double[] ours =
        [
            Of(through, r => r.PerSecond),
            Of(through, r => r.Latency.P50),
            Of(through, r => r.Latency.P99),
        ];
        double[] nodes =
        [
            Of(without, r => r.PerSecond),
            Of(without, r => r.Latency.P50),
            Of(without, r => r.Latency.P99),
        ];
        table.Add(
            name,
            MarkdownTable.Count(ours[0]),
            MarkdownTable.Ms(ours[1]),
            MarkdownTable.Ms(ours[2]),
            MarkdownTable.Count(nodes[0]),
            MarkdownTable.Ms(nodes[1]),
            MarkdownTable.Ms(nodes[2]),
            MarkdownTable.Ratio(ours[0] / nodes[0]),
            MarkdownTable.Ratio(ours[1] / nodes[1]),
            MarkdownTable.Ratio(ours[2] / nodes[2])
        );
    }
}
