using BenchmarkDotNet.Running;

namespace Miroir.Benchmarks;

internal static class Program
{
    private static void Main(string[] args)
    {
        switch (args)
        {
            case ["shard-file-fsyncs"]:
                ShardFileFsyncs.Run(Console.Out, Environment.CurrentDirectory);
                break;
            case ["sqlite-node-store"]:
                SqliteNodeStoreThroughput.Run(Console.Out, Environment.CurrentDirectory).GetAwaiter().GetResult();
                break;
            default:
                BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
                break;
        }
    }
}
