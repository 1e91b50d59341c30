using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Routing;
using NUnit.Framework;
using static Miroir.Simulation.Routing.RouterWorld;

namespace Miroir.Simulation.Routing;

/// <summary>Writes without an outcome: listed, waited for by a drain, given up by hand.</summary>
[CancelAfter(60_000)]
public sealed class OpenWritesTests
{
    private static readonly string[] Owners = ["n1", "n2", "n3"];
    private static readonly string[] Targets = ["m1", "m2", "m3"];
    private static readonly Guid Operation = new(1, 2, 3, new byte[8]);

    /// <summary>A shard being copied, and a write that n1 alone has; the others answer once the gate is open.</summary>
    private static async Task<(RouterWorld, Router, Task<WriteOutcome>, TaskCompletionSource<PutReply?>)> StuckAsync()
    {
        var world = new RouterWorld([.. Owners, .. Targets]);
        await world.MakeAsync(Old, 1, Owners);
        await world.MakeStagingAsync(new RouteStamp(Old, 1), New, Targets);
        var router = await world.StartAsync("r1");
        await world.PublishAsync(Route(Old, 1, Stage.Copying, Owners, By(router, "r1"), Targets));
        await WriteAsync(router, Replace("a", """{"n":0}"""));
        var gate = new TaskCompletionSource<PutReply?>(TaskCreationOptions.RunContinuationsAsynchronously);
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var node in Owners.Concat(Targets).Skip(1))
        {
            world[node].BeforePut = put =>
                put.Document.Entry.OperationId == Operation ? gate.Task : Task.FromResult<PutReply?>(null);
        }
        world["n1"].AfterPut = _ =>
        {
            arrived.TrySetResult();
            return Task.CompletedTask;
        };
        var write = WriteAsync(
            router,
            new WriteCommand(
                RouterWorld.Index,
                Key.Of("a"),
                WriteIntent.Replace,
                """{"n":1}"""u8.ToArray(),
                Condition.Always,
                Operation
            )
        );
        await arrived.Task;
        return (world, router, write, gate);
    }

    private static FailWritesRequest GiveUp(string id, string index = "") => new(id, index, "timeout");

    /// <summary>n1's answer may be on its way still.</summary>
    private static async Task<OpenWriteView> ListedAsync(Router router)
    {
        while (!TestContext.CurrentContext.CancellationToken.IsCancellationRequested)
        {
            var write = (await router.OpenWrites(CancellationToken.None)).Single();
            if (write.Answered.Length > 0)
            {
                return write;
            }
            await Task.Yield();
        }
        throw new AssertionException("n1's answer did not arrive");
    }

    [Test]
    public async Task AnOpenWriteIsListedWithWhoHasItAndWhoHasNot()
    {
        var (world, router, write, gate) = await StuckAsync();
        await using var _ = world;
        var open = await ListedAsync(router);
        Assert.That(open.Key, Is.EqualTo("a"));
        Assert.That(open.Kind, Is.EqualTo("Write"));
        Assert.That(open.OperationId, Is.EqualTo(Operation));
        Assert.That((open.BegunEpoch, open.Epoch), Is.EqualTo((1L, 1L)));
        Assert.That(open.Answered, Is.EqualTo(["1/0 on n1"]));
        Assert.That(open.Missing, Has.Length.EqualTo(5).And.Contains("1/0 on n3").And.Contains("2/0 on m1"));
        gate.SetResult(null);
        Assert.That(await write, Is.InstanceOf<WriteOutcome.Written>());
        Assert.That(await router.OpenWrites(CancellationToken.None), Is.Empty);
    }

    [Test]
    public async Task ADrainCountsWhatBeganBeforeItsEpochUntilItHasAnOutcome()
    {
        var (world, router, write, gate) = await StuckAsync();
        await using var _ = world;
        Assert.That((await router.Drain(new RouteStamp(Old, 1), CancellationToken.None)).Count, Is.Zero);
        await world.PublishAsync(Route(Old, 2, Stage.Joint, Owners, By(router, "r1"), Targets));
        var stuck = await router.Drain(new RouteStamp(Old, 2), CancellationToken.None);
        Assert.That(stuck.Count, Is.EqualTo(1));
        Assert.That(stuck.OldestMs, Is.GreaterThanOrEqualTo(0));
        var open = await ListedAsync(router);
        Assert.That((open.BegunEpoch, open.Epoch), Is.EqualTo((1L, 2L)));
        Assert.That(
            await WriteAsync(router, Replace("b", "{}")),
            Is.InstanceOf<WriteOutcome.Written>(),
            "others go on"
        );
        var drained = router.Drain(new RouteStamp(Old, 2), CancellationToken.None);
        gate.SetResult(null);
        Assert.That(await write, Is.InstanceOf<WriteOutcome.Written>());
        Assert.That((await drained).Count, Is.Zero);
    }

    [Test]
    public async Task AWriteGivenUpIsUnknownAndItsLatePutsAreRefusedByTheBarrier()
    {
        var (world, router, write, gate) = await StuckAsync();
        await using var _ = world;
        var joint = Route(Old, 2, Stage.Joint, Owners, By(router, "r1"), Targets);
        await world.PublishAsync(joint);
        foreach (var owner in Owners)
        {
            await world[owner].RaiseBarriers([new BarrierCommand(joint.Stamp, Old, joint)], CancellationToken.None);
        }
        Assert.That(await router.FailWrites(GiveUp("b"), CancellationToken.None), Is.Empty, "another document");
        Assert.That(await router.FailWrites(GiveUp("a", "other"), CancellationToken.None), Is.Empty, "another index");
        var given = await router.FailWrites(GiveUp("a"), CancellationToken.None);
        Assert.That(given.Single().OperationId, Is.EqualTo(Operation));
        Assert.That(((WriteOutcome.Unknown)await write).Why, Does.Contain("given up").And.Contain("timeout"));
        Assert.That((await router.Drain(joint.Stamp, CancellationToken.None)).Count, Is.Zero);
        var stale = new PutCommand(
            new RouteStamp(Old, 1),
            Old,
            Document.Live(
                Key.Of("a"),
                new DocumentVersion(1, long.MaxValue),
                "{}"u8.ToArray(),
                Operation,
                Origin.Client
            )
        );
        foreach (var owner in Owners)
        {
            var replies = await world[owner].Store.Put([stale], CancellationToken.None);
            Assert.That(replies[0], Is.InstanceOf<PutReply.StaleEpoch>());
        }
        gate.SetResult(null);
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task WhatAWriteGivenUpLeftBehindIsCompletedOrOverwrittenNeverBoth(bool isOverwritten)
    {
        var (world, router, write, gate) = await StuckAsync();
        await using var _ = world;
        await router.FailWrites(GiveUp("a"), CancellationToken.None);
        Assert.That(await write, Is.InstanceOf<WriteOutcome.Unknown>());
        gate.SetResult(PutReply.NewRefused(new Refusal(RefusalCode.Injected, "as the test asks")));
        if (isOverwritten)
        {
            Assert.That(await WriteAsync(router, Replace("a", """{"n":2}""")), Is.InstanceOf<WriteOutcome.Written>());
        }
        foreach (var node in Owners.Concat(Targets))
        {
            world[node].BeforePut = static _ => Task.FromResult<PutReply?>(null);
        }
        var first = await ReadAsync(router, "a");
        Assert.That(first, isOverwritten ? Is.EqualTo("""{"n":2}""") : Is.AnyOf("""{"n":0}""", """{"n":1}"""));
        var merge = Command("a", WriteIntent.Merge, """{"m":1}""", Condition.Always);
        Assert.That(await WriteAsync(router, merge), Is.InstanceOf<WriteOutcome.Written>());
        var expected = isOverwritten ? """{"n":2,"m":1}""" : """{"n":1,"m":1}""";
        for (var i = 0; i < 5; i++)
        {
            Assert.That(await ReadAsync(router, "a"), Is.EqualTo(expected), "what the update rests on stays");
        }
    }
}
