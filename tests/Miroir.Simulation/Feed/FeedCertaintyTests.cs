using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Routing;
using Miroir.Simulation.Routing;
using NUnit.Framework;
using static Miroir.Simulation.Routing.RouterWorld;

namespace Miroir.Simulation.Feed;

/// <summary>Writes that become certain late: behind others, in another writer's term, or under a route that has ended.</summary>
[CancelAfter(60_000)]
public sealed class FeedCertaintyTests
{
    private static readonly string[] Owners = ["n1", "n2", "n3"];
    private static readonly string[] Targets = ["m1", "m2", "m3"];

    private static PutReply Refusal { get; } =
        PutReply.NewRefused(new Refusal(RefusalCode.Injected, "as the test asks"));

    private static async Task<(RouterWorld, Router)> OwnedAsync()
    {
        var world = new RouterWorld([.. Owners, .. Targets]);
        await world.MakeAsync(Old, 1, Owners);
        var router = await world.StartAsync("r1", static options => options with { CoordinatorTimeoutMs = 100 });
        await world.PublishAsync(Route(Old, 1, Stage.Owned, Owners, By(router, "r1")));
        return (world, router);
    }

    private static WriteCommand Write(string key, int operation) =>
        new(
            RouterWorld.Index,
            Key.Of(key),
            WriteIntent.Replace,
            "{}"u8.ToArray(),
            Condition.Always,
            Operation(operation)
        );

    private static Guid Operation(int operation) => new(operation, 0, 0, new byte[8]);

    /// <summary>Puts of a key wait at these nodes until the gate opens.</summary>
    private static TaskCompletionSource<PutReply?> Hold(RouterWorld world, string key, params string[] nodes)
    {
        var gate = new TaskCompletionSource<PutReply?>(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var node in nodes)
        {
            world[node].BeforePut = put => put.Document.Key.Text == key ? gate.Task : Task.FromResult<PutReply?>(null);
        }
        return gate;
    }

    private static async Task UntilAsync(Func<Task<bool>> isSo)
    {
        while (!await isSo())
        {
            await Task.Yield();
        }
    }

    private static Task HeldByAsync(RouterWorld world, string node, string key) =>
        UntilAsync(async () => await world.HeldAsync(node, Old, key) is not null);

    [Test]
    public async Task AnOpenWriteHoldsTheFeedBackUntilItIsDecided()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        var gate = Hold(world, "a", "n2", "n3");
        var open = WriteAsync(router, Write("a", 1));
        await HeldByAsync(world, "n1", "a");
        await WriteAsync(router, Write("b", 2));
        world["n1"].IsDown = true;
        var reader = await new FeedReader(router).ToTheEndAsync();
        Assert.That(reader.Operations, Is.Empty, "what is behind an open write waits for it");
        gate.SetResult(null);
        await open;
        await reader.ToTheEndAsync();
        Assert.That(reader.Operations, Is.EqualTo(new[] { Operation(1), Operation(2) }));
    }

    [Test]
    public async Task AWriteOfUnknownOutcomeHoldsTheFeedBackUntilAReadHasPutItBack()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        foreach (var node in new[] { "n2", "n3" })
        {
            world[node].BeforePut = put => Task.FromResult(put.Document.Key.Text == "a" ? Refusal : null);
        }
        var open = WriteAsync(router, Write("a", 1));
        await HeldByAsync(world, "n1", "a");
        await router.FailWrites(new FailWritesRequest("a", "", "test"), CancellationToken.None);
        Assert.That(await open, Is.InstanceOf<WriteOutcome.Unknown>());
        await WriteAsync(router, Write("b", 2));
        var reader = await new FeedReader(router).ToTheEndAsync();
        Assert.That(reader.Operations, Is.Empty);
        foreach (var node in Owners)
        {
            world[node].BeforePut = static _ => Task.FromResult<PutReply?>(null);
        }
        world["n3"].IsDown = true;
        Assert.That(await ReadAsync(router, "a"), Is.EqualTo("{}"));
        await reader.ToTheEndAsync();
        Assert.That(reader.Operations, Is.EqualTo(new[] { Operation(1), Operation(2) }));
    }

    /// <summary>A write that only n1 has, of a term that has ended, and a reader that has passed it without n1.</summary>
    private static async Task<(Router, FeedReader, Task<WriteOutcome>)> PassedAsync(RouterWorld world, Router router)
    {
        var other = await world.StartAsync("r2");
        Hold(world, "a", "n2", "n3");
        var open = WriteAsync(router, Write("a", 1));
        await HeldByAsync(world, "n1", "a");
        world.HeldBack.Add("r1");
        world["n1"].IsDown = true;
        await world.PublishAsync(Route(Old, 2, Stage.Owned, Owners, By(other, "r2", 2)));
        await WriteAsync(other, Write("b", 2));
        var reader = await new FeedReader(other).ToTheEndAsync();
        Assert.That(reader.Operations, Is.EqualTo(new[] { Operation(2) }));
        foreach (var node in Owners)
        {
            world[node].BeforePut = static _ => Task.FromResult<PutReply?>(null);
        }
        world["n1"].IsDown = false;
        return (other, reader, open);
    }

    [Test]
    public async Task AVersionOfAnEndedTermThatAReadPutsBackIsPlacedWhereNoReaderHasPassed()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        var (other, reader, _) = await PassedAsync(world, router);
        world["n2"].IsDown = true;
        Assert.That(await ReadAsync(other, "a"), Is.EqualTo("{}"));
        world["n2"].IsDown = false;
        await reader.ToTheEndAsync();
        Assert.That(reader.Operations, Is.EqualTo(new[] { Operation(2), Operation(1) }));
        Assert.That(reader.Events[1].Change.Version.Term, Is.EqualTo(1));
        Assert.That(reader.Events[1].Change.Position.Term, Is.EqualTo(2));
        await WriteAsync(other, Write("a", 3));
        await reader.ToTheEndAsync();
        Assert.That(reader.Operations.Skip(2), Is.EqualTo(new[] { Operation(3) }), "and before what follows");
    }

    [Test]
    public async Task AnInspectedWriteThatIsFoundIsPlacedWhereNoReaderHasPassed()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        var (_, reader, open) = await PassedAsync(world, router);
        // Whoever reads now reads n1.
        world["n2"].IsDown = true;
        world.HeldBack.Remove("r1");
        world.Coordinator.Publish(static table => table);
        var outcome = await open;
        Assert.That((outcome as WriteOutcome.Written)?.Version.Term, Is.EqualTo(1), $"{outcome}");
        world["n2"].IsDown = false;
        await reader.ToTheEndAsync();
        Assert.That(reader.Operations, Is.EqualTo(new[] { Operation(2), Operation(1) }));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task ARepairIsSilentUnlessItMakesAVersionOfAnEndedTermCertain(bool wasCertain)
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        IRouterPeer writer;
        FeedReader reader;
        if (wasCertain)
        {
            world["n3"].IsDown = true;
            await WriteAsync(router, Write("a", 1));
            var other = await world.StartAsync("r2");
            await world.PublishAsync(Route(Old, 2, Stage.Owned, Owners, By(other, "r2", 2)));
            (writer, reader) = (other, await new FeedReader(other).ToTheEndAsync());
            world["n3"].IsDown = false;
        }
        else
        {
            (writer, reader, var __) = await PassedAsync(world, router);
        }
        var given = reader.Operations.Length;
        var repair = new RepairCommand(RouterWorld.Index, [new RepairKey(Key.Of("a"), default)]);
        var outcome = await writer.Repair(repair, 0, CancellationToken.None);
        Assert.That(outcome[0], Is.InstanceOf<RepairOutcome.Repaired>(), $"{outcome[0]}");
        foreach (var node in Owners)
        {
            Assert.That((await world.HeldAsync(node, Old, "a"))?.Entry.OperationId, Is.EqualTo(Operation(1)), node);
        }
        await reader.ToTheEndAsync();
        Assert.That(reader.Operations.Skip(given), wasCertain ? Is.Empty : Is.EqualTo(new[] { Operation(1) }));
    }

    [Test]
    public async Task APutBackOfWhatAWriteQuorumHeldIsSilent()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        await WriteAsync(router, Write("a", 1));
        var other = await world.StartAsync("r2");
        var reader = await new FeedReader(other).ToTheEndAsync();
        await world.MakeStagingAsync(new RouteStamp(Old, 1), New, Targets);
        await world.PublishAsync(Route(Old, 2, Stage.Joint, Owners, By(other, "r2", 2), Targets));
        Assert.That(await ReadAsync(other, "a"), Is.EqualTo("{}"), "the targets have been put it back");
        Assert.That(other.Counters.Snapshot().PutBacks, Is.EqualTo(1));
        await reader.ToTheEndAsync();
        Assert.That(reader.Operations, Is.EqualTo(new[] { Operation(1) }));
    }

    [Test]
    public async Task AWriteUnderARouteThatEndedCannotLandBehindTheReader()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        var other = await world.StartAsync("r2");
        await world.MakeStagingAsync(new RouteStamp(Old, 1), New, Targets);
        await world.PublishAsync(Route(Old, 2, Stage.Switched, Owners, By(router, "r1"), Targets));
        await WriteAsync(router, Write("warm", 9));
        var gate = Hold(world, "a", "m2", "m3");
        var open = WriteAsync(router, Write("a", 1));
        await HeldByAsync(world, "n1", "a");
        await UntilAsync(async () => await world.HeldAsync("m1", New, "a") is not null);
        // The new writer fences m1 and m2, which is enough for it; the reader reads m2 and m3.
        world.HeldBack.Add("r1");
        world["m3"].RefusesBarriers = true;
        await world.PublishAsync(
            Route(Old, 3, Stage.Retired, Owners, By(router, "r1", 2), Targets),
            Route(New, 1, Stage.Owned, Targets, By(other, "r2", 3), fences: [new RouteStamp(Old, 3)])
        );
        await WriteAsync(other, Write("b", 2));
        world["m3"].RefusesBarriers = false;
        world["m1"].IsDown = true;
        var reader = await new FeedReader(other) { Start = FeedStart.Oldest }.ToTheEndAsync();
        Assert.That(reader.Operations, Does.Contain(Operation(2)).And.Not.Contain(Operation(1)));
        world["m1"].IsDown = false;
        gate.SetResult(null);
        world.HeldBack.Remove("r1");
        world.Coordinator.Publish(static table => table);
        Assert.That(await open, Is.InstanceOf<WriteOutcome.Written>());
        await reader.ToTheEndAsync();
        Assert.That(reader.Operations, Does.Contain(Operation(1)));
    }

    [Test]
    public async Task WhatACopyBroughtFirstIsLoggedWithTheWriteItself()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        await world.MakeStagingAsync(new RouteStamp(Old, 1), New, Targets);
        await world.PublishAsync(Route(Old, 2, Stage.Joint, Owners, By(router, "r1"), Targets));
        var gate = Hold(world, "a", Targets);
        var open = WriteAsync(router, Write("a", 1));
        await HeldByAsync(world, "n1", "a");
        var copied = (await world.HeldAsync("n1", Old, "a"))!.WithOrigin(Origin.Migration);
        foreach (var node in Targets)
        {
            var copy = new PutCommand(new RouteStamp(Old, 2), New, copied);
            await world[node].Store.Put([copy], CancellationToken.None);
        }
        gate.SetResult(null);
        Assert.That(await open, Is.InstanceOf<WriteOutcome.Written>());
        await world.PublishAsync(
            Route(Old, 3, Stage.Retired, Owners, By(router, "r1", 2), Targets),
            Route(New, 1, Stage.Owned, Targets, By(router, "r1", 3), fences: [new RouteStamp(Old, 3)])
        );
        var reader = await new FeedReader(router).ToTheEndAsync();
        Assert.That(reader.Operations, Is.EqualTo(new[] { Operation(1) }));
    }

    [Test]
    public async Task ACursorGoesOnOverACutAndAReturn()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        await WriteAsync(router, Write("a", 1));
        var reader = await new FeedReader(router).ToTheEndAsync();
        await world.MakeStagingAsync(new RouteStamp(Old, 1), New, Targets);
        await world.PublishAsync(Route(Old, 2, Stage.Joint, Owners, By(router, "r1"), Targets));
        await WriteAsync(router, Write("b", 2));
        await world.PublishAsync(Route(Old, 3, Stage.Copying, Owners, By(router, "r1"), Targets));
        await WriteAsync(router, Write("c", 3));
        await reader.ToTheEndAsync();
        await world.PublishAsync(Route(Old, 4, Stage.Joint, Owners, By(router, "r1"), Targets));
        await WriteAsync(router, Write("d", 4));
        await world.PublishAsync(
            Route(Old, 5, Stage.Retired, Owners, By(router, "r1", 2), Targets),
            Route(New, 1, Stage.Owned, Targets, By(router, "r1", 3), fences: [new RouteStamp(Old, 5)])
        );
        await WriteAsync(router, Write("a", 5));
        await reader.ToTheEndAsync();
        Assert.That(reader.Operations, Is.EqualTo(new[] { 1, 2, 3, 4, 5 }.Select(Operation)));
    }
}
