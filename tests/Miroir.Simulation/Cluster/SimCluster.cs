using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;
using Miroir.Runtime.Coordination;
using Miroir.Runtime.Nodes;
using Miroir.Runtime.Routing;
using Miroir.Simulation.Kernel;
using Miroir.Simulation.Network;
using Miroir.Stores.Memory;

namespace Miroir.Simulation.Cluster;

/// <summary>
/// The processes of a cluster, as they ship, and what of them outlives a crash: the nodes' disks and the metadata. It also
/// is their supervisor: who has ended by himself is started again.
/// </summary>
public sealed class SimCluster
{
    private readonly SimKernel _kernel;
    private readonly SimNetwork _network;
    private readonly FaultProfile _profile;
    private readonly CoordinatorOptions _options;
    private readonly SortedDictionary<string, MemoryDisk> _disks = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, SimProcess> _processes = new(StringComparer.Ordinal);
    private readonly List<(string Node, FaultyNodeStore Store)> _stores = [];
    private readonly HashSet<string> _full = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _incarnations = new(StringComparer.Ordinal);
    private readonly HashSet<string> _lostDisks = new(StringComparer.Ordinal);
    private readonly NodeInfo[] _seed;
    private Func<string, FaultPlan> _plan = static _ => FaultPlan.None;
    private int _coordinators;

    public SimCluster(
        SimKernel kernel,
        SimNetwork network,
        FaultProfile profile,
        CoordinatorOptions options,
        string[] seedNodes
    )
    {
        _kernel = kernel;
        _network = network;
        _profile = profile;
        _options = options;
        _seed = [.. seedNodes.Select(name => new NodeInfo(name, Address(name), "", 1, 0, NodeRole.Active))];
        Metadata.OnWrite = (key, value) =>
        {
            Tell(key, value);
            Published(key, value);
        };
    }

    /// <summary>Called in the kernel with each key of the metadata that is put, and null where it is deleted.</summary>
    public event Action<string, byte[]?> Published = static (_, _) => { };

    /// <summary>Whether a put, at a node, is to wait for as long as that is so.</summary>
    public Func<string, PutCommand, bool> HoldPut { get; set; } = static (_, _) => false;

    public MetadataDisk Metadata { get; } = new();

    public IReadOnlyDictionary<string, MemoryDisk> Disks => _disks;

    public IReadOnlyList<string> Nodes => [.. _disks.Keys];

    public IReadOnlyList<string> Routers { get; private set; } = [];

    /// <summary>The coordinator that was started last.</summary>
    public string Leader { get; private set; } = "";

    public static string Address(string name) => $"http://{name}:7000";

    public SimProcess? Process(string name) =>
        _processes.TryGetValue(name, out var process) && process.IsAlive ? process : null;

    /// <summary>Everyone who runs now.</summary>
    public IReadOnlyList<string> Running => [.. _processes.Where(p => p.Value.IsAlive).Select(p => p.Key)];

    public SimProcess NewProcess(string name)
    {
        var skewMs = (_kernel.NextDouble() - 0.5) * 2 * _profile.MaxSkewMs;
        var process = new SimProcess(_kernel, name, TimeSpan.FromMilliseconds(skewMs));
        _processes[name] = process;
        return process;
    }

    /// <summary>What goes wrong on the disk of each node.</summary>
    public void PlanDisks(Func<string, FaultPlan> plan)
    {
        _plan = plan;
        Replan();
    }

    public void FillDisk(string name, bool isFull)
    {
        if (isFull ? _full.Add(name) : _full.Remove(name))
        {
            Replan();
        }
    }

    public void EmptyDisks()
    {
        _full.Clear();
        Replan();
    }

    /// <summary>A node that is down comes back without anything that it had stored.</summary>
    public void LoseDisk(string name)
    {
        _disks[name] = new MemoryDisk();
        _lostDisks.Add(name);
    }

    /// <summary>Nodes that lost their disk at some time.</summary>
    public IReadOnlySet<string> LostDisks => _lostDisks;

    /// <summary>The routes as they are published.</summary>
    public IReadOnlyList<Route> Routes() =>
        [.. Metadata.Read(CatalogKeys.Routes).Select(entry => Codec.routeOfBytes(entry.Value!))];

    /// <summary>With the disk that a node of this name left behind, if there was one.</summary>
    public void StartNode(string name)
    {
        if (!_disks.TryGetValue(name, out var disk))
        {
            _disks[name] = disk = new MemoryDisk();
        }
        var process = NewProcess(name);
        process.Post(() =>
        {
            var memory = new MemoryNodeStore(process.Entropy, disk);
            var syncing = new SyncingStore(memory, process, _network, put => HoldPut(name, put));
            var store = new FaultyNodeStore(syncing, PlanOf(name), process.Entropy, process.Time);
            _stores.Add((name, store));
            var options = new NodeOptions(name, "simulated") { PageEntries = 8 };
            var service = new NodeService(
                options,
                store,
                new SimDirectory(_network, process),
                process.Time,
                process.Entropy,
                process.Log
            );
            _network.Listen(name, new Endpoint(process, service));
        });
    }

    public void StartRouter(string name)
    {
        if (!Routers.Contains(name))
        {
            Routers = [.. Routers, name];
        }
        var process = NewProcess(name);
        process.Spawn(async () =>
        {
            var directory = new SimDirectory(_network, process);
            var router = new Router(
                new RouterOptions { Name = name, Address = Address(name) },
                new SimCoordinator(_network, process),
                directory,
                directory,
                process.Time,
                process.Entropy,
                process.Log
            );
            _network.Listen(name, new Endpoint(process, router));
            _incarnations[name] = router.Incarnation;
            await router.StartAsync(CancellationToken.None);
            while (!router.IsDeposed)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(500), process.Time);
            }
            _kernel.After(
                TimeSpan.FromMilliseconds(200),
                () =>
                {
                    if (process.IsAlive)
                    {
                        Crash(name, "has been deposed, and is started again");
                        StartRouter(name);
                    }
                }
            );
        });
    }

    public void StartCoordinator()
    {
        var name = $"{SimCoordinator.Name}{++_coordinators}";
        Leader = name;
        var process = NewProcess(name);
        process.Spawn(async () =>
        {
            var why = "has lost the lead";
            try
            {
                var directory = new SimDirectory(_network, process);
                var coordinator = new Coordinator(
                    _options,
                    new SimMetadata(Metadata, _network, process),
                    directory,
                    directory,
                    process.Time,
                    process.Log
                );
                await coordinator.StartAsync(_seed, CancellationToken.None);
                _network.Listen(SimCoordinator.Name, new Endpoint(process, coordinator));
                await coordinator.Ended;
            }
            catch (Exception e) when (e is InvalidOperationException or UnreachableException)
            {
                why = $"has ended: {e.Message}";
            }
            _kernel.After(
                TimeSpan.FromMilliseconds(200),
                () =>
                {
                    if (process.IsAlive)
                    {
                        Crash(name, why);
                        StartCoordinatorUnlessItRuns();
                    }
                }
            );
        });
    }

    /// <summary>An older one may still run, and not know that it leads no more.</summary>
    public void StartCoordinatorUnlessItRuns()
    {
        if (Process(Leader) is null)
        {
            StartCoordinator();
        }
    }

    /// <summary>The process is gone at once; what it had told nobody is forgotten.</summary>
    public void Crash(string name, string why)
    {
        if (Process(name) is { } process)
        {
            _kernel.Tell(name, why);
            process.Kill();
            TellThatTheLineBroke(name);
        }
    }

    /// <summary>A coordinator sees its connections break, those of a router whose process has ended among them.</summary>
    private void TellThatTheLineBroke(string router)
    {
        if (!_incarnations.TryGetValue(router, out var incarnation))
        {
            return;
        }
        _kernel.After(
            _kernel.Duration(0.05, 20),
            () =>
            {
                if (_network.Find(SimCoordinator.Name) is { Service: Coordinator coordinator } leader)
                {
                    leader.Process.Spawn(() => coordinator.ProbeAsync(router, incarnation));
                }
            }
        );
    }

    /// <summary>Everyone who ought to run does.</summary>
    public void StartMissing()
    {
        foreach (var name in Nodes.Where(n => Process(n) is null))
        {
            StartNode(name);
        }
        foreach (var name in Routers.Where(r => Process(r) is null))
        {
            StartRouter(name);
        }
        StartCoordinatorUnlessItRuns();
    }

    public void ContinueAll()
    {
        foreach (var process in _processes.Values)
        {
            process.Continue();
        }
    }

    private FaultPlan PlanOf(string name) => _full.Contains(name) ? _plan(name) with { IsFull = true } : _plan(name);

    private void Replan()
    {
        foreach (var (node, store) in _stores)
        {
            store.Plan = PlanOf(node);
        }
    }

    public long RefusedPuts => _stores.Sum(s => s.Store.RefusedPuts);

    public long RefusedWhileFull => _stores.Sum(s => s.Store.RefusedWhileFull);

    /// <summary>Puts that a node's disk refused, by store.</summary>
    public IReadOnlyDictionary<ShardId, long> RefusedOn(string name) =>
        _stores
            .Where(s => s.Node == name)
            .SelectMany(s => s.Store.RefusedByStore)
            .GroupBy(r => r.Key)
            .ToDictionary(r => r.Key, r => r.Sum(each => each.Value));

    private void Tell(string key, byte[]? value)
    {
        if (!_kernel.Trace.KeepsStory || !key.StartsWith(CatalogKeys.Routes, StringComparison.Ordinal))
        {
            return;
        }
        var what = "is taken out";
        if (value is not null)
        {
            var route = Codec.routeOfBytes(value);
            var targets = string.Join(
                "; ",
                route.Targets.Select(t => $"{t.Shard.Generation}/{t.Shard.Shard} on {string.Join(",", t.Nodes)}")
            );
            what =
                $"{route.Stage} at epoch {route.Epoch}, on {string.Join(",", route.Owners)}, to [{targets}], written by {route.Writer.Router}#{route.Writer.Incarnation % 1000} in term {route.Writer.Term}";
        }
        _kernel.Trace.Note(_kernel.Now, "published", $"{key}: {what}");
    }
}
