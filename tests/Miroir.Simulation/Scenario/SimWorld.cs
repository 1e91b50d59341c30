using Miroir.Oracle;
using Miroir.Ports;
using Miroir.Runtime.Coordination;
using Miroir.Simulation.Cluster;
using Miroir.Simulation.Kernel;
using Miroir.Simulation.Network;

namespace Miroir.Simulation.Scenario;

/// <summary>What a run is played in: a cluster, its operator, its indexes, its disasters, and what was found wrong.</summary>
public sealed class SimWorld
{
    private static readonly TimeSpan Limit = TimeSpan.FromHours(24);
    private static readonly TimeSpan HealingLimit = TimeSpan.FromMinutes(3);

    // Longer than the latest message, and what it may set off, can take: an order given before the healing.
    private static readonly TimeSpan Aftermath = TimeSpan.FromSeconds(12);

    private readonly SimProcess _process;
    private readonly List<SimIndex> _indexes = [];
    private int _clients;
    private bool _isFeedOver;

    private SimWorld(long seed, long salt, bool keepsStory, Func<SimKernel, WorldSettings> draw)
    {
        Seed = seed;
        Trace = new Trace(keepsStory);
        Kernel = new SimKernel(seed ^ salt, Trace);
        Network = new SimNetwork(Kernel);
        var settings = draw(Kernel);
        Cluster = new SimCluster(Kernel, Network, settings.Profile, settings.Coordinator, settings.SeedNodes);
        _process = new SimProcess(Kernel, "operator", TimeSpan.Zero);
        Operator = new SimOperator(Kernel, Network, _process);
        Disasters = new Disasters(Kernel, Network, Cluster, settings.Profile);
        Kernel.Tell("world", settings.Profile.ToString());
    }

    public long Seed { get; }
    public Trace Trace { get; }
    public SimKernel Kernel { get; }
    public SimNetwork Network { get; }
    public SimCluster Cluster { get; }
    public SimOperator Operator { get; }
    public Disasters Disasters { get; }
    public Findings Findings { get; } = new();
    public IReadOnlyList<SimIndex> Indexes => _indexes;

    /// <summary>Documents that are lost, stale or resurrected at the end.</summary>
    public long WrongDocuments { get; private set; }

    /// <summary>Plays one run from beginning to end, and judges it.</summary>
    /// <param name="salt">So that the same seed makes something else of each kind of run.</param>
    public static SeedResult Play(
        long seed,
        bool keepsStory,
        Func<SimKernel, WorldSettings> draw,
        Func<SimWorld, Task> play,
        long salt = 0
    )
    {
        // A test runner's context would take continuations to other threads, past the simulation's own scheduler.
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            var world = new SimWorld(seed, salt, keepsStory, draw);
            world.Run(play);
            return world.Conclude();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }

    private void Run(Func<SimWorld, Task> play)
    {
        var work = Task.CompletedTask;
        _process.Post(() => work = play(this));
        if (!Kernel.RunUntil(() => work.IsCompleted && Kernel.Steps > 0, Limit))
        {
            Findings.Add("wedged", $"the run did not end within {Limit.TotalHours} virtual hours");
        }
        if (work.IsFaulted)
        {
            Findings.Add("failed", work.Exception.InnerException!.ToString());
        }
    }

    /// <summary>Nodes, a coordinator and two routers.</summary>
    public void StartAll(IEnumerable<string> nodes)
    {
        foreach (var node in nodes)
        {
            Cluster.StartNode(node);
        }
        Cluster.StartCoordinator();
        Cluster.StartRouter("r1");
        Cluster.StartRouter("r2");
    }

    public async Task<SimIndex> CreateIndexAsync(string uid, int shards, int replication)
    {
        var index = new SimIndex(uid, shards, replication);
        await Operator.CreateIndexAsync(index);
        _indexes.Add(index);
        return index;
    }

    public SimClient Client(SimIndex index, ClientHabits habits)
    {
        var number = _clients++;
        var process = new SimProcess(Kernel, $"client{number}", TimeSpan.Zero);
        return new SimClient(Network, process, number, index, Cluster.Routers, habits);
    }

    /// <summary>Clients that go on until told to stop.</summary>
    public void Spawn(SimClient client, Func<bool> isOver) => _process.Spawn(() => client.RunAsync(isOver));

    /// <summary>A consumer of the index's change feed, until all of it has been judged.</summary>
    public void Follow(SimIndex index)
    {
        var process = new SimProcess(Kernel, $"consumer of {index.Uid}", TimeSpan.Zero);
        var consumer = new FeedConsumer(Network, process, index, () => Cluster.Routers, Findings);
        process.Spawn(() => consumer.RunAsync(() => _isFeedOver));
        index.IsFollowed = true;
    }

    /// <summary>Something that goes on beside the rest; what it throws fails the run.</summary>
    public void Spawn(Func<Task> work) => _process.Spawn(work);

    /// <summary>
    /// After healing: every migration ends, every client is answered, every store is where the routes say, and every document
    /// is read and judged.
    /// </summary>
    public async Task FinishAsync(IReadOnlyList<SimClient> clients)
    {
        await Operator.Rest(Aftermath.TotalMilliseconds);
        if (!await Operator.FinishAsync(HealingLimit))
        {
            var stuck = Operator.Seen.Values.Where(v => v.FinishedAtUnixMs == 0).Select(Describe);
            Findings.Add("wedged", $"a migration did not end after healing: {string.Join("; ", stuck)}");
        }
        if (!await UntilAsync(() => clients.All(c => c.IsDone)))
        {
            Findings.Add("wedged", "clients still wait for answers");
        }
        if (!await UntilAsync(() => Final.Misplaced(Cluster).Count == 0))
        {
            Findings.Add("leftover", string.Join("; ", Final.Misplaced(Cluster)));
        }
        var followed = _indexes.Where(index => index.IsFollowed).ToArray();
        await UntilAsync(() => followed.All(index => index.Feed.Awaited == 0));
        _isFeedOver = true;
        foreach (var index in followed)
        {
            index.Feed.Judge(Findings);
        }
        foreach (var index in _indexes)
        {
            await JudgeAsync(index);
        }
    }

    private async Task JudgeAsync(SimIndex index)
    {
        var reader = Client(index, ClientHabits.Patient);
        List<FinalRead> reads = [];
        var keys = index.History.Entries().Select(e => e.Operation.Key).Distinct(StringComparer.Ordinal);
        foreach (var key in keys.Order(StringComparer.Ordinal))
        {
            Reply? reply = null;
            for (var attempt = 0; reply is null && attempt < 10; attempt++)
            {
                reply = await reader.ReadAsync(key, Consistency.Confirmed);
            }
            if (reply is null)
            {
                Findings.Add("wedged", $"document {key} of {index.Uid} can't be read after healing");
            }
            else
            {
                reads.Add(new FinalRead(key, reply));
            }
        }
        WrongDocuments += Final.Judge(index, reads, Cluster, Findings);
        index.Lists.Judge(index.History, Findings);
    }

    private static string Describe(MigrationView view) =>
        $"{view.Id} {view.Status} {view.Phase} {view.Reason}: {string.Join(", ", view.Shards.Select(s => $"shard {s.Shard} {s.Stage}@{s.Epoch} {s.State} {s.Reason}"))}";

    /// <summary>False where it is not so within the limit: by default, that of healing.</summary>
    public async Task<bool> UntilAsync(Func<bool> isSo, TimeSpan? limit = null)
    {
        var until = Kernel.Now + (limit ?? HealingLimit).Ticks;
        while (!isSo())
        {
            if (Kernel.Now > until)
            {
                return false;
            }
            await Operator.Rest(100);
        }
        return true;
    }

    private SeedResult Conclude()
    {
        foreach (var escape in Kernel.Escapes.Take(3))
        {
            Findings.Add("escaped", escape);
        }
        foreach (var failure in Kernel.Failures.Take(3))
        {
            Findings.Add("failed", failure);
        }
        var faults = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (var (fault, count) in Network.Counts)
        {
            faults[fault] = count;
        }
        if (Cluster.RefusedPuts > 0)
        {
            faults["refused put"] = Cluster.RefusedPuts;
        }
        if (Cluster.RefusedWhileFull > 0)
        {
            faults["refused by a full disk"] = Cluster.RefusedWhileFull;
        }
        HistoryEntry[] entries = [.. _indexes.SelectMany(index => index.History.Entries())];
        var views = Operator.Seen.Values;
        return new SeedResult(Seed)
        {
            Violations = Findings.Stories,
            Wrong = Findings.Counts,
            Faults = faults,
            Operations = entries.Length,
            Acknowledged = entries.Count(e => e.Outcome == Outcome.Ok),
            Completed = views.Count(v => v.Status == "Complete"),
            Aborted = views.Count(v => v.Status == "Aborted"),
            FellBack = views.Sum(v => v.Shards.Count(s => s.Attempt > 1)),
            DeltaCopied = views.Sum(v => v.DeltaCopied),
            FeedEvents = _indexes.Sum(index => index.Feed.Events),
            FeedDuplicates = _indexes.Sum(index => index.Feed.Duplicates),
            Phases = [.. views.SelectMany(v => v.Timeline.Select(step => step.Phase)).Distinct(StringComparer.Ordinal)],
            VirtualTime = TimeSpan.FromTicks(Kernel.Now),
            Steps = Kernel.Steps,
            TraceHash = Trace.Hash,
            Story = Trace.Story,
        };
    }
}

/// <param name="SeedNodes">Nodes that the cluster begins with.</param>
public sealed record WorldSettings(FaultProfile Profile, CoordinatorOptions Coordinator, string[] SeedNodes);
