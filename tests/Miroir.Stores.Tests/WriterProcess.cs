using System.Diagnostics;
using System.Runtime.CompilerServices;
using Miroir.Core;
using Miroir.Stores.Sqlite;

namespace Miroir.Stores.Tests;

/// <summary>
/// This program again, as one that does nothing but write to a store and tell what was acknowledged: to be killed.
/// </summary>
internal static class WriterProcess
{
    public const int Shards = 4;

    private const string Variable = "MIROIR_TEST_WRITE_TO";
    private const int AtOnce = 24;

    /// <summary>Its output is "SHARD KEY acknowledged" for each acknowledged put.</summary>
    public static Process Start(string directory)
    {
        var name = OperatingSystem.IsWindows() ? "Miroir.Stores.Tests.exe" : "Miroir.Stores.Tests";
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, name))
        {
            RedirectStandardOutput = true,
        };
        start.Environment[Variable] = directory;
        return Process.Start(start)!;
    }

    /// <summary>Before any test is looked for. Blocks on the one thread that may run this module's code meanwhile.</summary>
    [ModuleInitializer]
    internal static void RunIfAsked()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } directory)
            Write(directory);
    }

    private static void Write(string directory)
    {
        var store = SqliteNodeStore.Open(directory, new() { WalAutoCheckpointPages = 50 });
        for (var shard = 0; shard < Shards; shard++)
        {
            var make = new MakeCommand(NodeCalls.Stamp(shard, 1), NodeCalls.Shard(shard), HashRange.Full, 0, 1);
            store.Make(make, CancellationToken.None).GetAwaiter().GetResult();
        }

        var waiting = new Queue<(int Shard, string Key, Task<PutReply[]> Put)>();
        for (var number = 0; ; number++)
        {
            var shard = number % Shards;
            var document = NodeCalls.Live($"{number}", 1, $"{{\"number\":{number}}}");
            var command = new PutCommand(NodeCalls.Stamp(shard, 1), NodeCalls.Shard(shard), document);
            waiting.Enqueue((shard, document.Key.Text, store.Put([command], CancellationToken.None)));
            if (waiting.Count < AtOnce)
                continue;
            var (doneShard, key, put) = waiting.Dequeue();
            if (!put.GetAwaiter().GetResult()[0].IsApplied)
                Environment.Exit(1);
            Console.WriteLine($"{doneShard} {key} acknowledged");
        }
    }
}
