using System.Globalization;
using System.Runtime.InteropServices;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Benchmarks;

internal static class Program
{
    private delegate Task Benchmark(BenchOptions options, TextWriter output, CancellationToken cancel);

    private static readonly (string Name, Benchmark Run)[] All =
    [
        ("copy", LiveCopy.RunAsync),
        ("single", SingleDocuments.RunAsync),
        ("cutover", CutoverStall.RunAsync),
        ("anti-entropy", EntropyBenchmark.RunAsync),
        ("change-log", ChangeLogCost.RunAsync),
        ("shard-file-fsyncs", ShardFileFsyncs.RunAsync),
        ("sqlite-node-store", SqliteNodeStoreThroughput.RunAsync),
    ];

    private static async Task<int> Main(string[] arguments)
    {
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        using var stop = new CancellationTokenSource();
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }

        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        BenchOptions options;
        List<string> names;
        try
        {
            (options, names) = BenchOptions.Parse(arguments, [.. All.Select(benchmark => benchmark.Name)]);
        }
        catch (ArgumentException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return 2;
        }

        try
        {
            Console.WriteLine(
                $"{Environment.ProcessorCount} processors, {RuntimeInformation.OSDescription}, .NET {Environment.Version}, SQLite {SqliteLibrary.Version}{(options.IsQuick ? "; --quick: these figures say that it works, not how fast" : "")}"
            );
            foreach (var (name, run) in All.Where(benchmark => names.Contains(benchmark.Name)))
            {
                Console.WriteLine($"\n## {name}");
                await run(options, Console.Out, stop.Token);
            }

            return 0;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            Console.WriteLine("stopped");
            return 130;
        }
        catch (InvalidOperationException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return 1;
        }
        finally
        {
            if (Directory.Exists(options.Folder))
                Directory.Delete(options.Folder, recursive: true);
        }
    }
}
