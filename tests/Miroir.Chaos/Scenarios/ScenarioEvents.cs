using System.Net.Sockets;
using Miroir.Core;
using Miroir.Oracle;
using Miroir.Ports;
using Miroir.Simulation.Chaos;

namespace Miroir.Chaos.Scenarios;

/// <summary>Makes a scenario's event happen at its moment, and says afterwards whether it did.</summary>
internal sealed class ScenarioEvents : IAsyncDisposable
{
    private const string StuckKey = "stuck";
    private const int BurstWrites = 40;
    private static readonly TimeSpan CutOffFor = TimeSpan.FromSeconds(2.5);

    private readonly ChaosScenario _scenario;
    private readonly ScenarioWorld _world;
    private readonly List<Task> _underWay = [];
    private RouteWatch? _routes;
    private string _slowNode = "";
    private int _isCutOff;
    private volatile bool _areOver;

    public ScenarioEvents(ChaosScenario scenario, ScenarioWorld world)
    {
        _scenario = scenario;
        _world = world;
    }

    /// <summary>From now on routes and processes are watched.</summary>
    public void Begin()
    {
        if (_scenario.Event is ChaosEvent.Bursts or ChaosEvent.NewNodeCutOff)
            _routes = new RouteWatch(_world.Cluster.Coordinator.Address, OnRoute);
        if (_scenario.Event == ChaosEvent.CoordinatorDies)
            UnderWay(KeepCoordinatorAsync());
    }

    private void UnderWay(Task task)
    {
        lock (_underWay)
            _underWay.Add(task);
    }

    private void OnRoute(Route route)
    {
        if (_scenario.Event == ChaosEvent.Bursts)
        {
            _world.Count($"bursts in {route.Stage}");
            UnderWay(_world.Indexes[0].Workload.BurstAsync(BurstWrites));
        }
        else if (route.Stage.IsJoint && Interlocked.Exchange(ref _isCutOff, 1) == 0)
            UnderWay(CutOffAsync());
    }

    /// <summary>First only what the new node says is lost, then everything.</summary>
    private async Task CutOffAsync()
    {
        _world.Cable.CutOutgoing();
        _world.Count("new node cut off, one way");
        await ProbeAsync();
        _world.Cable.Cut();
        _world.Count("new node cut off, both ways");
        await ProbeAsync();
        _world.Cable.Mend();
    }

    /// <summary>Tries to connect to the new node until the time is over.</summary>
    private async Task ProbeAsync()
    {
        var address = new Uri(_world.Cluster.Nodes[^1].Address);
        using var limit = new CancellationTokenSource(CutOffFor);
        using var probe = new TcpClient();
        try
        {
            await probe.ConnectAsync(address.Host, address.Port, limit.Token);
            _world.Complaints.Add($"{address} could be reached while it was cut off");
        }
        catch (OperationCanceledException)
        {
            _world.Count("connections to the new node that got no answer");
        }
    }

    /// <summary>Whenever it has killed itself it is started again.</summary>
    private async Task KeepCoordinatorAsync()
    {
        while (!_areOver)
        {
            if (_world.Cluster.Coordinator.HasEnded)
            {
                _world.Count("coordinator killed");
                try
                {
                    await _world.Cluster.Coordinator.StartAsync(TimeSpan.FromSeconds(30));
                }
                catch (InvalidOperationException) when (_world.Cluster.Coordinator.HasEnded)
                {
                    // It went on with its effects, and died at the next, before it listened.
                }
            }
            await Task.Delay(10);
        }
    }

    /// <summary>Leaves a write on one of two owners, open for longer than the drain may take.</summary>
    public async Task BeforeCutoverAsync()
    {
        if (_scenario.Event != ChaosEvent.WriteStuck)
            return;
        var index = _world.Indexes[0];
        await index.WriteAsync(_world.Routers[0], StuckKey, "before");
        var route = (await _world.TableAsync()).Resolve(index.Uid, Key.Of(StuckKey).Hash).Value;
        _slowNode = route.Owners[^1];
        await _world.TellAsync(_slowNode, $"hold {StuckKey}");
        UnderWay(WriteStuckAsync(index));
        // The drain is to find it open.
        while ((await _world.FaultsOfAsync(_slowNode)).Held == 0)
            await Task.Delay(10);
        _world.Count("puts held back");
    }

    private async Task WriteStuckAsync(ScenarioIndex index)
    {
        var outcome = await index.WriteAsync(_world.Routers[0], StuckKey, "stuck");
        if (outcome == Outcome.Unknown)
            _world.Count("clients told that the outcome is unknown");
    }

    /// <summary>Gives a stuck write up once the drain says that it waits for it.</summary>
    public async Task MeanwhileAsync()
    {
        var isWaitedFor = _world.Seen.Values.Any(v => v.Shards.Any(s => s.OpenWrites > 0 && s.Reason != ""));
        if (_scenario.Event != ChaosEvent.WriteStuck || !isWaitedFor)
            return;
        var listed = await _world.Admin.OpenWrites(null, true, CancellationToken.None);
        var write = listed.IsOk ? listed.ResultValue.Results.FirstOrDefault(w => w.Key == StuckKey) : null;
        if (write is null)
            return;
        _world.Count("stuck writes listed");
        var request = new FailWritesRequest(StuckKey, write.Index, "it waits for too long");
        var given = await _world.Admin.FailWrites(request, CancellationToken.None);
        if (given.IsOk && given.ResultValue.Results.Length > 0)
            _world.Count("stuck writes given up");
    }

    /// <summary>Puts that were held go on, long after their route has ended; bursts come to their end.</summary>
    public async Task AfterwardsAsync()
    {
        if (_slowNode != "")
        {
            await _world.TellAsync(_slowNode, "release");
            for (var i = 0; i < 100 && (await _world.FaultsOfAsync(_slowNode)).RefusedLate == 0; i++)
                await Task.Delay(50);
            _world.Count("late puts refused", (await _world.FaultsOfAsync(_slowNode)).RefusedLate);
        }
        _areOver = true;
        Task[] all;
        lock (_underWay)
            all = [.. _underWay];
        await Task.WhenAll(all);
    }

    public void Judge()
    {
        string[] wanted = _scenario.Event switch
        {
            ChaosEvent.Bursts => ["bursts in Copying", "bursts in Joint", "bursts in Switched"],
            ChaosEvent.NewNodeCutOff =>
            [
                "new node cut off, one way",
                "new node cut off, both ways",
                "connections to the new node that got no answer",
            ],
            ChaosEvent.WriteStuck =>
            [
                "puts held back",
                "stuck writes listed",
                "stuck writes given up",
                "clients told that the outcome is unknown",
                "late puts refused",
            ],
            ChaosEvent.CoordinatorDies => ["coordinator killed"],
            _ => [],
        };
        foreach (var fault in wanted.Where(fault => _world.Faults.GetValueOrDefault(fault) == 0))
            _world.Complaints.Add($"it never happened: {fault}");
        if (_scenario.Event == ChaosEvent.CoordinatorDies)
            JudgeDeaths();
    }

    /// <summary>It died before and after each kind of effect that a migration has when nothing else goes wrong.</summary>
    private void JudgeDeaths()
    {
        string[] kinds =
        [
            "MakeStore",
            "Publish Copying",
            "Reconcile Copy",
            "Publish Joint",
            "RaiseBarrier",
            "AskWriter",
            "Reconcile Delta",
            "Publish Switched",
            "DropStore",
        ];
        var died = File.Exists(_world.Cluster.DiesAtEffects) ? File.ReadAllLines(_world.Cluster.DiesAtEffects) : [];
        foreach (var point in died)
            _world.Count($"killed {point}");
        foreach (var kind in kinds)
        foreach (var moment in (string[])["before", "after"])
            if (!died.Any(point => point.StartsWith($"{moment} {kind}", StringComparison.Ordinal)))
                _world.Complaints.Add($"the coordinator never died {moment} {kind}");
    }

    public async ValueTask DisposeAsync()
    {
        _areOver = true;
        if (_routes is not null)
            await _routes.DisposeAsync();
    }
}
