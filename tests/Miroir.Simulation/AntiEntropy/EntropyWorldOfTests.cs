using System.Text;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.AntiEntropy;
using Miroir.Runtime.Coordination;
using Miroir.Simulation.Cluster;
using Miroir.Simulation.Network;
using Miroir.Simulation.Scenario;
using Miroir.Stores.Memory;

namespace Miroir.Simulation.AntiEntropy;

/// <summary>A cluster with one index on three nodes, and a hand on their disks.</summary>
internal sealed class EntropyWorldOfTests
{
    private static readonly string[] Nodes = ["n1", "n2", "n3"];
    private readonly SimWorld _world;

    private EntropyWorldOfTests(SimWorld world, SimIndex index)
    {
        _world = world;
        Index = index;
    }

    public SimIndex Index { get; }

    public SimWorld World => _world;

    public SimOperator Operator => _world.Operator;

    /// <summary>Runs what a test does with the cluster, and answers what the simulation found wrong.</summary>
    public static SeedResult Play(
        long seed,
        Func<EntropyWorldOfTests, Task> test,
        EntropyOptions? options = null,
        FaultProfile? profile = null
    ) =>
        SimWorld.Play(
            seed,
            keepsStory: false,
            _ => new WorldSettings(
                profile ?? FaultProfile.None,
                new CoordinatorOptions { AntiEntropy = options ?? new EntropyOptions() },
                Nodes
            ),
            async world =>
            {
                world.StartAll(Nodes);
                var index = await world.CreateIndexAsync("docs", shards: 4, replication: 3);
                var cluster = new EntropyWorldOfTests(world, index);
                await cluster.LoadAsync();
                await test(cluster);
            }
        );

    public static IReadOnlyList<string> Loaded { get; } = [.. Enumerable.Range(1, 200).Select(i => $"doc{i}")];

    public ClientHabits Habits { get; } =
        new()
        {
            Cold = Loaded,
            Reads = 0.2,
            ThinkMs = 5,
        };

    private Task LoadAsync() =>
        Task.WhenAll(Loaded.Chunk(50).Select(chunk => _world.Client(Index, Habits).LoadAsync(chunk)));

    public async Task<PassView> PassAsync(string kind) =>
        await Operator.PassAsync(Index.Uid, kind) ?? throw new InvalidOperationException($"no answer to {kind}");

    public Route RouteOf(Key key) =>
        _world.Cluster.Routes().Single(route => !route.Stage.IsRetired && route.Range.Contains(key));

    public static Document Live(string key, long clock, string body = "{\"id\":1}") =>
        Document.Live(
            Key.Of(key),
            new DocumentVersion(1, clock),
            Encoding.UTF8.GetBytes(body),
            Guid.Empty,
            Origin.Client
        );

    public static Document Tombstone(string key, long clock) =>
        Document.Tombstone(Key.Of(key), new DocumentVersion(1, clock), Guid.Empty, Origin.Client);

    public MemoryNodeStore DiskOf(string node) => new(new SeededEntropy(0), _world.Cluster.Disks[node]);

    /// <summary>Puts straight into one node's store, under the route in force, past router and network.</summary>
    public PutReply Plant(string node, Document document, long? epoch = null)
    {
        var route = RouteOf(document.Key);
        var stamp = new RouteStamp(route.Shard, epoch ?? route.Epoch);
        return DiskOf(node).Put([new PutCommand(stamp, route.Shard, document)], CancellationToken.None).Result[0];
    }

    public Document? Held(string node, string key) =>
        _world
            .Cluster.Disks[node]
            .Documents(Index.Uid)
            .Select(found => found.Document)
            .FirstOrDefault(document => document.Key.Text == key);

    public long Tombstones => Count(document => document.IsTombstone);

    /// <summary>Copies of documents that are not deleted.</summary>
    public long LiveCopies => Count(document => !document.IsTombstone);

    private long Count(Func<Document, bool> isCounted) =>
        Nodes.Sum(node => _world.Cluster.Disks[node].Documents(Index.Uid).Count(found => isCounted(found.Document)));

    /// <summary>Whether all nodes hold the same of every document.</summary>
    public bool AreEqual =>
        Nodes
            .Select(node =>
                string.Join(
                    "\n",
                    _world.Cluster.Disks[node].Documents(Index.Uid).Select(found => $"{found.Store} {found.Document}")
                )
            )
            .Distinct(StringComparer.Ordinal)
            .Count() == 1;
}
