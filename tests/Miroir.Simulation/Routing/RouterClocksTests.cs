using System.Text.Json;
using Miroir.Core;
using Miroir.Runtime.Routing;
using NUnit.Framework;
using static Miroir.Simulation.Routing.RouterWorld;

namespace Miroir.Simulation.Routing;

/// <summary>Several routers whose clocks disagree, or one of which has a table many epochs old: a shard changes hands.</summary>
[CancelAfter(60_000)]
public sealed class RouterClocksTests
{
    private static readonly string[] Nodes = ["n1", "n2", "n3"];

    /// <summary>r1's clock is ahead of the machine's by as much as r2's is behind it; r1 writes, in term 1.</summary>
    private static async Task<(RouterWorld, Router, Router)> StartAsync(double aheadSeconds)
    {
        var world = new RouterWorld(Nodes);
        await world.MakeAsync(Old, 1, Nodes);
        var first = await world.StartAsync("r1", skew: TimeSpan.FromSeconds(aheadSeconds));
        var second = await world.StartAsync("r2", skew: TimeSpan.FromSeconds(-aheadSeconds));
        await NameAsync(world, first, "r1", 1);
        return (world, first, second);
    }

    /// <summary>The router writes from now on, in a term that is the route's epoch.</summary>
    private static Task NameAsync(RouterWorld world, Router router, string name, long term) =>
        world.PublishAsync(Route(Old, term, Stage.Owned, Nodes, By(router, name, term)));

    private static WriteCommand Merge(string body) => Command("a", WriteIntent.Merge, body, Condition.Always);

    private static WriteCommand IfMatch(string body, DocumentVersion version) =>
        Command("a", WriteIntent.Replace, body, Condition.NewIfVersion(version));

    private static async Task<DocumentVersion> WrittenAsync(Router router, WriteCommand command) =>
        ((WriteOutcome.Written)await WriteAsync(router, command)).Version;

    [TestCase(2.5)]
    [TestCase(-2.5)]
    [TestCase(3_600)]
    public async Task FieldUpdatesOfWritersWhoseClocksDisagreeAllStay(double aheadSeconds)
    {
        var (world, first, second) = await StartAsync(aheadSeconds);
        await using var _ = world;
        var versions = new List<DocumentVersion>();
        var count = 0;
        for (var term = 1; term <= 6; term++)
        {
            var (writer, name) = term % 2 == 1 ? (first, "r1") : (second, "r2");
            await NameAsync(world, writer, name, term);
            foreach (var router in (Router[])[first, second, first])
            {
                versions.Add(await WrittenAsync(router, Merge($$"""{"f{{count}}":{{count++}}}""")));
            }
        }
        Assert.That(versions, Is.Unique.And.Ordered, "clocks order nothing between terms");
        Assert.That(versions.Select(version => version.Term).Distinct(), Is.EqualTo([1, 2, 3, 4, 5, 6]));
        foreach (var router in (Router[])[first, second])
        {
            using var body = JsonDocument.Parse((await ReadAsync(router, "a"))!);
            Assert.That(body.RootElement.EnumerateObject().Count(), Is.EqualTo(count));
        }
    }

    [TestCase(2.5)]
    [TestCase(-2.5)]
    public async Task AConditionHoldsOfTheVersionThatIsThereWhoeverGaveIt(double aheadSeconds)
    {
        var (world, first, second) = await StartAsync(aheadSeconds);
        await using var _ = world;
        var old = await WrittenAsync(first, Replace("a", """{"n":0}"""));
        await NameAsync(world, second, "r2", 2);
        var rivals = await Task.WhenAll(
            Enumerable
                .Range(0, 20)
                .Select(i => WriteAsync(i % 2 == 0 ? first : second, IfMatch($$"""{"by":{{i}}}""", old)))
        );
        var winner = rivals.OfType<WriteOutcome.Written>().Single().Version;
        Assert.That(winner.Term, Is.EqualTo(2));
        Assert.That(
            rivals.OfType<WriteOutcome.ConditionFailed>().Select(failed => failed.Found),
            Has.Exactly(19).EqualTo(winner)
        );
        await NameAsync(world, first, "r1", 3);
        Assert.That(
            await WriteAsync(second, IfMatch("{}", old)),
            Is.InstanceOf<WriteOutcome.ConditionFailed>().With.Property("Found").EqualTo(winner)
        );
        Assert.That((await WrittenAsync(second, IfMatch("{}", winner))).Term, Is.EqualTo(3));
    }

    [TestCase(2.5)]
    [TestCase(-2.5)]
    public async Task AConditionalWriteCaughtByAChangeOfWriterHappensOnce(double aheadSeconds)
    {
        var (world, first, second) = await StartAsync(aheadSeconds);
        await using var _ = world;
        var old = await WrittenAsync(first, Replace("a", """{"n":0}"""));
        var gate = new TaskCompletionSource<PutReply?>(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var node in Nodes.Skip(1))
        {
            world[node].BeforePut = put => put.Stamp.Epoch == 1 ? gate.Task : Task.FromResult<PutReply?>(null);
        }
        var caught = WriteAsync(first, IfMatch("""{"n":1}""", old));
        Assert.That(() => world.HeldAsync("n1", Old, "a").Result!.Version, Is.Not.EqualTo(old).After(30_000, 5));
        await NameAsync(world, second, "r2", 2);
        // The new writer finds it and completes it, or finds what it was conditional on, and runs it again.
        Assert.That(await caught, Is.InstanceOf<WriteOutcome.Written>());
        Assert.That(await ReadAsync(second, "a"), Is.EqualTo("""{"n":1}"""));
        gate.SetResult(null);
        Assert.That(await WriteAsync(first, Merge("""{"m":2}""")), Is.InstanceOf<WriteOutcome.Written>());
        foreach (var router in (Router[])[first, second, first])
        {
            Assert.That(await ReadAsync(router, "a"), Is.EqualTo("""{"n":1,"m":2}"""));
        }
    }

    [TestCase(2.5)]
    [TestCase(-2.5)]
    public async Task AWriterWithATableManyEpochsOldWritesNothingAndPassesOn(double aheadSeconds)
    {
        var (world, first, second) = await StartAsync(aheadSeconds);
        await using var _ = world;
        var old = await WrittenAsync(first, Replace("a", """{"x":0}"""));
        world.HeldBack.Add("r1");
        for (var term = 2; term <= 9; term++)
        {
            await NameAsync(world, second, "r2", term);
        }
        var newest = await WrittenAsync(second, Merge("""{"y":1}"""));
        Assert.That(first.Table.TryRoute(Old).Value.Epoch, Is.EqualTo(1), "it has heard of nothing");
        Assert.That(await ReadAsync(first, "a"), Is.EqualTo("""{"x":0,"y":1}"""));
        Assert.That(
            await WriteAsync(first, IfMatch("{}", old)),
            Is.InstanceOf<WriteOutcome.ConditionFailed>().With.Property("Found").EqualTo(newest)
        );
        var merged = await WrittenAsync(first, Merge("""{"z":2}"""));
        Assert.That(merged.Term, Is.EqualTo(9));
        Assert.That(await ReadAsync(second, "a"), Is.EqualTo("""{"x":0,"y":1,"z":2}"""));
        Assert.That(first.Counters.Snapshot().StaleEpochs, Is.Positive, "the nodes told it");
    }

    [Test]
    public async Task AWriteFirstMetWithAStaleTableEndsWithoutASecondEffect()
    {
        var (world, first, second) = await StartAsync(2.5);
        await using var _ = world;
        await WrittenAsync(first, Replace("a", """{"n":0}"""));
        world.HeldBack.Add("r1");
        for (var term = 2; term <= 5; term++)
        {
            await NameAsync(world, second, "r2", term);
        }
        await WrittenAsync(second, Replace("a", """{"n":1}"""));
        // A plain replace asks nobody before it puts: the barrier is what stops it.
        var outcome = await WriteAsync(first, Replace("a", """{"n":2}"""));
        Assert.That(outcome, Is.InstanceOf<WriteOutcome.Unknown>());
        Assert.That(await ReadAsync(second, "a"), Is.EqualTo("""{"n":1}"""));
        Assert.That((await WrittenAsync(first, Replace("a", """{"n":3}"""))).Term, Is.EqualTo(5), "it knows by now");
        Assert.That(await ReadAsync(first, "a"), Is.EqualTo("""{"n":3}"""));
    }
}
