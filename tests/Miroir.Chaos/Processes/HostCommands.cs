using System.Globalization;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Commands;
using Miroir.Server.Coordination;
using Miroir.Server.Hosts;
using Miroir.Stores.Memory;
using Miroir.Stores.Sqlite;

namespace Miroir.Chaos.Processes;

/// <summary>
/// The shipped hosts, put together with what only a harness may add: a store that refuses or holds back some puts, and, in
/// the test build, faults seeded into the protocol (MIROIR_MUTANTS, names with commas between) and failpoints.
/// </summary>
internal static class HostCommands
{
    public static async Task<int> RunAsync(string kind, IReadOnlyList<string> arguments, CancellationToken stop)
    {
        ActivateMutants();
        if (kind == "coordinator")
        {
            DeathAtEffects.ArmWhereAsked();
            // The shipped command, in a process where a fault may be active.
            return await ProcessCommands.Coordinator(new Arguments(kind, arguments));
        }

        var options = Pairs(arguments);
        var bind = BindAddress.Parse(options["--listen"].Single());
        var data = options["--data"].Single();
        Directory.CreateDirectory(data);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop);
        await using var host =
            kind == "node"
                ? await NodeAsync(options, data, bind, ending)
                : await RouterAsync(options, data, bind, stop);
        try
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, ending.Token);
        }
        catch (OperationCanceledException)
        {
            // That is how it ends.
        }

        return 0;
    }

    private static void ActivateMutants()
    {
        if (Environment.GetEnvironmentVariable("MIROIR_MUTANTS") is not { Length: > 0 } names)
            return;
#if MUTANTS
        Mutants.activate(names.Split(','));
#else
        throw new InvalidOperationException($"MIROIR_MUTANTS={names}: faults are seeded in the test build only");
#endif
    }

    private static ILookup<string, string> Pairs(IReadOnlyList<string> arguments) =>
        arguments.Chunk(2).ToLookup(pair => pair[0], pair => pair[1], StringComparer.Ordinal);

    private static void Log(string line) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:HH:mm:ss.fff} {line}"));

    /// <summary>It ends with its standard input, over which it is told what is to fail.</summary>
    private static async Task<IAsyncDisposable> NodeAsync(
        ILookup<string, string> options,
        string data,
        BindAddress bind,
        CancellationTokenSource ending
    )
    {
        var plan = NodeControl.Refusing(NodeControl.Rates(options["--refuse-put"].Single()));
        var store = new FaultyNodeStore(
            SqliteNodeStore.Open(data, new() { Log = Log }),
            plan,
            SystemEntropy.Instance,
            TimeProvider.System
        );
        var host = new NodeHost(
            new NodeHostOptions
            {
                Name = options["--name"].Single(),
                Store = store,
                Listen = bind,
                Insecure = !bind.IsLoopback,
                Log = Log,
            }
        );
        Console.WriteLine($"listening on {await host.StartAsync(ending.Token)}");
        _ = ControlAsync(new NodeControl(store), ending);
        return host;
    }

    private static async Task ControlAsync(NodeControl control, CancellationTokenSource ending)
    {
        await Task.Yield();
        using var input = new StreamReader(Console.OpenStandardInput());
        await control.RunAsync(input, Console.Out);
        await ending.CancelAsync();
    }

    private static async Task<IAsyncDisposable> RouterAsync(
        ILookup<string, string> options,
        string data,
        BindAddress bind,
        CancellationToken stop
    )
    {
        var host = new RouterHost(
            new RouterHostOptions
            {
                Router = new RouterSettings
                {
                    Name = options["--name"].Single(),
                    DataDirectory = data,
                    Time = new OffsetTime(
                        TimeSpan.FromMilliseconds(
                            double.Parse(
                                options["--clock-offset-ms"].SingleOrDefault("0"),
                                CultureInfo.InvariantCulture
                            )
                        )
                    ),
                    Log = Log,
                },
                Coordinator = new HttpCoordinator(options["--coordinator"].Single()),
                AdminAddress = options["--coordinator"].Single(),
                Listen = bind,
            }
        );
        Console.WriteLine($"listening on {await host.StartAsync(stop)}");
        return host;
    }
}
