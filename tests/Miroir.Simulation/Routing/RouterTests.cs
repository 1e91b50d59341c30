using Miroir.Core;
using Miroir.Ports;
using NUnit.Framework;
using static Miroir.Simulation.Routing.RouterWorld;

namespace Miroir.Simulation.Routing;

/// <summary>One router, shards that stay where they are.</summary>
[CancelAfter(60_000)]
public sealed class RouterTests
{
    private static async Task<(RouterWorld, Runtime.Routing.Router)> OwnedAsync(int rf, int timeoutMs = 10_000)
    {
        string[] nodes = [.. Enumerable.Range(1, rf).Select(i => $"n{i}")];
        var world = new RouterWorld(nodes);
        await world.MakeAsync(Old, 1, nodes);
        var router = await world.StartAsync(
            "r1",
            options => options with { OperationTimeoutMs = timeoutMs, AttemptTimeoutMs = timeoutMs }
        );
        await world.PublishAsync(Route(Old, 1, Stage.Owned, nodes, By(router, "r1")));
        return (world, router);
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    public async Task WritesReadsAndDeletes(int rf)
    {
        var (world, router) = await OwnedAsync(rf);
        await using var _ = world;
        Assert.That(await WriteAsync(router, Replace("a", """{"id":"a"}""")), Is.InstanceOf<WriteOutcome.Written>());
        Assert.That(await ReadAsync(router, "a"), Is.EqualTo("""{"id":"a"}"""));
        var deleted = await WriteAsync(router, Command("a", WriteIntent.Delete, "", Condition.Always));
        Assert.That(deleted, Is.InstanceOf<WriteOutcome.Written>().With.Property("WasLive").True);
        Assert.That(await ReadAsync(router, "a"), Is.Null);
        Assert.That(await ReadAsync(router, "never"), Is.Null);
    }

    [Test]
    public async Task OneOfThreeNodesMayBeDownAndTwoMayNot()
    {
        var (world, router) = await OwnedAsync(3, 500);
        await using var _ = world;
        await WriteAsync(router, Replace("a", """{"n":1}"""));
        world["n2"].IsDown = true;
        Assert.That(await WriteAsync(router, Replace("a", """{"n":2}""")), Is.InstanceOf<WriteOutcome.Written>());
        Assert.That(await ReadAsync(router, "a"), Is.EqualTo("""{"n":2}"""));
        world["n3"].IsDown = true;
        Assert.That(await WriteAsync(router, Replace("a", """{"n":3}""")), Is.InstanceOf<WriteOutcome.Unknown>());
        var read = await router.Read(RouterWorld.Index, Key.Of("a"), Consistency.Confirmed, CancellationToken.None);
        Assert.That(read, Is.InstanceOf<ReadOutcome.Unavailable>());
    }

    [Test]
    public async Task FieldUpdatesOfOneDocumentLoseNothing()
    {
        var (world, router) = await OwnedAsync(3);
        await using var _ = world;
        var updates = Enumerable
            .Range(0, 50)
            .Select(i => Command("a", WriteIntent.Merge, $$"""{"f{{i}}":{{i}}}""", Condition.Always));
        var outcomes = await Task.WhenAll(updates.Select(update => WriteAsync(router, update)));
        Assert.That(outcomes, Is.All.InstanceOf<WriteOutcome.Written>());
        var body = System.Text.Json.JsonDocument.Parse((await ReadAsync(router, "a"))!);
        Assert.That(body.RootElement.EnumerateObject().Count(), Is.EqualTo(50));
    }

    [Test]
    public async Task OfConditionalWritesOnOneVersionOneWins()
    {
        var (world, router) = await OwnedAsync(3);
        await using var _ = world;
        var first = (WriteOutcome.Written)await WriteAsync(router, Replace("a", "{}"));
        var rivals = await Task.WhenAll(
            Enumerable
                .Range(0, 20)
                .Select(i =>
                    WriteAsync(
                        router,
                        Command("a", WriteIntent.Replace, $$"""{"by":{{i}}}""", Condition.NewIfVersion(first.Version))
                    )
                )
        );
        var winner = rivals.OfType<WriteOutcome.Written>().Single();
        Assert.That(
            rivals.OfType<WriteOutcome.ConditionFailed>().Select(failed => failed.Found),
            Has.Exactly(19).EqualTo(winner.Version)
        );
    }

    [Test]
    public async Task ABatchKeepsTheInputOrderOfEachDocument()
    {
        var (world, router) = await OwnedAsync(3);
        await using var _ = world;
        var commands = Enumerable.Range(0, 2000).Select(i => Replace($"k{i % 100}", $$"""{"n":{{i}}}""")).ToArray();
        var outcomes = await router.Write(commands, CancellationToken.None);
        Assert.That(outcomes, Is.All.InstanceOf<WriteOutcome.Written>());
        for (var k = 0; k < 100; k++)
        {
            Assert.That(await ReadAsync(router, $"k{k}"), Is.EqualTo($$"""{"n":{{1900 + k}}}"""));
        }
    }

    [Test]
    public async Task NothingIsWrittenBeforeTheBarriersAreConfirmed()
    {
        var world = new RouterWorld("n1", "n2", "n3");
        await using var _ = world;
        await world.MakeAsync(Old, 1, "n1", "n2", "n3");
        var router = await world.StartAsync("r1", options => options with { OperationTimeoutMs = 300 });
        world["n1"].RefusesBarriers = world["n2"].RefusesBarriers = true;
        await world.PublishAsync(Route(Old, 1, Stage.Owned, ["n1", "n2", "n3"], By(router, "r1")));
        Assert.That(await WriteAsync(router, Replace("a", "{}")), Is.InstanceOf<WriteOutcome.Rejected>());
        foreach (var node in new[] { "n1", "n2", "n3" })
        {
            Assert.That(await world.HeldAsync(node, Old, "a"), Is.Null);
        }
        world["n1"].RefusesBarriers = false;
        Assert.That(await EventuallyWritten(router, "a"), Is.InstanceOf<WriteOutcome.Written>());
    }

    [Test]
    public async Task ADeposedStartStopsWriting()
    {
        var (world, router) = await OwnedAsync(1, 300);
        await using var _ = world;
        await WriteAsync(router, Replace("a", "{}"));
        world.Coordinator.Deposed.Add(router.Incarnation);
        Assert.That(() => router.IsDeposed, Is.True.After(30_000, 10));
        Assert.That(await WriteAsync(router, Replace("a", "{}")), Is.InstanceOf<WriteOutcome.Rejected>());
    }

    [Test]
    public async Task AHalfDoneWriteOnceReadStaysRead()
    {
        var (world, router) = await OwnedAsync(3);
        await using var _ = world;
        await WriteAsync(router, Replace("a", """{"n":1}"""));
        var document = Document.Live(
            Key.Of("a"),
            new DocumentVersion(1, long.MaxValue),
            "{\"n\":2}"u8.ToArray(),
            Guid.Empty,
            Origin.Client
        );
        await world["n1"].Store.Put([new PutCommand(new RouteStamp(Old, 1), Old, document)], CancellationToken.None);
        world["n3"].IsDown = true;
        Assert.That(await ReadAsync(router, "a"), Is.EqualTo("""{"n":2}"""));
        world["n3"].IsDown = false;
        world["n1"].IsDown = true;
        Assert.That(await ReadAsync(router, "a"), Is.EqualTo("""{"n":2}"""));
        Assert.That(router.Counters.Snapshot().PutBacks, Is.Positive);
    }

    [Test]
    public async Task AnUpdateRestsOnWhatWasIssuedWhateverBecameOfIt()
    {
        var (world, router) = await OwnedAsync(1, 400);
        await using var _ = world;
        await WriteAsync(router, Replace("a", """{"x":0}"""));
        var refusal = PutReply.NewRefused(new Refusal(RefusalCode.Injected, "as the test asks"));
        world["n1"].BeforePut = _ => Task.FromResult<PutReply?>(refusal);
        var lost = await WriteAsync(router, Command("a", WriteIntent.Merge, """{"y":1}""", Condition.Always));
        Assert.That(lost, Is.InstanceOf<WriteOutcome.Unknown>());
        world["n1"].BeforePut = static _ => Task.FromResult<PutReply?>(null);
        await WriteAsync(router, Command("a", WriteIntent.Merge, """{"z":2}""", Condition.Always));
        Assert.That(await ReadAsync(router, "a"), Is.EqualTo("""{"x":0,"y":1,"z":2}"""));
    }

    [Test]
    public async Task ListsCountsAndDeletesEverything()
    {
        var (world, router) = await OwnedAsync(3);
        await using var _ = world;
        var commands = Enumerable.Range(0, 700).Select(i => Replace($"k{i}", $$"""{"n":{{i}}}""")).ToArray();
        await router.Write(commands, CancellationToken.None);
        await router.Write(
            [.. Enumerable.Range(0, 50).Select(i => Command($"k{i}", WriteIntent.Delete, "", Condition.Always))],
            CancellationToken.None
        );
        var listed = new List<Key>();
        for (var offset = 0; offset < 700; offset += 97)
        {
            var page = (await router.List(RouterWorld.Index, offset, 97, CancellationToken.None)).Value;
            Assert.That(page.Total, Is.EqualTo(650));
            listed.AddRange(page.Documents.Select(document => document.Key));
        }
        Assert.That(listed, Is.Unique.And.Ordered);
        Assert.That(listed, Has.Count.EqualTo(650));
        Assert.That((await router.DeleteAll(RouterWorld.Index, CancellationToken.None)).Value, Is.EqualTo(650));
        Assert.That((await router.Statistics(RouterWorld.Index, CancellationToken.None)).Value.Documents, Is.Zero);
        Assert.That((await router.Statistics("other", CancellationToken.None)).Code, Is.EqualTo("index_not_found"));
    }

    [Test]
    public async Task AnIndexThatIsNotThereIsSaidToBeMissing()
    {
        var (world, router) = await OwnedAsync(1);
        await using var _ = world;
        var command = new WriteCommand(
            "other",
            Key.Of("a"),
            WriteIntent.Replace,
            "{}"u8.ToArray(),
            Condition.Always,
            Guid.Empty
        );
        Assert.That(await WriteAsync(router, command), Is.InstanceOf<WriteOutcome.Rejected>());
    }

    private static async Task<WriteOutcome> EventuallyWritten(Runtime.Routing.Router router, string key)
    {
        WriteOutcome outcome;
        var tries = 0;
        do
        {
            outcome = await WriteAsync(router, Replace(key, "{}"));
        } while (outcome.IsRejected && ++tries < 50);
        return outcome;
    }
}
