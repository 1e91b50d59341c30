using System.Text;
using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;
using Miroir.Runtime.AntiEntropy;
using Miroir.Runtime.Coordination;
using Miroir.Simulation.Cluster;
using Miroir.Simulation.Kernel;
using Miroir.Simulation.Network;
using Miroir.Simulation.Scenario;
using Miroir.Stores.Memory;

namespace Miroir.Simulation.Chaos;

/// <summary>One scenario under one seed: load, migrate under writes, cut over, heal, judge.</summary>
public sealed class ChaosRun
{
    public const string NewNode = "new";
    private const int DrainTimeoutMs = 3_000;
    private static readonly TimeSpan WritingLimit = TimeSpan.FromHours(12);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly ChaosScenario _scenario;
    private readonly SimWorld _world;
    private readonly SimOperator _operator;
    private readonly ChaosEvents _events;
    private readonly List<SimClient> _clients = [];
    private Task _boundary = Task.CompletedTask;
    private bool _areOver;

    public ChaosRun(ChaosScenario scenario, SimWorld world)
    {
        _scenario = scenario;
        _world = world;
        _operator = world.Operator;
        _events = new ChaosEvents(scenario, world, NewNode);
    }

    public static SeedResult Run(ChaosScenario scenario, long seed, bool keepsStory) =>
        SimWorld.Play(
            seed,
            keepsStory,
            kernel => Settings(scenario, kernel),
            world => new ChaosRun(scenario, world).PlayAsync(),
            Salt(scenario)
        );

    public static long Salt(ChaosScenario scenario) => (long)XxHash64.hash(0, Encoding.UTF8.GetBytes(scenario.Name));

    private static string[] OldNodes(ChaosScenario scenario) =>
        [.. Enumerable.Range(1, scenario.OldNodes).Select(i => $"old{i}")];

    /// <summary>As many nodes, and as patient a coordinator, as the scenario asks for.</summary>
    public static WorldSettings Settings(ChaosScenario scenario, SimKernel kernel)
    {
        var limits = new Limits(
            0,
            4,
            2,
            4,
            DrainTimeoutMs,
            scenario.RetainSourceMs,
            50,
            2_000,
            12,
            1_000_000,
            true,
            !scenario.Delta,
            scenario.AntiEntropy
        );
        var options = new CoordinatorOptions
        {
            MigrationLimits = limits,
            ProgressEveryMs = 50,
            // Where the delta pass is skipped, what it would have found is counted before anti-entropy is told to look.
            AntiEntropy = new EntropyOptions { Enabled = scenario.AntiEntropy, AutoRepair = scenario.Delta },
        };
        return new WorldSettings(new FaultProfile { MaxSkewMs = kernel.Pick([0, 5_000]) }, options, OldNodes(scenario));
    }

    private async Task PlayAsync()
    {
        await PrepareAsync();
        var refused = _world.Cluster.RefusedOn(NewNode);
        await CutOverAsync();
        // A shard that fell back waits until cutover is said again.
        await UntilAsync("the migration has ended", view => view.FinishedAtUnixMs != 0, _operator.CutoverAsync);
        await FinishAsync();
        ChaosChecks.Judge(_scenario, _world, NewNode, refused);
        _events.Judge();
    }

    /// <summary>Up to the moment when everything is copied, and so much was written that only a delta pass would find.</summary>
    public async Task PrepareAsync()
    {
        await LoadAsync();
        // So heavy that one copy of every shard goes there.
        await _operator.AddNodeAsync(NewNode, 1e12);
        _world.Disasters.Begin();
        _world.Cluster.PlanDisks(node => Plan(node, _scenario.Failing));

        foreach (var index in _world.Indexes)
        {
            await _operator.StartReshardAsync(index);
        }
        await UntilAsync("every shard is copied", view => view.ReadyForCutover);
        // From here on, what the new node refuses is copied by nothing but the delta pass.
        var before = _world.Indexes.ToDictionary(index => index.Uid, index => index.Written, StringComparer.Ordinal);
        bool AreWritten() => _world.Indexes.All(index => index.Written - before[index.Uid] >= _scenario.Writes);
        if (!await _world.UntilAsync(AreWritten, WritingLimit))
        {
            _world.Findings.Add("wedged", $"{_scenario.Writes} documents were not written in time");
        }
    }

    /// <summary>A cluster with its documents, and clients that go on writing.</summary>
    public async Task LoadAsync()
    {
        _world.StartAll([.. OldNodes(_scenario), NewNode]);
        for (var i = 1; i <= _scenario.Indexes; i++)
        {
            await LoadAsync(await _world.CreateIndexAsync($"docs{i}", _scenario.Shards, _scenario.Replication));
        }
    }

    public async Task CutOverAsync()
    {
        _world.Cluster.PlanDisks(node => Plan(node, _scenario.FailingAtBoundary ?? _scenario.Failing));
        await _events.BeforeCutoverAsync();
        _boundary = Task.WhenAll(_world.Indexes.Select(index => Burst(index, _scenario.BoundaryWrites)));
        await _operator.CutoverAsync();
    }

    /// <summary>Clients stop, and are answered.</summary>
    public async Task QuietenAsync()
    {
        await _boundary;
        _areOver = true;
        await _world.UntilAsync(() => _clients.All(client => client.IsDone));
    }

    public async Task FinishAsync()
    {
        await _boundary;
        _world.Disasters.Heal();
        await _operator.Rest(200);
        _areOver = true;
        await _events.AfterHealingAsync();
        await _world.FinishAsync(_clients);
    }

    private FaultPlan Plan(string node, IReadOnlyList<double> failing) =>
        node != NewNode
            ? FaultPlan.None
            : new FaultPlan
            {
                RefusePutInto = store => failing[store.Shard % failing.Count],
                OnlyMigrationStores = true,
            };

    private async Task LoadAsync(SimIndex index)
    {
        string[] loaded = [.. Enumerable.Range(1, _scenario.Documents).Select(i => $"doc{i}")];
        // One in five is inserted later.
        string[] all = [.. loaded, .. Enumerable.Range(1, _scenario.Documents / 4).Select(i => $"late{i}")];
        var habits = new ClientHabits
        {
            Cold = all,
            Reads = 0.15,
            ThinkMs = _scenario.ThinkMs,
        };
        await Task.WhenAll(loaded.Chunk(200).Select(chunk => _world.Client(index, habits).LoadAsync(chunk)));
        for (var i = 0; i < 6; i++)
        {
            var client = _world.Client(index, habits);
            _clients.Add(client);
            _world.Spawn(client, () => _areOver);
        }
        _events.OnBurst += writes => _world.Spawn(() => _world.Client(index, habits).BurstAsync(writes));
    }

    private Task Burst(SimIndex index, int writes)
    {
        var habits = new ClientHabits { Cold = [.. Enumerable.Range(1, _scenario.Documents).Select(i => $"doc{i}")] };
        return _world.Client(index, habits).BurstAsync(writes);
    }

    public async Task UntilAsync(string what, Func<MigrationView, bool> isSo, Func<Task>? meanwhile = null)
    {
        var until = _world.Kernel.Now + Patience.Ticks;
        while (_world.Kernel.Now < until)
        {
            await _operator.Rest(50);
            await _events.MeanwhileAsync();
            if (meanwhile is not null)
            {
                await meanwhile();
            }
            if (await _operator.ViewsAsync() is { } views && views.Length == _scenario.Indexes && views.All(isSo))
            {
                return;
            }
        }
        _world.Findings.Add("wedged", $"it did not come about within {Patience.TotalMinutes} minutes that {what}");
    }
}
