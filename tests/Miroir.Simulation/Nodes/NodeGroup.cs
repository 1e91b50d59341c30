using System.Text;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Nodes;
using Miroir.Stores.Memory;
using NUnit.Framework;

namespace Miroir.Simulation.Nodes;

/// <summary>
/// Some source nodes and a target, on memory, that reach each other directly: what reconciling is tried with. Sources
/// hold shard books/1/0, the target's store is books/2/0, both of the whole hash space.
/// </summary>
internal sealed class NodeGroup : INodeDirectory
{
    public static readonly ShardId SourceShard = new("books", 1, 0);
    public static readonly ShardId TargetShard = new("books", 2, 0);

    private readonly Dictionary<string, INode> nodes = [];

    public NodeGroup(int sources, FaultPlan? faults = null, Func<INode, INode>? disturb = null)
    {
        Stores = [.. Enumerable.Range(0, sources).Select(i => new MemoryNodeStore(new SeededEntropy(i + 1)))];
        TargetStore = new FaultyNodeStore(
            new MemoryNodeStore(new SeededEntropy(100)),
            faults ?? FaultPlan.None,
            new SeededEntropy(7),
            TimeProvider.System
        );
        foreach (var (store, i) in Stores.Select((store, i) => (store, i)))
        {
            var node = Serve($"s{i}", store);
            nodes.Add(node.Name, disturb is null ? node : disturb(node));
            Incarnations.Add(Make(store, SourceShard, 1));
        }

        TargetIncarnation = Make(TargetStore, TargetShard, 1);
        Target = Serve("t", TargetStore);
    }

    public MemoryNodeStore[] Stores { get; }

    public FaultyNodeStore TargetStore { get; }

    public NodeService Target { get; }

    public List<Guid> Incarnations { get; } = [];

    public Guid TargetIncarnation { get; }

    /// <summary>How often a node asked for another.</summary>
    public int Lookups { get; private set; }

    public List<string> Log { get; } = [];

    public INode Get(string name, string address)
    {
        Lookups++;
        return nodes[name];
    }

    public static Guid Make(INodeStore store, ShardId id, long epoch)
    {
        var make = new MakeCommand(new RouteStamp(SourceShard, epoch), id, HashRange.Full, 9, 1);
        return ((MakeReply.Made)store.Make(make, CancellationToken.None).GetAwaiter().GetResult()).Incarnation;
    }

    public static async Task<PutReply[]> Put(INodeStore store, ShardId id, params IEnumerable<Document> documents) =>
        await store.Put(
            [.. documents.Select(document => new PutCommand(new RouteStamp(SourceShard, 1), id, document))],
            CancellationToken.None
        );

    /// <summary>All that a store holds, in its order.</summary>
    public static async Task<Document[]> Everything(INodeStore store, ShardId id)
    {
        // Under a route of its own, so that looking raises no barrier of theirs.
        var stamp = new RouteStamp(new ShardId("inspection", 1, 0), 1);
        var scan = new ScanCommand(stamp, id, HashRange.Full, null, int.MaxValue, int.MaxValue, true);
        var page = ((ScanReply.Page)await store.ScanPage(scan, CancellationToken.None)).Item;
        return [.. Enumerable.Range(0, page.Entries.Length).Select(page.Document)];
    }

    /// <summary>A document whose content follows from its key and version; every fifth clock deletes.</summary>
    public static Document DocumentOf(int key, int clock)
    {
        var version = new DocumentVersion(1 + (clock / 10), 1 + (clock % 10));
        var operation = new Guid(key, (short)clock, 0, new byte[8]);
        return clock % 5 == 4
            ? Document.Tombstone(Key.Of($"k{key}"), version, operation, Origin.Client)
            : Document.Live(
                Key.Of($"k{key}"),
                version,
                Encoding.UTF8.GetBytes($$"""{"id":"k{{key}}","clock":{{clock}}}"""),
                operation,
                Origin.Client
            );
    }

    /// <summary>From all sources, in the incarnations that they are in.</summary>
    public ReconcileCommand From(ReconcileMode mode, HashRange? range = null, long epoch = 1) =>
        new(
            new RouteStamp(SourceShard, epoch),
            TargetShard,
            range ?? HashRange.Full,
            [.. Incarnations.Select((incarnation, i) => new SourceReplica($"s{i}", "", SourceShard, incarnation))],
            mode,
            null,
            0,
            mode == ReconcileMode.Rebuild ? 0 : 9,
            1
        );

    public ReconcileCommand Delta(long epoch = 1) => From(ReconcileMode.Delta, epoch: epoch);

    public ReconcileCommand Copy(Key? after = null, int documentsPerSecond = 0) =>
        new(
            new RouteStamp(SourceShard, 1),
            TargetShard,
            HashRange.Full,
            [new SourceReplica("s0", "", SourceShard, Guid.Empty)],
            ReconcileMode.Copy,
            after,
            documentsPerSecond,
            9,
            1
        );

    public ReconcileCommand Rebuild() => From(ReconcileMode.Rebuild);

    /// <summary>Puts what <see cref="DocumentOf"/> makes of these into each source.</summary>
    public async Task Fill((int Key, int Clock)[][] sources)
    {
        for (var i = 0; i < sources.Length; i++)
        {
            await Put(Stores[i], SourceShard, sources[i].Select(at => DocumentOf(at.Key, at.Clock)));
        }
    }

    /// <summary>A source loses its store, and gets an empty one in its place.</summary>
    public void MakeAnew(int source)
    {
        var drop = new DropCommand(new RouteStamp(SourceShard, 1), SourceShard, Guid.Empty, 0);
        Stores[source].Drop(drop, CancellationToken.None).GetAwaiter().GetResult();
        Make(Stores[source], SourceShard, 1);
    }

    /// <summary>The target's store is gone, as after a loss of its disk.</summary>
    public async Task LoseTarget()
    {
        var drop = new DropCommand(new RouteStamp(SourceShard, 1), TargetShard, Guid.Empty, 0);
        Assert.That((await TargetStore.Drop(drop, CancellationToken.None)).IsDropped);
    }

    /// <summary>Runs it to its end; every reply but the last must be progress that goes forward.</summary>
    public async Task<ReconcileReply> Run(ReconcileCommand command)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        ReconcileReply? last = null;
        await foreach (var reply in Target.Reconcile(command, limit.Token))
        {
            Assert.That(
                last is null or ReconcileReply.Progress { Item.IsComplete: false },
                $"{reply} came behind {last}"
            );
            if (last is ReconcileReply.Progress { Item.Position: { } before } && reply is ReconcileReply.Progress now)
            {
                Assert.That(now.Item.Position!.CompareTo(before), Is.AtLeast(0));
            }

            last = reply;
        }

        return last!;
    }

    public async Task<ReconcileProgress> Complete(ReconcileCommand command)
    {
        var reply = await Run(command);
        Assert.That(reply is ReconcileReply.Progress { Item.IsComplete: true }, $"{reply}");
        return ((ReconcileReply.Progress)reply).Item;
    }

    private NodeService Serve(string name, INodeStore store) =>
        new(
            // Pages far smaller than what is in the stores, so that every run crosses many.
            new NodeOptions(name, "test")
            {
                PageEntries = 7,
                RetryDelay = TimeSpan.FromMilliseconds(0.1),
                ProgressInterval = TimeSpan.FromMilliseconds(1),
            },
            store,
            this,
            TimeProvider.System,
            new SeededEntropy(42),
            line =>
            {
                lock (Log)
                {
                    Log.Add(line);
                }
            }
        );
}
