using Miroir.Server.Coordination;
using Miroir.Server.Hosts;
using Miroir.Stores.Sqlite;

namespace Miroir.Server.Commands;

/// <summary>The commands that are one process each.</summary>
internal static class ProcessCommands
{
    public static Task<int> Node(Arguments arguments)
    {
        var config = Configured.Load(arguments);
        var name = Arguments.CheckName("--name", arguments.Required("--name", "NAME"));
        var data = arguments.Required("--data", "DIR");
        var common = Common.Read(arguments);
        var listen = arguments.Listen(Configured.Bind(config.Listen.Node.Value), common.Insecure);
        arguments.End();
        var store = SqliteNodeStore.Open(data, Configured.Store(config));
        var host = new NodeHost(
            new NodeHostOptions
            {
                Name = name,
                Store = store,
                Metrics = store.Metrics,
                Listen = listen,
                Insecure = common.Insecure,
                Log = ProcessLife.Log,
            }
        );
        return ProcessLife.RunAsync(host.StartAsync, host.StopAsync, null, common.StopWithStdin);
    }

    public static async Task<int> Router(Arguments arguments)
    {
        var config = Configured.Load(arguments);
        var url = Arguments.CheckUrl("--coordinator", arguments.Required("--coordinator", "URL"));
        var router = ReadRouter(arguments, arguments.Required("--name", "NAME"));
        var common = Common.Read(arguments);
        var listen = arguments.Listen(Configured.Bind(config.Listen.Router.Value), common.Insecure);
        arguments.End();
        using var coordinator = new HttpCoordinator(url);
        var host = new RouterHost(
            new RouterHostOptions
            {
                Router = router,
                Coordinator = coordinator,
                AdminAddress = url,
                Listen = listen,
                Insecure = common.Insecure,
            }
        );
        return await ProcessLife.RunAsync(host.StartAsync, host.StopAsync, null, common.StopWithStdin);
    }

    public static Task<int> Coordinator(Arguments arguments)
    {
        var config = Configured.Load(arguments);
        return Lead(arguments, config, Configured.Bind(config.Listen.Coordinator.Value), null);
    }

    public static Task<int> Serve(Arguments arguments)
    {
        var config = Configured.Load(arguments);
        var router = ReadRouter(arguments, arguments.Text("--name", "NAME") ?? "router-1");
        return Lead(arguments, config, Configured.Bind(config.Listen.Router.Value), router);
    }

    private static Task<int> Lead(
        Arguments arguments,
        Core.Configuration config,
        BindAddress otherwise,
        RouterSettings? router
    )
    {
        var data = router?.DataDirectory ?? arguments.Required("--data", "DIR");
        var common = Common.Read(arguments);
        var listen = arguments.Listen(otherwise, common.Insecure);
        var seed = Configured.Seed(config, arguments);
        arguments.End();
        foreach (var warning in Core.Config.warnings(config))
            ProcessLife.Log($"warning: {warning}");
        Directory.CreateDirectory(data);
        var host = new CoordinatorHost(
            new CoordinatorHostOptions
            {
                Metadata = SqliteMetadataStore.Open(Path.Combine(data, "metadata.db")),
                Listen = listen,
                Insecure = common.Insecure,
                Seed = seed,
                Coordinator = Configured.Coordinator(config),
                Router = router,
                Log = ProcessLife.Log,
            }
        );
        return ProcessLife.RunAsync(host.StartAsync, host.StopAsync, () => host.Ended, common.StopWithStdin);
    }

    private static RouterSettings ReadRouter(Arguments arguments, string name) =>
        new()
        {
            Name = Arguments.CheckName("--name", name),
            DataDirectory = arguments.Required("--data", "DIR"),
            Advertise = arguments.Text("--advertise", "URL") is { } url ? Arguments.CheckUrl("--advertise", url) : null,
            Log = ProcessLife.Log,
        };

    private sealed record Common(bool Insecure, bool StopWithStdin)
    {
        public static Common Read(Arguments arguments) =>
            new(arguments.Flag("--insecure"), arguments.Flag("--stop-with-stdin"));
    }
}
