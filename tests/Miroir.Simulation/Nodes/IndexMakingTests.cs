using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Coordination;
using Miroir.Runtime.Nodes;
using Miroir.Simulation.Cluster;
using Miroir.Stores.Memory;
using NUnit.Framework;

namespace Miroir.Simulation.Nodes;

/// <summary>An index's stores are made whatever happens to its routes meanwhile.</summary>
public sealed class IndexMakingTests
{
    [Test]
    public async Task AStoreIsMadeThoughAWriterRaisedItsBarrierBeforeTheMakingArrived()
    {
        await using var store = new MemoryNodeStore(new SeededEntropy(1));
        var world = new Directory();
        var coordinator = new Coordinator(
            new CoordinatorOptions(),
            new Metadata(),
            world,
            world,
            TimeProvider.System,
            _ => { }
        );
        var isNamed = false;
        world.Node = new DisturbedNode(
            new NodeService(
                new NodeOptions("n1", "test"),
                store,
                world,
                TimeProvider.System,
                new SeededEntropy(2),
                _ => { }
            )
        )
        {
            BeforeMake = async () =>
            {
                if (isNamed)
                    return;
                isNamed = true;
                await coordinator.Register("r1", "http://r1", 7, CancellationToken.None);
                var routes = await coordinator.Routes("docs", CancellationToken.None);
                Assert.That(routes.Value.Select(route => route.Epoch), Is.All.EqualTo(2), "a writer was named");
                await store.RaiseBarriers(
                    [.. routes.Value.Select(route => new BarrierCommand(route.Stamp, route.Shard, route))],
                    CancellationToken.None
                );
            },
        };
        await coordinator.StartAsync(
            [new NodeInfo("n1", "http://n1", "", 1, 0, NodeRole.Active)],
            CancellationToken.None
        );

        var made = await coordinator.CreateIndex(new CreateIndexRequest("docs", "id", 3, 1), CancellationToken.None);

        Assert.That(made.IsOk, made.Message);
        var stores = await store.Stores(CancellationToken.None);
        Assert.That(stores.Select(s => s.Store.Shard), Is.EquivalentTo(new[] { 0, 1, 2 }));
        await coordinator.DisposeAsync();
    }

    private sealed class Directory : INodeDirectory, IRouterDirectory
    {
        public INode? Node { get; set; }

        INode INodeDirectory.Get(string name, string address) => Node!;

        IRouterPeer IRouterDirectory.Get(string name, string address) =>
            throw new UnreachableException(name, "there is no router behind the name");
    }

    private sealed class Metadata : IMetadataStore
    {
        private readonly MetadataDisk _disk = new();

        public Task<MetadataEntry[]> Read(string prefix, CancellationToken cancel) =>
            Task.FromResult(_disk.Read(prefix));

        public Task<MetadataResult> Commit(
            IReadOnlyList<MetadataGuard> guards,
            IReadOnlyList<MetadataWrite> writes,
            CancellationToken cancel
        ) => Task.FromResult(_disk.Commit(guards, writes));

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
