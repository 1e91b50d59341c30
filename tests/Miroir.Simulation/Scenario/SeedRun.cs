using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Oracle;
using Miroir.Ports;
using Miroir.Runtime.Coordination;
using Miroir.Simulation.Cluster;
using Miroir.Simulation.Kernel;
using Miroir.Simulation.Network;

namespace Miroir.Simulation.Scenario;

/// <summary>One seed from beginning to end: a cluster, its clients, its migrations, its disasters, and the verdict.</summary>
public sealed class SeedRun
{
    public const string Index = "docs";
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan HealingLimit = TimeSpan.FromMinutes(3);

    // Longer than the latest message, and what it may set off, can take: an order given before the healing.
    private static readonly TimeSpan Aftermath = TimeSpan.FromSeconds(12);

    private readonly long _seed;
    private readonly Trace _trace;
    private readonly SimKernel _kernel;
    private readonly SimNetwork _network;
    private readonly SimCluster _cluster;
    private readonly SimProcess _process;
    private readonly SimOperator _operator;
    private readonly Disasters _disasters;
    private readonly History _history = new();
    private readonly Findings _findings = new();
    private readonly int _replication;
    private readonly int _shards;

    private SeedRun(long seed, bool keepsStory)
    {
        _seed = seed;
        _trace = new Trace(keepsStory);
        _kernel = new SimKernel(seed, _trace);
        _network = new SimNetwork(_kernel);
        var profile = FaultProfile.Draw(_kernel);
        _replication = _kernel.Pick([1, 2, 2, 3, 3]);
        _shards = _kernel.Between(1, 5);
        _cluster = new SimCluster(_kernel, _network, profile, Options(), ["n1", "n2", "n3"]);
        _process = new SimProcess(_kernel, "operator", TimeSpan.Zero);
        _operator = new SimOperator(_kernel, _network, _process);
        _disasters = new Disasters(_kernel, _network, _cluster, profile);
        _kernel.Tell("world", $"{_shards} shards, {_replication} copies; {profile}");
    }

    public static SeedResult Run(long seed, bool keepsStory)
    {
        // A test runner's context would take continuations to other threads, past the simulation's own scheduler.
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            return RunAlone(seed, keepsStory);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }

    private static SeedResult RunAlone(long seed, bool keepsStory)
    {
        var run = new SeedRun(seed, keepsStory);
        var work = Task.CompletedTask;
        run._process.Post(() => work = run.PlayAsync());
        var isOver = run._kernel.RunUntil(() => work.IsCompleted && run._kernel.Steps > 0, Limit);
        if (!isOver)
        {
            run._findings.Add("wedged", $"the run did not end within {Limit.TotalMinutes} virtual minutes");
        }
        if (work.IsFaulted)
        {
            run._findings.Add("failed", work.Exception.InnerException!.ToString());
        }
        return run.Conclude();
    }

    private CoordinatorOptions Options()
    {
        var limits = new Limits(
            0,
            _kernel.Between(1, 5),
            _kernel.Between(1, 4),
            _kernel.Between(1, 4),
            _kernel.Pick([300, 2_000, 20_000]),
            _kernel.Pick([0, 0, 500, 3_000]),
            50,
            2_000,
            _kernel.Pick([2, 12]),
            // Nothing is left for an operator to reclaim: what stays behind at the end is a fault.
            1_000_000
        );
        return new CoordinatorOptions { MigrationLimits = limits, ProgressEveryMs = 50 };
    }

    private async Task PlayAsync()
    {
        foreach (var node in (string[])["n1", "n2", "n3", "n4"])
        {
            _cluster.StartNode(node);
        }
        _cluster.StartCoordinator();
        foreach (var router in (string[])["r1", "r2"])
        {
            _cluster.StartRouter(router);
        }
        await _operator.CreateIndexAsync(_shards, _replication);

        string[] hot = [.. Enumerable.Range(1, _kernel.Between(1, 6)).Select(i => $"hot{i}")];
        string[] cold = [.. Enumerable.Range(1, _kernel.Pick([0, 20, 60])).Select(i => $"cold{i}")];
        var habits = new ClientHabits(
            hot,
            cold,
            _kernel.Pick([0.2, 0.6, 0.9]),
            _kernel.Pick([0.2, 0.4]),
            _kernel.Pick([5, 20, 60]),
            _kernel.Chance(0.5) ? 0.1 : 0
        );
        var loader = Client(0, habits);
        await loader.LoadAsync([.. hot, .. cold]);
        if (_kernel.Chance(0.5))
        {
            await _operator.AddNodeAsync("n4");
        }

        _disasters.Begin();
        var areOver = false;
        var clients = Enumerable.Range(1, _kernel.Between(3, 9)).Select(n => Client(n, habits)).ToList();
        foreach (var client in clients)
        {
            _process.Spawn(() => client.RunAsync(() => areOver));
        }
        var end = _kernel.Now + _kernel.Duration(3_000, 15_000).Ticks;
        if (_kernel.Chance(0.5))
        {
            await _operator.AddNodeAsync("n4");
        }
        await _operator.MeddleAsync(_shards, () => _kernel.Now > end);
        _disasters.Heal();
        await _operator.Rest(_kernel.Duration(0, 2_000).TotalMilliseconds);
        areOver = true;
        await FinishAsync(loader, clients);
    }

    private async Task FinishAsync(SimClient loader, List<SimClient> clients)
    {
        await _operator.Rest(Aftermath.TotalMilliseconds);
        if (!await _operator.FinishAsync(HealingLimit))
        {
            var stuck = _operator.Seen.Values.Where(v => v.FinishedAtUnixMs == 0).Select(Describe);
            _findings.Add("wedged", $"a migration did not end after healing: {string.Join("; ", stuck)}");
        }
        await UntilAsync(() => clients.All(c => c.IsDone), "clients still wait for answers", "wedged");
        var isTidy = await UntilAsync(
            () => Final.Misplaced(_cluster).Count == 0,
            "stores are not where the routes say",
            "leftover"
        );
        if (!isTidy)
        {
            _findings.Add("leftover", string.Join("; ", Final.Misplaced(_cluster)));
        }

        List<FinalRead> reads = [];
        foreach (var key in _history.Entries().Select(e => e.Operation.Key).Distinct(StringComparer.Ordinal).Order())
        {
            Reply? reply = null;
            for (var attempt = 0; reply is null && attempt < 10; attempt++)
            {
                reply = await loader.ReadAsync(key, Consistency.Confirmed);
            }
            if (reply is null)
            {
                _findings.Add("wedged", $"document {key} can't be read after healing");
            }
            else
            {
                reads.Add(new FinalRead(key, reply));
            }
        }
        Final.Judge(_history, reads, _cluster, _findings);
    }

    private static string Describe(MigrationView view) =>
        $"{view.Id} {view.Status} {view.Phase} {view.Reason}: {string.Join(", ", view.Shards.Select(s => $"shard {s.Shard} {s.Stage}@{s.Epoch} {s.State} {s.Reason}"))}";

    private async Task<bool> UntilAsync(Func<bool> isSo, string otherwise, string kind)
    {
        var until = _kernel.Now + HealingLimit.Ticks;
        while (!isSo())
        {
            if (_kernel.Now > until)
            {
                _findings.Add(kind, otherwise);
                return false;
            }
            await _operator.Rest(100);
        }
        return true;
    }

    private SimClient Client(int number, ClientHabits habits)
    {
        var process = new SimProcess(_kernel, $"client{number}", TimeSpan.Zero);
        return new SimClient(_network, process, number, _history, ["r1", "r2"], habits);
    }

    private SeedResult Conclude()
    {
        foreach (var escape in _kernel.Escapes.Take(3))
        {
            _findings.Add("escaped", escape);
        }
        foreach (var failure in _kernel.Failures.Take(3))
        {
            _findings.Add("failed", failure);
        }
        var faults = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (var (fault, count) in _network.Counts)
        {
            faults[fault] = count;
        }
        if (_cluster.RefusedPuts > 0)
        {
            faults["refused put"] = _cluster.RefusedPuts;
        }
        var entries = _history.Entries();
        var views = _operator.Seen.Values;
        return new SeedResult(_seed)
        {
            Violations = _findings.Stories,
            Wrong = _findings.Counts,
            Faults = faults,
            Operations = entries.Length,
            Acknowledged = entries.Count(e => e.Outcome == Outcome.Ok),
            Completed = views.Count(v => v.Status == "Complete"),
            Aborted = views.Count(v => v.Status == "Aborted"),
            FellBack = views.Sum(v => v.Shards.Count(s => s.Attempt > 1)),
            DeltaCopied = views.Sum(v => v.DeltaCopied),
            VirtualTime = TimeSpan.FromTicks(_kernel.Now),
            Steps = _kernel.Steps,
            TraceHash = _trace.Hash,
            Story = _trace.Story,
        };
    }
}
