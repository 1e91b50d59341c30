using Miroir.Chaos.Processes;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.AntiEntropy;
using Miroir.Runtime.Coordination;
using Miroir.Server.Coordination;
using Miroir.Server.Node;
using Miroir.Server.Routers;
using Miroir.Stores.Sqlite;

namespace Miroir.Benchmarks;

/// <summary>
/// One shard with two replicas: two node processes, a coordinator, and the router that writes it. The side that compares
/// is this process, so that a round is timed without the schedule and the reports around it; its table is a copy of the
/// coordinator's.
/// </summary>
internal sealed class ReplicaCluster : IAsyncDisposable
{
    private const string Index = "bench";

    /// <summary>Nothing runs by itself while something is measured.</summary>
    private const string NoSchedule = """
        [anti_entropy]
        schedule_cron = "0 0 29 2 *"
        """;

    private static readonly string[] Names = ["left", "right"];

    private readonly Cluster _cluster;
    private readonly HttpNodeDirectory _nodes = new();
    private readonly HttpRouterDirectory _routers = new();
    private SqliteMetadataStore? _table;

    private ReplicaCluster(string folder) => _cluster = new Cluster(folder, 0, "");

    public EntropyWorld World { get; private set; } = null!;

    public Route Route => World.Table.Routes[0];

    public Replica[] Replicas => Route.OwnerReplicas;

    public static async Task<ReplicaCluster> StartAsync(string folder, CancellationToken cancel)
    {
        var made = new ReplicaCluster(folder);
        try
        {
            await made.StartAsync(cancel);
            return made;
        }
        catch
        {
            await made.DisposeAsync();
            throw;
        }
    }

    /// <summary>The processes that a comparison or a repair keeps busy, beside this one.</summary>
    public int[] Processes =>
        [.. _cluster.Nodes.Concat(_cluster.Routers).Select(process => process.Id), Environment.ProcessId];

    /// <summary>A replica's shard file.</summary>
    public string FileOf(Replica replica) =>
        Path.Combine(
            _cluster.NodeFolder(replica.Node),
            "shards",
            Index,
            $"{replica.Store.Generation}-{replica.Store.Shard}.db"
        );

    public async ValueTask DisposeAsync()
    {
        _nodes.Dispose();
        _routers.Dispose();
        if (_table is not null)
            await _table.DisposeAsync();
        await _cluster.DisposeAsync();
    }

    private async Task StartAsync(CancellationToken cancel)
    {
        foreach (var name in Names)
            await _cluster.StartNodeAsync(name);
        await _cluster.StartCoordinatorAsync(NoSchedule);
        await _cluster.StartRouterAsync("router");
        using (var client = new RouterClient(_cluster.Routers[0].Address, Index))
        {
            await client.CreateIndexAsync(shards: 1, replication: Names.Length, cancel);
            // The router is the shard's writer, and ready, once one document is in.
            await client.PutAsync(MadeDocuments.Body(0), cancel);
        }

        using var coordinator = new HttpCoordinator(_cluster.Coordinator.Address);
        var seen = await coordinator.Watch(0, cancel);
        _table = SqliteMetadataStore.Open(Path.Combine(_cluster.Folder, "table.db"));
        var catalog = new Catalog(_table);
        await catalog.TakeLeadAsync(cancel);
        await catalog.CommitAsync(
            [
                .. seen.Indexes.Select(CatalogWrite.Of),
                .. seen.Routes.Select(CatalogWrite.Of),
                .. seen.Nodes.Select(CatalogWrite.Of),
                .. seen.Routers.Select(CatalogWrite.Of),
            ],
            cancel
        );
        World = new EntropyWorld(
            catalog,
            _nodes,
            _routers,
            TimeProvider.System,
            SystemEntropy.Instance,
            new EntropyOptions { MaxBytesPerSecond = 0 }
        );
    }
}
