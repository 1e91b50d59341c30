using Miroir.Core;
using Miroir.Stores;

namespace Miroir.Benchmarks;

/// <summary>
/// What it takes to find and to repair what differs between two replicas in node processes, beside what SQLite itself
/// takes over their files; what the digests that make it cheap cost each put; and what memory a merge takes.
/// </summary>
internal sealed class EntropyBenchmark(BenchOptions options, TextWriter output, CancellationToken cancel)
{
    private const int WarmUps = 5;

    private readonly int _rows =
        options.Documents > 0 ? options.Documents
        : options.IsQuick ? 20_000
        : 1_000_000;
    private readonly MarkdownTable _table = new(
        "what",
        "runs",
        "min ms",
        "median ms",
        "max ms",
        "CPU ms",
        "round trips",
        "KiB read",
        "FULL JOIN : median"
    );
    private readonly List<double> _joins = [];

    public static Task RunAsync(BenchOptions options, TextWriter output, CancellationToken cancel) =>
        new EntropyBenchmark(options, output, cancel).RunAsync();

    private async Task RunAsync()
    {
        output.WriteLine(
            $"Two replicas of {_rows:N0} rows in node processes: keys of {EntropyRows.KeyBytes} bytes, bodies of {EntropyRows.BodyBytes}."
        );
        var folder = options.Place("anti-entropy");
        await using (var cluster = await ReplicaCluster.StartAsync(folder, cancel))
            await ReplicasAsync(cluster);
        await new PutCost(
            folder,
            Math.Max(2_000, _rows / 5),
            "Leaf digests",
            keeps => new() { KeepsLeafDigests = keeps, Changes = ChangeRetention.Unlimited }
        ).RunAsync(options.IsQuick ? 1 : 5, output, cancel);
        await MergeMemory.RunAsync(options.IsQuick, output, cancel);
        Directory.Delete(folder, recursive: true);
    }

    private async Task ReplicasAsync(ReplicaCluster cluster)
    {
        var planted = new PlantedRows(cluster);
        var filling = Spent.Start();
        await planted.FillAsync(_rows, cancel);
        output.WriteLine($"filled with {2 * _rows / filling.Now().Elapsed.TotalSeconds:N0} puts/s, both");
        var comparing = new Comparing(cluster, cancel);
        var rounds = options.IsQuick ? 3 : 15;
        using (var sqlite = new SqliteDiff(cluster.FileOf(cluster.Replicas[0]), cluster.FileOf(cluster.Replicas[1])))
        {
            await InSyncAsync(comparing, rounds);
            var few = Math.Min(100, _rows / 10);
            await DifferencesAsync(planted, comparing, sqlite, few, rounds);
            await DifferencesAsync(planted, comparing, sqlite, Math.Min(100_000, _rows / 10), options.IsQuick ? 1 : 3);
            Reference("pg_comparator", 1650);
            Reference("pg_comparator, stored checksums", 840);
            Reference("pt-table-sync", 2450);
            Reference("SQLite FULL JOIN", 1410);
            _table.Print(output);
            output.WriteLine(
                "References: finding the 100 in tables of that shape and 1,000,000 rows, on such a machine; not measured here. FULL JOIN : median is SQLite's diff of both files in this run."
            );
            await MergeAsync(comparing, sqlite, options.IsQuick ? 1 : 5);
        }
    }

    private void Reference(string what, double ms) =>
        _table.Add($"reference: {what}", "-", "-", MarkdownTable.Count(ms), "-", "-", "-", "-", "-");

    private async Task InSyncAsync(Comparing comparing, int rounds)
    {
        List<Compared> runs = [];
        for (var round = -WarmUps; round < 2 * rounds; round++)
        {
            var run = await comparing.FindAsync();
            Demand(run, new Planted());
            if (round >= 0)
                runs.Add(run);
        }

        Add("in sync", runs);
    }

    /// <summary>Each round plants others, finds them, finds and repairs them, and finds nothing.</summary>
    private async Task DifferencesAsync(
        PlantedRows planted,
        Comparing comparing,
        SqliteDiff sqlite,
        int differences,
        int rounds
    )
    {
        List<Compared> found = [];
        List<Compared> repaired = [];
        for (var round = -1; round < rounds; round++)
        {
            var plant = await planted.PlantAsync(differences, cancel);
            var find = await comparing.FindAsync();
            Demand(find, plant);
            if (round >= 0 && (round < 3 || _joins.Count == 0))
            {
                var (joined, ms) = sqlite.FullJoin();
                if (joined != differences)
                    throw new InvalidOperationException($"SQLite's diff found {joined} of {differences}");
                _joins.Add(ms);
            }

            var repair = await comparing.RepairAsync();
            Demand(repair, plant);
            Demand(await comparing.FindAsync(), new Planted());
            // The first compiles.
            if (round < 0 && rounds > 1)
                continue;
            found.Add(find);
            repaired.Add(repair);
        }

        Add($"{differences:N0} differences found", found);
        Add($"{differences:N0} differences found and repaired", repaired);
        AddMs($"SQLite's FULL JOIN finds {differences:N0}", _joins, null, 0, 0);
        _joins.Clear();
    }

    private async Task MergeAsync(Comparing comparing, SqliteDiff sqlite, int rounds)
    {
        List<(double PerSecond, double CpuMicroseconds)> merges = [];
        List<(double PerSecond, double CpuMicroseconds)> scans = [];
        for (var round = -1; round < rounds; round++)
        {
            var (keys, merged) = await comparing.MergeAsync();
            var (rows, scanned) = sqlite.Scan();
            if (round < 0)
                continue;
            // The merge reads a row of each replica for a key.
            merges.Add((2 * keys / merged.Elapsed.TotalSeconds, merged.Cpu.TotalMicroseconds / (2 * keys)));
            scans.Add((rows / scanned.Elapsed.TotalSeconds, scanned.Cpu.TotalMicroseconds / rows));
        }

        var table = new MarkdownTable("rows in a second", "min", "median", "max", "CPU µs each", "merge : scan");
        double Median(List<(double PerSecond, double CpuMicroseconds)> runs) =>
            Measures.Median(runs.Select(run => run.PerSecond));
        void AddRates(string what, List<(double PerSecond, double CpuMicroseconds)> runs, string ratio) =>
            table.Add(
                what,
                MarkdownTable.Count(runs.Min(run => run.PerSecond)),
                MarkdownTable.Count(Median(runs)),
                MarkdownTable.Count(runs.Max(run => run.PerSecond)),
                $"{runs.Average(run => run.CpuMicroseconds):F2}",
                ratio
            );
        AddRates("merge of both replicas, without digests", merges, "");
        AddRates("SQLite's ordered scan of one file", scans, MarkdownTable.Ratio(Median(merges) / Median(scans)));
        table.Print(output);
    }

    private void Add(string what, List<Compared> runs) =>
        AddMs(
            what,
            [.. runs.Select(run => run.Ms)],
            runs.Average(run => run.CpuMs),
            runs.Max(run => run.RoundTrips),
            runs.Max(run => run.Bytes)
        );

    private void AddMs(string what, List<double> runs, double? cpuMs, long roundTrips, long bytes)
    {
        _table.Add(
            what,
            $"{runs.Count}",
            MarkdownTable.Ms(runs.Min()),
            MarkdownTable.Ms(Measures.Median(runs)),
            MarkdownTable.Ms(runs.Max()),
            cpuMs is { } cpu ? MarkdownTable.Ms(cpu) : "-",
            roundTrips == 0 ? "-" : MarkdownTable.Count(roundTrips),
            roundTrips == 0 ? "-" : MarkdownTable.Count(bytes / 1024.0),
            _joins.Count == 0 ? "-" : MarkdownTable.Ratio(Measures.Median(_joins) / Measures.Median(runs))
        );
    }

    private static void Demand(Compared run, Planted expected)
    {
        if (run.Found != expected)
            throw new InvalidOperationException($"found {run.Found}, but planted were {expected}");
    }
}
