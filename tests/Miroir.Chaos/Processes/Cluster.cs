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

    private readonly string _folder;
    private readonly string _miroir;
    private readonly string _chaos;
    private readonly double _refusePut;
    private readonly string _mutant;
    private readonly List<ManagedProcess> _processes = [];

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

    private static string In(string folder, string program) =>
        Path.Combine(folder, OperatingSystem.IsWindows() ? program + ".exe" : program);

    public string Folder => _folder;

    public IReadOnlyList<ManagedProcess> Processes => _processes;

    public ManagedProcess Coordinator { get; private set; } = null!;

    public List<ManagedProcess> Routers { get; } = [];

    public List<ManagedProcess> Nodes { get; } = [];

    public string NodeFolder(string name) => Path.Combine(_folder, name);

    /// <summary>A port nobody listens on now: a process keeps it over a restart.</summary>
    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static string Listen() => $"127.0.0.1:{FreePort()}";

    private async Task<ManagedProcess> StartAsync(string name, string program, params string[] arguments)
    {
        Dictionary<string, string> environment = [];
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

    public async Task<ManagedProcess> StartNodeAsync(string name)
    {
        var program = _refusePut > 0 ? _chaos : Program();
        List<string> arguments = ["node", "--name", name, "--data", NodeFolder(name), "--listen", Listen()];
        if (program == _chaos)
            arguments.AddRange(["--refuse-put", _refusePut.ToString(CultureInfo.InvariantCulture)]);
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
            var file = Path.Combine(_folder, "miroir.toml");
            await File.WriteAllTextAsync(file, configuration);
            arguments.AddRange(["--config", file]);
        }
        foreach (var node in Nodes)
            arguments.AddRange(["--node", $"{node.Name}={node.Address}"]);
        Coordinator = await StartAsync("coordinator", Program(), [.. arguments]);
    }

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
        // The shipped program has no such option.
        Routers.Add(await StartAsync(name, clockOffset == default ? Program() : _chaos, [.. arguments]));
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
