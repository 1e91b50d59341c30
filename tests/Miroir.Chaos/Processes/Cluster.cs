using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Miroir.Chaos.Processes;

/// <summary>
/// Nodes, a coordinator and routers as processes of their own on loopback. They are the shipped `miroir`, or, where a
/// fault is seeded into the protocol, this program's (test build). Nodes that are to refuse some puts are this program's
/// own `node`, which is the shipped node behind a store that does.
/// </summary>
internal sealed class Cluster : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);

    /// <summary>A process whose standard input ends has lost us.</summary>
    private const string StopWithUs = "--stop-with-stdin";

    private readonly string _folder;
    private readonly string _miroir;
    private readonly string _chaos;
    private readonly double _refusePut;
    private readonly string _mutant;
    private readonly List<ManagedProcess> _processes = [];

    /// <summary>What a process of this cluster is told by its environment.</summary>
    private readonly Dictionary<string, string> _environment = [];

    /// <param name="refusePut">Share of puts that fail on stores made for a migration.</param>
    /// <param name="mutant">A fault seeded into the protocol; "" for none.</param>
    public Cluster(string folder, double refusePut, string mutant)
    {
        _folder = folder;
        _refusePut = refusePut;
        _mutant = mutant;
        _chaos = In(AppContext.BaseDirectory, "Miroir.Chaos");
        // What `publish` made starts warm; without it, the build's.
        _miroir = In(Environment.GetEnvironmentVariable("MIROIR_PROGRAMS") ?? AppContext.BaseDirectory, "miroir");
        Directory.CreateDirectory(Path.Combine(folder, "logs"));
    }

    /// <summary>Where nodes listen; loopback, unless they are to be reached from a namespace of its own.</summary>
    public IPAddress NodesAt { get; init; } = IPAddress.Loopback;

    /// <summary>The coordinator dies at every failpoint, once each, and this file keeps where it did; "": it does not.</summary>
    public string DiesAtEffects { get; init; } = "";

    /// <summary>It dies at each single effect, instead of each kind of effect.</summary>
    public bool DiesAtEach { get; init; }

    private static string In(string folder, string program) =>
        Path.Combine(folder, OperatingSystem.IsWindows() ? program + ".exe" : program);

    public string Folder => _folder;

    public IReadOnlyList<ManagedProcess> Processes => _processes;

    public ManagedProcess Coordinator { get; private set; } = null!;

    public List<ManagedProcess> Routers { get; } = [];

    public List<ManagedProcess> Nodes { get; } = [];

    public string NodeFolder(string name) => Path.Combine(_folder, name);

    /// <summary>A port nobody listens on now: a process keeps it over a restart.</summary>
    private static int FreePort(IPAddress address)
    {
        using var listener = new TcpListener(address, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static string Listen() => Listen(IPAddress.Loopback);

    private static string Listen(IPAddress address) => $"{address}:{FreePort(address)}";

    private async Task<ManagedProcess> StartAsync(string name, string program, params string[] arguments)
    {
        var environment = new Dictionary<string, string>(_environment);
        if (_mutant != "")
            environment["MIROIR_MUTANTS"] = _mutant;
        var process = new ManagedProcess(
            name,
            program,
            arguments,
            environment,
            Path.Combine(_folder, "logs", name + ".log")
        );
        _processes.Add(process);
        await process.StartAsync(StartLimit);
        return process;
    }

    /// <param name="isControlled">It is this program's, and can be told what is to fail.</param>
    /// <param name="network">Where it runs by itself; null: beside the others.</param>
    public async Task<ManagedProcess> StartNodeAsync(
        string name,
        bool isControlled = false,
        NetworkNamespace? network = null
    )
    {
        var program = isControlled || _refusePut > 0 ? _chaos : Program();
        // A port that is free here is free there too: nobody else is there.
        var listen = network is null ? Listen(NodesAt) : $"{network.Inside}:{FreePort(IPAddress.Loopback)}";
        List<string> arguments = ["node", "--name", name, "--data", NodeFolder(name), "--listen", listen];
        if (program == _chaos)
            arguments.AddRange(["--refuse-put", _refusePut.ToString(CultureInfo.InvariantCulture)]);
        else
            arguments.Add(StopWithUs);
        if (program != _chaos && !IPAddress.IsLoopback(NodesAt))
            arguments.Add("--insecure");
        if (network is not null)
            (program, arguments) = network.Wrap(program, arguments);
        var node = await StartAsync(name, program, [.. arguments]);
        Nodes.Add(node);
        return node;
    }

    /// <param name="configuration">The text of its miroir.toml; "" for none.</param>
    public async Task StartCoordinatorAsync(string configuration = "")
    {
        List<string> arguments = ["coordinator", "--data", Path.Combine(_folder, "coordinator"), "--listen", Listen()];
        if (configuration != "")
        {
            await ConfigureCoordinatorAsync(configuration);
            arguments.AddRange(["--config", ConfigurationFile]);
        }
        foreach (var node in Nodes)
            arguments.AddRange(["--node", $"{node.Name}={node.Address}"]);
        arguments.Add(StopWithUs);
        if (DiesAtEffects != "")
        {
            _environment[DeathAtEffects.FileVariable] = DiesAtEffects;
            _environment[DeathAtEffects.EachVariable] = DiesAtEach ? "1" : "0";
        }
        Coordinator = await StartAsync("coordinator", DiesAtEffects == "" ? Program() : _chaos, [.. arguments]);
    }

    private string ConfigurationFile => Path.Combine(_folder, "miroir.toml");

    /// <summary>What its next start reads.</summary>
    public Task ConfigureCoordinatorAsync(string configuration) =>
        File.WriteAllTextAsync(ConfigurationFile, configuration);

    private string Program() => _mutant == "" ? _miroir : _chaos;

    /// <param name="clockOffset">How far its clock is ahead; below zero where it is behind.</param>
    public async Task StartRouterAsync(string name, TimeSpan clockOffset = default)
    {
        List<string> arguments =
        [
            "router",
            "--name",
            name,
            "--coordinator",
            Coordinator.Address,
            "--data",
            Path.Combine(_folder, name),
            "--listen",
            Listen(),
        ];
        if (clockOffset != default)
            arguments.AddRange([
                "--clock-offset-ms",
                clockOffset.TotalMilliseconds.ToString(CultureInfo.InvariantCulture),
            ]);
        // The shipped program has no such option, and this one's router none of the others.
        var program = clockOffset == default ? Program() : _chaos;
        if (program != _chaos)
            arguments.Add(StopWithUs);
        Routers.Add(await StartAsync(name, program, [.. arguments]));
    }

    /// <summary>SIGKILL, a pause, the same process again on the same port and folder.</summary>
    public static async Task KillAndRestartAsync(ManagedProcess process, TimeSpan pause)
    {
        await process.KillAsync();
        await Task.Delay(pause);
        await process.StartAsync(StartLimit);
    }

    public void Measure()
    {
        foreach (var process in _processes)
            process.Measure();
    }

    public async ValueTask DisposeAsync()
    {
        // Routers first, so that nobody waits for a node that is gone.
        foreach (var process in Enumerable.Reverse(_processes))
            await process.StopAsync();
        foreach (var process in _processes)
            process.Dispose();
    }
}
