using System.Collections.Concurrent;
using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;
using Miroir.Runtime.Coordination;
using Miroir.Simulation.Cluster;
using NUnit.Framework;

namespace Miroir.Simulation.Coordination;

/// <summary>The interpreter of a migration: journal first, perform second.</summary>
[CancelAfter(60_000)]
public sealed class MigrationRunnerTests
{
    private const long Migration = 7;

    [Test]
    public async Task NothingIsPerformedBeforeItsCauseIsInTheJournal(CancellationToken cancel)
    {
        var disk = new MetadataDisk();
        var catalog = new Catalog(new DirectMetadata(disk));
        await catalog.TakeLeadAsync(cancel);
        var stopped = new TaskCompletionSource();
        var world = new ListeningWorld();
        var runner = new MigrationRunner(catalog, world, Begun(), 1, _ => stopped.TrySetResult());

        // Another takes the lead: what this one hears from now on can't be written down any more.
        await new Catalog(new DirectMetadata(disk)).TakeLeadAsync(cancel);
        runner.Start();
        world.Published.SetResult();
        await stopped.Task.WaitAsync(cancel);
        await runner.StopAsync();
        Assert.That(world.Asked, Is.Empty, "what follows from an answer was performed before that was in the journal");
    }

    private static State Begun()
    {
        var index = new IndexInfo("books", "id", 1, new LayoutInfo(1, 1), 1, 0, 0);
        var shard = new ShardId("books", 1, 0);
        var route = new Route(shard, HashRange.Full, 1, Stage.Owned, ["a"], [], new Writer("r", 1, 1), [], 0);
        NodeInfo[] nodes = [.. new[] { "a", "b" }.Select(name => new NodeInfo(name, "", "", 1, 0, NodeRole.Active))];
        var plan = Planning.compute(Migration, index, [route], nodes, 2, Limits.Default);
        return Transition.start(0, plan.ResultValue).ResultValue.Item1;
    }

    /// <summary>Publishes when told to, and notes whom else it was asked for.</summary>
    private sealed class ListeningWorld : IWorld
    {
        public TaskCompletionSource Published { get; } = new();

        public ConcurrentQueue<string> Asked { get; } = new();

        public TimeProvider Time => TimeProvider.System;
        public int CallTimeoutMs => 30_000;
        public int SilenceTimeoutMs => 30_000;
        public int ProgressEveryMs => 1_000;

        public INode Node(string name)
        {
            Asked.Enqueue(name);
            throw new UnreachableException(name, "there are no nodes here");
        }

        public string Address(string name) => "";

        public async Task<Answer> Publish(
            RouteChange[] changes,
            FSharpOption<LayoutChange>? layout,
            CancellationToken cancel
        )
        {
            await Published.Task;
            return Answer.Published;
        }

        public Task<Answer> Inspect(ShardId[] shards, CancellationToken cancel) => throw new NotSupportedException();

        public Task<Answer> Drain(string router, RouteStamp stamp, CancellationToken cancel) =>
            throw new NotSupportedException();
    }
}
