using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Routing;
using NUnit.Framework;
using static Miroir.Simulation.Routing.RouterWorld;

namespace Miroir.Simulation.Routing;

/// <summary>Shards that move, and change hands, under a router's open operations.</summary>
[CancelAfter(60_000)]
public sealed class RouterMovesTests
{
    private static readonly string[] Owners = ["n1", "n2", "n3"];
    private static readonly string[] Targets = ["m1", "m2", "m3"];

    private static async Task<(RouterWorld, Router)> MovingAsync(Stage stage)
    {
        var world = new RouterWorld([.. Owners, .. Targets]);
        await world.MakeAsync(Old, 1, Owners);
        await world.MakeStagingAsync(new RouteStamp(Old, 1), New, Targets);
        var router = await world.StartAsync("r1");
        await world.PublishAsync(Route(Old, 1, stage, Owners, By(router, "r1"), Targets));
        await WriteAsync(router, Replace("warm", "{}"));
        return (world, router);
    }

    private static PutReply Refusal { get; } =
        PutReply.NewRefused(new Refusal(RefusalCode.Injected, "as the test asks"));

    [Test]
    public async Task JointWithTargetsThatRefuseSomePutsAcknowledgesOnlyWhatBothHold()
    {
        var (world, router) = await MovingAsync(Stage.Joint);
        await using var _ = world;
        foreach (var target in Targets)
        {
            world[target].BeforePut = put =>
                Task.FromResult(put.Store.Equals(New) && world.Entropy.NextDouble() < 0.02 ? Refusal : null);
        }
        var commands = Enumerable.Range(0, 1500).Select(i => Replace($"k{i}", $$"""{"n":{{i}}}""")).ToArray();
        var outcomes = await router.Write(commands, CancellationToken.None);
        for (var i = 0; i < commands.Length; i++)
        {
            var written = (WriteOutcome.Written)outcomes[i];
            await AssertHeld(world, Owners, Old, $"k{i}", written.Version);
            await AssertHeld(world, Targets, New, $"k{i}", written.Version);
        }
        var failures = router.Counters.Snapshot().DualWriteFailures;
        Assert.That(failures, Is.Not.Empty);
        Assert.That(failures.Select(failure => failure.Node), Is.SubsetOf(Targets));
    }

    [Test]
    public async Task WhileCopyingTargetsDecideNothingAndTheirFailuresAreCounted()
    {
        var (world, router) = await MovingAsync(Stage.Copying);
        await using var _ = world;
        foreach (var target in Targets)
        {
            world[target].BeforePut = _ => Task.FromResult<PutReply?>(Refusal);
        }
        Assert.That(await WriteAsync(router, Replace("a", "{}")), Is.InstanceOf<WriteOutcome.Written>());
        Assert.That(router.Counters.Snapshot().DualWriteFailures.Sum(failure => failure.Count), Is.Positive);
    }

    [Test]
    public async Task AStageThatChangesUnderAnOpenWriteCountsOnlyItsOwnAnswers()
    {
        var (world, router) = await MovingAsync(Stage.Copying);
        await using var _ = world;
        var gate = new TaskCompletionSource<PutReply?>(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var node in Owners.Concat(Targets).Skip(1))
        {
            world[node].BeforePut = put => put.Stamp.Epoch == 1 ? gate.Task : Task.FromResult<PutReply?>(null);
        }
        var write = WriteAsync(router, Replace("a", """{"n":1}"""));
        await world.PublishAsync(Route(Old, 2, Stage.Joint, Owners, By(router, "r1"), Targets));
        var written = (WriteOutcome.Written)await write;
        await AssertHeld(world, Targets, New, "a", written.Version);
        gate.SetResult(null);
        Assert.That(await ReadAsync(router, "a"), Is.EqualTo("""{"n":1}"""));
    }

    [Test]
    public async Task ARouteThatANodeKnowsIsFollowedAtOnce()
    {
        var (world, router) = await MovingAsync(Stage.Copying);
        await using var _ = world;
        var joint = Route(Old, 2, Stage.Joint, Owners, By(router, "r1"), Targets);
        foreach (var owner in Owners)
        {
            await world[owner].RaiseBarriers([new BarrierCommand(joint.Stamp, Old, joint)], CancellationToken.None);
        }
        var written = (WriteOutcome.Written)await WriteAsync(router, Replace("a", "{}"));
        await AssertHeld(world, Targets, New, "a", written.Version);
        Assert.That(router.Counters.Snapshot().StaleEpochs, Is.Positive);
    }

    [Test]
    public async Task AChangeOfWriterUnderAnOpenWriteHandsItToTheNewOne()
    {
        var (world, router) = await MovingAsync(Stage.Owned);
        await using var _ = world;
        var other = await world.StartAsync("r2");
        var gate = new TaskCompletionSource<PutReply?>(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var owner in Owners)
        {
            world[owner].BeforePut = put => put.Stamp.Epoch == 1 ? gate.Task : Task.FromResult<PutReply?>(null);
        }
        var write = WriteAsync(router, Replace("a", """{"by":1}"""));
        await world.PublishAsync(Route(Old, 2, Stage.Owned, Owners, By(other, "r2", 2)));
        Assert.That(((WriteOutcome.Written)await write).Version.Term, Is.EqualTo(2), "nobody had it: it ran again");
        Assert.That(router.Counters.Snapshot().HandOvers, Is.EqualTo(1));
        Assert.That(await ReadAsync(other, "a"), Is.EqualTo("""{"by":1}"""));
        Assert.That(
            await WriteAsync(router, Replace("a", """{"by":2}""")),
            Is.InstanceOf<WriteOutcome.Written>(),
            "passed on to the new writer"
        );
        gate.SetResult(null);
        Assert.That(await ReadAsync(router, "a"), Is.EqualTo("""{"by":2}"""));
        Assert.That(router.Counters.Snapshot().Forwarded, Is.Positive);
    }

    [Test]
    public async Task AnOpenWriteThatCannotBeHandedOverIsUnknown()
    {
        var (world, router) = await MovingAsync(Stage.Owned);
        await using var _ = world;
        var other = await world.StartAsync("r2");
        var gate = new TaskCompletionSource<PutReply?>(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var owner in Owners)
        {
            world[owner].BeforePut = put => put.Stamp.Epoch == 1 ? gate.Task : Task.FromResult<PutReply?>(null);
        }
        var write = WriteAsync(router, Replace("a", "{}"));
        world.Silent.Add("r2");
        await world.PublishAsync(Route(Old, 2, Stage.Owned, Owners, By(other, "r2", 2)));
        Assert.That(await write, Is.InstanceOf<WriteOutcome.Unknown>());
        gate.SetResult(null);
    }

    [Test]
    public async Task APutIsInspectedOnlyInALaterTermAndHasOneEffectHoweverOftenItIsHandedOver()
    {
        var (world, router) = await MovingAsync(Stage.Owned);
        await using var _ = world;
        IRouterPeer peer = router;
        var merge = Command("a", WriteIntent.Merge, """{"m":1}""", Condition.Always);
        InspectCommand Issued(long term) => new(merge, new DocumentVersion(term, 1), default, false);
        var tooSoon = await peer.Inspect(Issued(1), 0, CancellationToken.None);
        Assert.That(tooSoon, Is.InstanceOf<WriteOutcome.Unknown>(), "of the term that goes on");
        Assert.That(await ReadAsync(router, "a"), Is.Null);
        await world.PublishAsync(Route(Old, 2, Stage.Owned, Owners, By(router, "r1", 2)));
        Assert.That(await peer.Inspect(Issued(1), 0, CancellationToken.None), Is.InstanceOf<WriteOutcome.Written>());
        var replaced = await WriteAsync(router, Replace("a", "{}"));
        Assert.That(replaced, Is.InstanceOf<WriteOutcome.Written>());
        Assert.That(await peer.Inspect(Issued(1), 0, CancellationToken.None), Is.InstanceOf<WriteOutcome.Unknown>());
        Assert.That(await ReadAsync(router, "a"), Is.EqualTo("{}"));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task ARetirementUnderAnOpenWriteIsInspected(bool hasReachedTheTargets)
    {
        var (world, router) = await MovingAsync(Stage.Switched);
        await using var _ = world;
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var arrived = new CountdownEvent(hasReachedTheTargets ? 3 : 0);
        foreach (var node in Owners)
        {
            world[node].BeforePut = async put =>
            {
                await gate.Task;
                return null;
            };
        }
        foreach (var node in Targets)
        {
            if (hasReachedTheTargets)
            {
                world[node].AfterPut = _ =>
                {
                    arrived.Signal();
                    return Task.CompletedTask;
                };
            }
            else
            {
                world[node].BeforePut = async put =>
                {
                    if (put.Stamp.Shard.Equals(Old))
                    {
                        await gate.Task;
                    }
                    return null;
                };
            }
        }
        var write = WriteAsync(router, Replace("a", """{"n":1}"""));
        Assert.That(() => arrived.IsSet, Is.True.After(30_000, 5));
        foreach (var node in Targets)
        {
            world[node].AfterPut = static _ => Task.CompletedTask;
        }
        await world.PublishAsync(
            Route(Old, 2, Stage.Retired, Owners, By(router, "r1", 2), Targets),
            Route(New, 1, Stage.Owned, Targets, By(router, "r1", 3), fences: [new RouteStamp(Old, 2)])
        );
        var written = (WriteOutcome.Written)await write;
        Assert.That(written.Version.Term, Is.EqualTo(hasReachedTheTargets ? 1 : 3));
        Assert.That(router.Counters.Snapshot().Inspections, Is.EqualTo(1));
        gate.SetResult();
        Assert.That(await ReadAsync(router, "a"), Is.EqualTo("""{"n":1}"""));
        await AssertHeld(world, Targets, New, "a", written.Version);
    }

    [Test]
    public async Task ARetirementToAnotherRouterHandsAnOpenWriteOver()
    {
        var (world, router) = await MovingAsync(Stage.Switched);
        await using var _ = world;
        var other = await world.StartAsync("r2");
        var gate = new TaskCompletionSource<PutReply?>(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var node in Owners)
        {
            world[node].BeforePut = _ => gate.Task;
        }
        var write = WriteAsync(router, Replace("a", """{"n":1}"""));
        await world.PublishAsync(
            Route(Old, 2, Stage.Retired, Owners, By(router, "r1", 2), Targets),
            Route(New, 1, Stage.Owned, Targets, By(other, "r2", 3), fences: [new RouteStamp(Old, 2)])
        );
        Assert.That(await write, Is.InstanceOf<WriteOutcome.Written>());
        Assert.That(await ReadAsync(other, "a"), Is.EqualTo("""{"n":1}"""));
        gate.SetResult(null);
    }

    [Test]
    public async Task AnotherRouterPassesOnWhatItDoesNotWrite()
    {
        var (world, router) = await MovingAsync(Stage.Owned);
        await using var _ = world;
        var other = await world.StartAsync("r2", options => options with { OperationTimeoutMs = 1_000 });
        await other.WaitForRevision(router.Table.Revision, CancellationToken.None);
        var commands = Enumerable.Range(0, 600).Select(i => Replace($"k{i % 200}", $$"""{"n":{{i}}}""")).ToArray();
        Assert.That(await other.Write(commands, CancellationToken.None), Is.All.InstanceOf<WriteOutcome.Written>());
        Assert.That(await ReadAsync(other, "k7"), Is.EqualTo("""{"n":407}"""));
        world.Silent.Add("r1");
        Assert.That(await WriteAsync(other, Replace("a", "{}")), Is.InstanceOf<WriteOutcome.Unknown>());
        Assert.That(await ReadAsync(other, "k7"), Is.EqualTo("""{"n":407}"""), "asking alone confirms it");
    }

    [Test]
    public async Task ARouterThatIsNotTheWriterSaysSoAndTheAskingRouterResolvesAgain()
    {
        var (world, router) = await MovingAsync(Stage.Owned);
        await using var _ = world;
        var other = await world.StartAsync("r2");
        IRouterPeer peer = other;
        var refused = await peer.Write([Replace("a", "{}")], 0, CancellationToken.None);
        Assert.That(refused[0], Is.InstanceOf<WriteOutcome.Rejected>());
        foreach (var owner in Owners)
        {
            Assert.That(await world.HeldAsync(owner, Old, "a"), Is.Null);
        }
        await world.PublishAsync(Route(Old, 2, Stage.Owned, Owners, By(other, "r2", 2)));
        Assert.That(await WriteAsync(router, Replace("a", "{}")), Is.InstanceOf<WriteOutcome.Written>());
    }

    private static async Task AssertHeld(
        RouterWorld world,
        string[] nodes,
        ShardId store,
        string key,
        DocumentVersion version
    )
    {
        var held = 0;
        foreach (var node in nodes)
        {
            held += (await world.HeldAsync(node, store, key))?.Version.Equals(version) == true ? 1 : 0;
        }
        Assert.That(held, Is.AtLeast(Quorum.write(nodes.Length)), $"{key} on {string.Join(", ", nodes)}");
    }
}
