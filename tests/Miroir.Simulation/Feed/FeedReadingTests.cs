using System.Text;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Routing;
using Miroir.Simulation.Routing;
using NUnit.Framework;
using static Miroir.Simulation.Routing.RouterWorld;

namespace Miroir.Simulation.Feed;

/// <summary>What a reader of a change feed is given, and how it is told what it can't be given.</summary>
[CancelAfter(60_000)]
public sealed class FeedReadingTests
{
    private static readonly string[] Owners = ["n1", "n2", "n3"];

    private static async Task<(RouterWorld, Router)> OwnedAsync(Func<RouterOptions, RouterOptions>? with = null)
    {
        var world = new RouterWorld(Owners);
        await world.MakeAsync(Old, 1, Owners);
        var router = await world.StartAsync("r1", with);
        await world.PublishAsync(Route(Old, 1, Stage.Owned, Owners, By(router, "r1")));
        return (world, router);
    }

    private static WriteCommand Write(int i, string key, WriteIntent intent = WriteIntent.Replace) =>
        new(
            RouterWorld.Index,
            Key.Of(key),
            intent,
            intent == WriteIntent.Delete
                ? ReadOnlyMemory<byte>.Empty
                : Encoding.UTF8.GetBytes($$"""{"id":"{{key}}","n":{{i}}}"""),
            Condition.Always,
            new Guid(i, 0, 0, new byte[8])
        );

    [Test]
    public async Task ConcurrentWritesThroughSeveralRoutersAreAllTherePerKeyInOrder()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        var other = await world.StartAsync("r2");
        await other.WaitForRevision(router.Table.Revision, CancellationToken.None);
        var commands = Enumerable.Range(0, 300).Select(i => Write(i, $"k{i % 7}")).ToArray();
        var outcomes = (
            await Task.WhenAll(
                commands
                    .Chunk(10)
                    .Select((chunk, n) => (n % 2 == 0 ? router : other).Write(chunk, CancellationToken.None))
            )
        )
            .SelectMany(static chunk => chunk)
            .ToArray();
        var reader = await new FeedReader(other, limit: 7).ToTheEndAsync();
        Assert.That(reader.Operations, Is.EquivalentTo(commands.Select(static command => command.OperationId)));
        foreach (var key in reader.Events.GroupBy(static e => e.Change.Key.Text))
        {
            Assert.That(key.Select(static e => e.Change.Version), Is.Ordered);
        }
        var versions = commands.Zip(outcomes, static (c, o) => (c.OperationId, ((WriteOutcome.Written)o).Version));
        Assert.That(
            reader.Events.Select(static e => (e.Change.OperationId, e.Change.Version)),
            Is.EquivalentTo(versions)
        );
    }

    [Test]
    public async Task AMinorityThatIsDownIsNotMissed()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        var commands = Enumerable.Range(0, 40).Select(i => Write(i, $"k{i}")).ToArray();
        for (var i = 0; i < commands.Length; i++)
        {
            world[Owners[i % 3]].IsDown = true;
            await WriteAsync(router, commands[i]);
            world[Owners[i % 3]].IsDown = false;
        }
        foreach (var down in Owners)
        {
            world[down].IsDown = true;
            var reader = await new FeedReader(router, limit: 3).ToTheEndAsync();
            Assert.That(reader.Operations, Is.EqualTo(commands.Select(static command => command.OperationId)));
            world[down].IsDown = false;
        }
    }

    [Test]
    public async Task WhoBeginsNowIsGivenWhatFollows()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        await WriteAsync(router, Write(1, "a"));
        var reader = await new FeedReader(router) { Start = FeedStart.Now }.ToTheEndAsync();
        Assert.That(reader.Events, Is.Empty);
        await WriteAsync(router, Write(2, "a", WriteIntent.Delete));
        await reader.ToTheEndAsync();
        Assert.That(reader.Operations, Is.EqualTo(new[] { Write(2, "a").OperationId }));
        Assert.That(reader.Events[0].Change.IsDelete);
    }

    [Test]
    public async Task AReaderThatWaitsIsGivenTheNextWriteAndAsksNoNodeBefore()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        await WriteAsync(router, Write(1, "a"));
        var reader = await new FeedReader(router).ToTheEndAsync();
        var asked = Owners.Sum(node => world[node].ChangesAsked);
        Assert.That((await reader.NextAsync(waitMs: 30)).Events, Is.Empty);
        Assert.That(
            Owners.Sum(node => world[node].ChangesAsked),
            Is.EqualTo(asked),
            "the writer said that nothing is new"
        );
        var waiting = reader.NextAsync(waitMs: 50_000);
        await WriteAsync(router, Write(2, "b"));
        Assert.That((await waiting).Events.Single().Change.OperationId, Is.EqualTo(Write(2, "b").OperationId));
    }

    [Test]
    public async Task DocumentsComeWithTheEventsThatTheyAreOf()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        await router.Write([Write(1, "a"), Write(2, "a"), Write(3, "b"), Write(4, "c")], CancellationToken.None);
        await WriteAsync(router, Write(5, "c", WriteIntent.Delete));
        world["n2"].IsDown = true;
        await WriteAsync(router, Write(6, "b"));
        world["n2"].IsDown = false;
        world["n1"].IsDown = true;
        var reader = await new FeedReader(router, limit: 2) { WithDocuments = true }.ToTheEndAsync();
        var bodies = reader.Events.ToDictionary(
            static e => e.Change.OperationId,
            static e => e.Body is { } body ? Encoding.UTF8.GetString(body.Span) : null
        );
        string? BodyOf(int i) => bodies[new Guid(i, 0, 0, new byte[8])];
        Assert.That(BodyOf(2), Is.EqualTo("""{"id":"a","n":2}"""));
        Assert.That(BodyOf(6), Is.EqualTo("""{"id":"b","n":6}"""));
        Assert.That(new[] { BodyOf(1), BodyOf(4), BodyOf(5) }, Is.All.Null);
    }

    [Test]
    public async Task ACursorBelowTheFloorIsTooOldAndWhoBeginsWithTheOldestBeginsAboveIt()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        var first = (WriteOutcome.Written)await WriteAsync(router, Write(1, "a"));
        var behind = await new FeedReader(router).ToTheEndAsync();
        var second = (WriteOutcome.Written)await WriteAsync(router, Write(2, "b"));
        var third = (WriteOutcome.Written)await WriteAsync(router, Write(3, "c"));
        foreach (var node in Owners.Take(2))
        {
            await world[node]
                .LogChanges(
                    new LogChangesCommand(new RouteStamp(Old, 1), Old, [], second.Version, HashRange.Full),
                    CancellationToken.None
                );
        }
        Assert.That((await behind.AskAsync()).Code, Is.EqualTo("feed_cursor_too_old"));
        var fresh = await new FeedReader(router).ToTheEndAsync();
        Assert.That(fresh.Events.Select(static e => e.Change.Version), Is.EqualTo(new[] { third.Version }));
        Assert.That(first.Version, Is.LessThan(second.Version));
    }

    [TestCase(0, 0, "invalid_feed_request")]
    [TestCase(10_001, 0, "invalid_feed_request")]
    [TestCase(1, -1, "invalid_feed_request")]
    [TestCase(1, 60_001, "invalid_feed_request")]
    public async Task NumbersOutOfBoundsAreRefused(int limit, int waitMs, string code)
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        Assert.That((await new FeedReader(router, limit).AskAsync(waitMs)).Code, Is.EqualTo(code));
    }

    [Test]
    public async Task CursorsOfOthersAreRefused()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        var reader = new FeedReader(router);
        string[] cursors =
        [
            "nonsense!",
            FeedCursor.At("books", 0, DocumentVersion.Zero).Format(),
            FeedCursor.At(RouterWorld.Index, 5, DocumentVersion.Zero).Format(),
        ];
        foreach (var cursor in cursors)
        {
            reader.Cursor = cursor;
            Assert.That((await reader.AskAsync()).Code, Is.EqualTo("invalid_feed_cursor"), cursor);
        }
        var nowhere = new FeedRequest("books", null, FeedStart.Oldest, 1, false, 0);
        Assert.That((await router.Read(nowhere, CancellationToken.None)).Code, Is.EqualTo("index_not_found"));
    }

    [Test]
    public async Task WithoutAWriteQuorumThereIsNoFeedAndItSaysWhy()
    {
        var (world, router) = await OwnedAsync(static options => options with { OperationTimeoutMs = 100 });
        await using var _ = world;
        await WriteAsync(router, Write(1, "a"));
        world["n1"].IsDown = world["n2"].IsDown = true;
        var reply = await new FeedReader(router).AskAsync();
        Assert.That(reply.Code, Is.EqualTo("feed_unavailable"));
        Assert.That(reply.Message, Does.Contain("n1").And.Contain("n2"));
    }

    [Test]
    public async Task WithoutAWriterThereIsNoFeed()
    {
        var (world, router) = await OwnedAsync(static options => options with { OperationTimeoutMs = 100 });
        await using var _ = world;
        var reader = new FeedReader(router);
        await world.PublishAsync(Route(Old, 2, Stage.Owned, Owners, new Writer("r9", 9, 2)));
        Assert.That((await reader.AskAsync()).Code, Is.EqualTo("feed_unavailable"));
    }
}
