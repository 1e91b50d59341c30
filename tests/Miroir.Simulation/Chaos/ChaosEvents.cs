using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Coordination;
using Miroir.Simulation.Scenario;

namespace Miroir.Simulation.Chaos;

/// <summary>Makes a scenario's event happen at its moment, and says afterwards whether it did.</summary>
internal sealed class ChaosEvents
{
    private const string StuckKey = "stuck";
    private const int BurstWrites = 40;
    private static readonly TimeSpan CutOffFor = TimeSpan.FromSeconds(5);

    private readonly ChaosScenario _scenario;
    private readonly SimWorld _world;
    private readonly string _newNode;
    private readonly HashSet<string> _killedAt = new(StringComparer.Ordinal);
    private Task _stuck = Task.CompletedTask;
    private bool _isCutOff;

    public ChaosEvents(ChaosScenario scenario, SimWorld world, string newNode)
    {
        _scenario = scenario;
        _world = world;
        _newNode = newNode;
        world.Cluster.Published += OnPublished;
    }

    /// <summary>So many writes are wanted at once, in each index.</summary>
    public event Action<int> OnBurst = static _ => { };

    private void Count(string what) => _world.Network.Count(what);

    private void OnPublished(string key, byte[]? value)
    {
        var isRoute = key.StartsWith(CatalogKeys.Routes, StringComparison.Ordinal);
        if (isRoute && value is not null && Codec.routeOfBytes(value) is { Migration: > 0 } route)
        {
            if (_scenario.Event == ChaosEvent.Bursts)
            {
                Count($"burst in {route.Stage}");
                OnBurst(BurstWrites);
            }
            else if (_scenario.Event == ChaosEvent.NewNodeCutOff && route.Stage.IsJoint && !_isCutOff)
            {
                _isCutOff = true;
                CutOff();
            }
        }
        var isJournal = key.StartsWith(CatalogKeys.Journals, StringComparison.Ordinal);
        if (_scenario.Event == ChaosEvent.CoordinatorDies && isJournal && _killedAt.Add(key))
        {
            KillCoordinator();
        }
    }

    private void CutOff()
    {
        Count("new node cut off");
        _world.Kernel.Tell(_newNode, "is cut off");
        string[] others = [.. _world.Cluster.Running.Append(Network.SimCoordinator.Name).Where(n => n != _newNode)];
        foreach (var other in others)
        {
            _world.Network.Cut(_newNode, other);
            _world.Network.Cut(other, _newNode);
        }
        _world.Kernel.After(
            CutOffFor,
            () =>
            {
                _world.Kernel.Tell(_newNode, "is back");
                foreach (var other in others)
                {
                    _world.Network.Mend(_newNode, other);
                    _world.Network.Mend(other, _newNode);
                }
            }
        );
    }

    /// <summary>Every other time at once, before the entry's effects are performed; else a little later, in their midst.</summary>
    private void KillCoordinator()
    {
        var leader = _world.Cluster.Leader;
        var isAtOnce = _killedAt.Count % 2 == 0;
        _world.Kernel.After(
            isAtOnce ? TimeSpan.Zero : _world.Kernel.Duration(0, 10),
            () =>
            {
                if (_world.Cluster.Process(leader) is not null)
                {
                    Count("coordinator killed");
                    _world.Cluster.Crash(leader, "is killed");
                    _world.Kernel.After(TimeSpan.FromMilliseconds(20), _world.Cluster.StartCoordinatorUnlessItRuns);
                }
            }
        );
    }

    /// <summary>Leaves a write on one of two owners, open for longer than the drain may take.</summary>
    public async Task BeforeCutoverAsync()
    {
        if (_scenario.Event != ChaosEvent.WriteStuck)
        {
            return;
        }
        var index = _world.Indexes[0];
        await _world.Client(index, ClientHabits.Patient).LoadAsync([StuckKey]);
        var route = _world.Cluster.Routes().Single(r => r.Range.Contains(Key.Of(StuckKey).Hash));
        var slow = route.Owners[^1];
        _world.Cluster.HoldPut = (node, put) => node == slow && put.Document.Key.Text == StuckKey;
        _stuck = _world.Client(index, ClientHabits.Patient).LoadAsync([StuckKey]);
        await _world.Operator.Rest(100);
    }

    /// <summary>Gives a stuck write up once the drain says that it waits for it.</summary>
    public async Task MeanwhileAsync()
    {
        var isListed = _world.Operator.Seen.Values.Any(v => v.Shards.Any(s => s.OpenWrites > 0 && s.Reason != ""));
        if (_scenario.Event != ChaosEvent.WriteStuck || !isListed)
        {
            return;
        }
        var listed = await _world.Operator.Ask("open writes", (admin, cancel) => admin.OpenWrites("", true, cancel));
        if (listed?.Results.FirstOrDefault(w => w.Key == StuckKey) is { } write)
        {
            Count("stuck write listed");
            _world.Kernel.Tell(
                "operator",
                $"{write.Key} is stuck, held by [{string.Join(", ", write.Answered)}], missing on [{string.Join(", ", write.Missing)}]"
            );
            var request = new FailWritesRequest(StuckKey, write.Index, "it waits for too long");
            var given = await _world.Operator.Ask("give up", (admin, cancel) => admin.FailWrites(request, cancel));
            if (given is { IsOk: true, Value.Results.Length: > 0 })
            {
                Count("stuck write given up");
            }
        }
    }

    /// <summary>Puts that were held go on, long after their route has ended.</summary>
    public async Task AfterHealingAsync()
    {
        _world.Cluster.HoldPut = static (_, _) => false;
        await _stuck;
    }

    public void Judge()
    {
        string[] wanted = _scenario.Event switch
        {
            ChaosEvent.Bursts => ["burst in Copying", "burst in Joint", "burst in Switched"],
            ChaosEvent.NewNodeCutOff => ["new node cut off", "request lost"],
            ChaosEvent.WriteStuck => ["stuck write listed", "stuck write given up", "late put refused"],
            ChaosEvent.CoordinatorDies => ["coordinator killed"],
            _ => [],
        };
        foreach (var fault in wanted)
        {
            if (_world.Network.Counts.GetValueOrDefault(fault) == 0)
            {
                _world.Findings.Add(ChaosChecks.Vacuous, $"it never happened: {fault}");
            }
        }
    }
}
