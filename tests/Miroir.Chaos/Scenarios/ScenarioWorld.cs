using System.Diagnostics;
using System.Text.Json;
using Microsoft.FSharp.Core;
using Miroir.Chaos.Demo;
using Miroir.Chaos.Processes;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Scripting;
using Miroir.Simulation.Chaos;

namespace Miroir.Chaos.Scenarios;

/// <summary>
/// The processes of a scenario: old nodes, a coordinator and a router that are the shipped ones, and a new node that can
/// be told to fail. Where a scenario needs a process to do what the shipped one can't, it is this program's.
/// </summary>
internal sealed class ScenarioWorld : IAsyncDisposable
{
    public const string NewNode = "new";
    private const int DrainTimeoutMs = 3_000;
    private const double HeavyWeight = 1e12;
    private static readonly TimeSpan TellLimit = TimeSpan.FromSeconds(30);

    /// <summary>Of the coordinator: a busy machine is no fault.</summary>
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(20);

    private readonly ChaosScenario _scenario;
    private readonly SocketsHttpHandler _handler = new()
    {
        MaxConnectionsPerServer = 256,
        ConnectTimeout = TimeSpan.FromSeconds(5),
    };
    private readonly NetworkNamespace? _network;
    private MiroirClient? _admin;

    public ScenarioWorld(ChaosScenario scenario, string folder, bool diesAtEach)
    {
        _scenario = scenario;
        Http = new HttpClient(_handler) { Timeout = TimeSpan.FromSeconds(20) };
        _network = scenario.Event == ChaosEvent.NewNodeCutOff ? NetworkNamespace.Make() : null;
        Cluster = new Cluster(folder, 0, scenario.Mutant)
        {
            NodesAt = _network?.Outside ?? System.Net.IPAddress.Loopback,
            DiesAtEffects =
                scenario.Event == ChaosEvent.CoordinatorDies ? Path.Combine(folder, "coordinator-died-at") : "",
            DiesAtEach = diesAtEach,
        };
        Indexes =
        [
            .. Enumerable
                .Range(1, scenario.Indexes)
                .Select(i => new ScenarioIndex($"docs{i}", scenario, Http, () => Routers, Clock)),
        ];
    }

    public Stopwatch Clock { get; } = Stopwatch.StartNew();

    public HttpClient Http { get; }

    public Cluster Cluster { get; }

    public IReadOnlyList<ScenarioIndex> Indexes { get; }

    /// <summary>The cable of the new node, where it has one of its own.</summary>
    public NetworkNamespace Cable => _network ?? throw new InvalidOperationException("the new node has no cable");

    /// <summary>Faults that happened, counted.</summary>
    public SortedDictionary<string, long> Faults { get; } = new(StringComparer.Ordinal);

    /// <summary>What was not as it has to be.</summary>
    public List<string> Complaints { get; } = [];

    /// <summary>The newest view of each migration.</summary>
    public SortedDictionary<long, MigrationView> Seen { get; } = [];

    public Uri[] Routers => [.. Cluster.Routers.Select(r => new Uri(r.Address))];

    public MiroirClient Admin => _admin ?? throw new InvalidOperationException("the coordinator was not started");

    public void Count(string what, long times = 1)
    {
        lock (Faults)
            Faults[what] = Faults.GetValueOrDefault(what) + times;
    }

    /// <summary>Starts everything but the new node, and loads the documents.</summary>
    public async Task StartAsync()
    {
        for (var i = 1; i <= _scenario.OldNodes; i++)
            await Cluster.StartNodeAsync($"old{i}", isControlled: _scenario.Event == ChaosEvent.WriteStuck);
        await Cluster.StartCoordinatorAsync(Configuration(repairs: !WaitsForAntiEntropy));
        await Cluster.StartRouterAsync("router-1");
        _admin = new MiroirClient(new Uri(Cluster.Coordinator.Address), FSharpOption<string>.None, AnswerLimit);
        foreach (var index in Indexes)
            await index.LoadAsync(Http, Routers[0], _scenario);
    }

    /// <summary>Where the delta pass is skipped, what it would have found is counted before anti-entropy may repair it.</summary>
    private bool WaitsForAntiEntropy => _scenario is { AntiEntropy: true, Delta: false };

    // What is unsafe is refused by the configuration in every build: it is asked for by the command.
    private string Configuration(bool repairs) =>
        Gates.Toml(_scenario.AntiEntropy, WaitsForAntiEntropy)
        + $"drain_timeout = \"{DrainTimeoutMs}ms\"\nretain_source = \"{_scenario.RetainSourceMs}ms\"\n"
        + (repairs ? "" : "[anti_entropy]\nauto_repair = false\n");

    /// <summary>Starts the coordinator again, configured to repair, and to certify what waits for it.</summary>
    public async Task LetAntiEntropyRepairAsync()
    {
        await Cluster.Coordinator.StopAsync();
        await Cluster.ConfigureCoordinatorAsync(Configuration(repairs: true));
        await Cluster.Coordinator.StartAsync(TimeSpan.FromSeconds(30));
    }

    /// <summary>So heavy that one copy of every shard goes there.</summary>
    public async Task AddNewNodeAsync()
    {
        var node = await Cluster.StartNodeAsync(NewNode, isControlled: true, _network);
        var request = new AddNodeRequest(node.Name, node.Address, "", HeavyWeight, 0);
        await InsistAsync($"add {node.Name}", () => Admin.AddNode(request, CancellationToken.None));
    }

    public async Task StartReshardAsync(string index)
    {
        var request = new StartReshardRequest(index, 0, 0, false, !_scenario.Delta);
        await InsistAsync(
            $"reshard {index}",
            async () =>
            {
                var started = await Admin.StartReshard(request, CancellationToken.None);
                if (started.IsOk)
                    return FSharpResult<bool, ClientError>.NewOk(true);
                // Refused: an earlier try whose answer was lost may have started it. Who could say so may be gone again.
                var views = await Admin.Migrations(CancellationToken.None);
                return views.IsError ? FSharpResult<bool, ClientError>.NewError(views.ErrorValue)
                    : views.ResultValue.Any(view => view.Index == index) ? FSharpResult<bool, ClientError>.NewOk(true)
                    : FSharpResult<bool, ClientError>.NewError(started.ErrorValue);
            }
        );
    }

    /// <summary>Says it again while nobody answers, or the coordinator says that of a node that has just been started.</summary>
    public async Task<T> InsistAsync<T>(string what, Func<Task<FSharpResult<T, ClientError>>> order)
    {
        var until = Clock.Elapsed + TimeSpan.FromMinutes(1);
        while (true)
        {
            var answer = await order();
            var isUnheard =
                answer.IsError
                && (
                    answer.ErrorValue.IsUnreachable
                    || answer.ErrorValue is ClientError.Refused { Code: "node_unreachable" }
                );
            if (!isUnheard || Clock.Elapsed > until)
                return answer.Demand(what);
            await Task.Delay(50);
        }
    }

    /// <summary>Every migration as it is now; null where no answer came.</summary>
    public async Task<MigrationView[]?> ViewsAsync()
    {
        var views = await Admin.Migrations(CancellationToken.None);
        if (views.IsError)
            return null;
        foreach (var view in views.ResultValue)
            Seen[view.Id] = view;
        return views.ResultValue;
    }

    /// <summary>Says cutover to every migration that waits for it.</summary>
    public async Task CutoverAsync()
    {
        foreach (var view in (await ViewsAsync() ?? []).Where(view => view.ReadyForCutover))
            await Admin.Cutover(Selector.NewById(view.Id), CancellationToken.None);
    }

    public Task RefuseAsync(IReadOnlyList<double> rates) => TellAsync(NewNode, $"refuse {NodeControl.Text(rates)}");

    public Task<string> TellAsync(string node, string line) =>
        Cluster.Nodes.Single(n => n.Name == node).TellAsync(line, TellLimit);

    public async Task<NodeFaults> FaultsOfAsync(string node) =>
        JsonSerializer.Deserialize<NodeFaults>(await TellAsync(node, "report"))!;

    public Task<RoutingTable> TableAsync() => FinalCheck.TableAsync(Cluster.Coordinator.Address);

    public async ValueTask DisposeAsync()
    {
        await Cluster.DisposeAsync();
        (_admin as IDisposable)?.Dispose();
        foreach (var index in Indexes)
            index.Dispose();
        Http.Dispose();
        _handler.Dispose();
        _network?.Dispose();
    }
}
