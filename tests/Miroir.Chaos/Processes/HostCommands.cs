using System.Globalization;
using System.Net;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Coordination;
using Miroir.Server.Hosts;
using Miroir.Stores.Memory;
using Miroir.Stores.Sqlite;

namespace Miroir.Chaos.Processes;

/// <summary>
/// The shipped hosts, put together with what only a harness may add: a store that refuses some puts, and, in the test
/// build, faults seeded into the protocol (MIROIR_MUTANTS, names with commas between).
/// </summary>
internal static class HostCommands
{
    public static async Task<int> RunAsync(string kind, IReadOnlyList<string> arguments, CancellationToken stop)
    {
        ActivateMutants();
        var options = Pairs(arguments);
        var listen = IPEndPoint.Parse(options["--listen"].Single());
        var bind = new BindAddress(listen.Address, listen.Port);
        var data = options["--data"].Single();
        Directory.CreateDirectory(data);
        await using var host = kind switch
        {
            "node" => await NodeAsync(options, data, bind, stop),
            "coordinator" => await CoordinatorAsync(options, data, bind, stop),
            _ => await RouterAsync(options, data, bind, stop),
        };
        try
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, stop);
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

    private static async Task<IAsyncDisposable> NodeAsync(
        ILookup<string, string> options,
        string data,
        BindAddress bind,
        CancellationToken stop
    )
    {
        var refuse = double.Parse(options["--refuse-put"].Single(), CultureInfo.InvariantCulture);
        var plan = new FaultPlan { RefusePut = refuse, OnlyMigrationStores = true };
        INodeStore store = SqliteNodeStore.Open(data);
        var host = new NodeHost(
            new NodeHostOptions
            {
                Name = options["--name"].Single(),
                Store = new FaultyNodeStore(store, plan, SystemEntropy.Instance, TimeProvider.System),
                Listen = bind,
                Log = Log,
            }
        );
        Console.WriteLine($"listening on {await host.StartAsync(stop)}");
        return host;
    }

    private static async Task<IAsyncDisposable> CoordinatorAsync(
        ILookup<string, string> options,
        string data,
        BindAddress bind,
        CancellationToken stop
    )
    {
        var host = new CoordinatorHost(
            new CoordinatorHostOptions
            {
                Metadata = SqliteMetadataStore.Open(Path.Combine(data, "metadata.db")),
                Listen = bind,
                Seed =
                [
                    .. options["--node"]
                        .Select(n => n.Split('=', 2))
                        .Select(n => new NodeInfo(n[0], n[1], "", 1, 0, NodeRole.Active)),
                ],
                Log = Log,
            }
        );
        Console.WriteLine($"listening on {await host.StartAsync(stop)}");
        return host;
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
