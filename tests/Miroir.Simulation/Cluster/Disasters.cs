using Miroir.Core;
using Miroir.Simulation.Kernel;
using Miroir.Simulation.Network;
using Miroir.Stores.Memory;

namespace Miroir.Simulation.Cluster;

/// <summary>Makes disasters happen, one now and then, and ends each again.</summary>
public sealed class Disasters(SimKernel kernel, SimNetwork network, SimCluster cluster, FaultProfile profile)
{
    private bool _isOn;

    public void Begin()
    {
        _isOn = true;
        network.Faults = profile;
        cluster.PlanDisks(_ => new FaultPlan { RefusePut = profile.RefusePut, OnlyMigrationStores = true });
        Next();
    }

    /// <summary>Everything works from here on.</summary>
    public void Heal()
    {
        _isOn = false;
        kernel.Tell("world", "heals");
        network.Faults = FaultProfile.None;
        network.MendAll();
        cluster.PlanDisks(_ => FaultPlan.None);
        cluster.EmptyDisks();
        cluster.Metadata.IsAway = false;
        cluster.ContinueAll();
        cluster.StartMissing();
    }

    private void Next()
    {
        if (!_isOn || profile.DisasterEveryMs == 0)
        {
            return;
        }
        var wait = -Math.Log(1 - kernel.NextDouble()) * profile.DisasterEveryMs;
        kernel.After(
            TimeSpan.FromMilliseconds(wait),
            () =>
            {
                if (_isOn)
                {
                    Happen(kernel.Pick(profile.Disasters));
                    Next();
                }
            }
        );
    }

    private void Happen(Disaster disaster)
    {
        switch (disaster)
        {
            case Disaster.CrashNode:
                Crash(disaster, kernel.Pick(cluster.Nodes), cluster.StartNode);
                break;
            case Disaster.CrashRouter:
                Crash(disaster, kernel.Pick(cluster.Routers), cluster.StartRouter);
                break;
            case Disaster.CrashCoordinator:
                Crash(disaster, cluster.Leader, _ => cluster.StartCoordinatorUnlessItRuns());
                break;
            case Disaster.DeposeCoordinator:
                Happened(disaster, "a coordinator", "is started beside the one that leads");
                cluster.StartCoordinator();
                break;
            case Disaster.CutLine:
                CutLine();
                break;
            case Disaster.Isolate:
                Isolate();
                break;
            case Disaster.Pause:
                Pause();
                break;
            case Disaster.JumpClock:
                JumpClock();
                break;
            case Disaster.FillDisk:
                FillDisk();
                break;
            case Disaster.LoseDisk:
                LoseDisk();
                break;
            case Disaster.LoseMetadata:
                LoseMetadata();
                break;
        }
    }

    private void Happened(Disaster disaster, string who, string what)
    {
        network.Count(disaster.ToString());
        kernel.Tell(who, what);
    }

    private TimeSpan Lasting() => kernel.Duration(20, kernel.Pick([200, 2_000, 8_000]));

    private void Crash(Disaster disaster, string name, Action<string> start)
    {
        if (cluster.Process(name) is null)
        {
            return;
        }
        Happened(disaster, name, "dies");
        cluster.Crash(name, "is gone");
        kernel.After(
            Lasting(),
            () =>
            {
                if (cluster.Process(name) is null)
                {
                    kernel.Tell(name, "is started again");
                    start(name);
                }
            }
        );
    }

    /// <summary>Names as calls go to them: whichever coordinator leads is the coordinator.</summary>
    private List<string> Ends() => [.. cluster.Nodes, .. cluster.Routers, SimCoordinator.Name];

    private void CutLine()
    {
        var from = kernel.Pick(cluster.Running);
        var to = kernel.Pick([.. Ends().Where(end => end != from)]);
        var lasting = Lasting();
        Happened(Disaster.CutLine, from, $"no longer reaches {to}, for {lasting.TotalMilliseconds:0} ms");
        network.Cut(from, to);
        kernel.After(lasting, () => network.Mend(from, to));
    }

    private void Isolate()
    {
        var who = kernel.Pick(Ends());
        var others = cluster.Running.Concat(Ends()).Distinct(StringComparer.Ordinal).ToList();
        var lasting = Lasting();
        Happened(Disaster.Isolate, who, $"is cut off, for {lasting.TotalMilliseconds:0} ms");
        foreach (var other in others)
        {
            network.Cut(who, other);
            network.Cut(other, who);
        }
        kernel.After(
            lasting,
            () =>
            {
                foreach (var other in others)
                {
                    network.Mend(who, other);
                    network.Mend(other, who);
                }
            }
        );
    }

    private void Pause()
    {
        var name = kernel.Pick(cluster.Running);
        var process = cluster.Process(name)!;
        var lasting = Lasting();
        Happened(Disaster.Pause, name, $"stands still, for {lasting.TotalMilliseconds:0} ms");
        process.Pause();
        kernel.After(lasting, process.Continue);
    }

    private void JumpClock()
    {
        var name = kernel.Pick(cluster.Running);
        var jump = kernel.Duration(0, 120_000) - TimeSpan.FromMinutes(1);
        Happened(Disaster.JumpClock, name, $"has its clock set by {jump.TotalMilliseconds:0} ms");
        cluster.Process(name)!.Time.Skew += jump;
    }

    private void FillDisk()
    {
        var name = kernel.Pick(cluster.Nodes);
        var lasting = Lasting();
        Happened(Disaster.FillDisk, name, $"has its disk full, for {lasting.TotalMilliseconds:0} ms");
        cluster.FillDisk(name, true);
        kernel.After(lasting, () => cluster.FillDisk(name, false));
    }

    /// <summary>
    /// Only of a node that nothing rests on: no owner, and no target of a shard that has switched. What an owner has lost
    /// is to be restored from its other copies, which is not the migration's affair.
    /// </summary>
    private void LoseDisk()
    {
        var routes = cluster.Routes();
        bool RestsOn(Route route, string node) =>
            route.Owners.Contains(node)
            || (!route.Stage.IsCopying && !route.Stage.IsJoint && route.Targets.Any(t => t.Nodes.Contains(node)));
        List<string> spare = [.. cluster.Nodes.Where(node => routes.All(route => !RestsOn(route, node)))];
        if (spare.Count == 0)
        {
            return;
        }
        var name = kernel.Pick(spare);
        Happened(Disaster.LoseDisk, name, "dies, and its disk with it");
        cluster.Crash(name, "is gone");
        cluster.LoseDisk(name);
        kernel.After(
            Lasting(),
            () =>
            {
                if (cluster.Process(name) is null)
                {
                    kernel.Tell(name, "is started again with an empty disk");
                    cluster.StartNode(name);
                }
            }
        );
    }

    private void LoseMetadata()
    {
        var lasting = Lasting();
        Happened(Disaster.LoseMetadata, "metadata", $"are away, for {lasting.TotalMilliseconds:0} ms");
        cluster.Metadata.IsAway = true;
        kernel.After(lasting, () => cluster.Metadata.IsAway = false);
    }
}
