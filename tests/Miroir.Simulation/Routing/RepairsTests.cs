using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Routing;
using NUnit.Framework;
using static Miroir.Simulation.Routing.RouterWorld;

namespace Miroir.Simulation.Routing;

/// <summary>Repairs, as a shard's writer makes them.</summary>
[CancelAfter(60_000)]
public sealed class RepairsTests
{
    private static readonly string[] Nodes = ["n1", "n2", "n3"];

    private static async Task<(RouterWorld, Router)> OwnedAsync()
    {
        var world = new RouterWorld(Nodes);
        await world.MakeAsync(Old, 1, Nodes);
        var router = await world.StartAsync("r1", options => options with { AttemptTimeoutMs = 10_000 });
        await world.PublishAsync(Route(Old, 1, Stage.Owned, Nodes, By(router, "r1", 2)));
        return (world, router);
    }

    /// <summary>What each node has of each key: clock and content; clock 0 for nothing.</summary>
    private static readonly Arbitrary<(int Clock, bool IsWrong)[][]> Planted = Arb.From(
        (
            from clock in Gen.Choose(0, 9)
            from isWrong in Gen.Frequency((6, Gen.Constant(false)), (1, Gen.Constant(true)))
            // Tombstones have no wrong content here: all of one version are equal.
            select (clock, isWrong && clock > 0 && clock % 5 != 4)
        )
            .ArrayOf(3)
            .ArrayOf(20)
    );

    [Test]
    public void WhatIsMissingStaleUndeletedOrWrongIsHealed() =>
        Check.One(
            FsCheck.Config.QuickThrowOnFailure.WithMaxTest(15),
            Prop.ForAll(Planted, planted => HealAsync(planted).GetAwaiter().GetResult())
        );

    private static async Task HealAsync((int Clock, bool IsWrong)[][] planted)
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        for (var k = 0; k < planted.Length; k++)
        {
            for (var n = 0; n < 3; n++)
            {
                if (planted[k][n].Clock > 0)
                    await PlantAsync(world, Nodes[n], DocumentOf($"k{k}", planted[k][n].Clock, planted[k][n].IsWrong));
            }
        }

        var outcomes = await RepairAsync(router, [.. Enumerable.Range(0, planted.Length).Select(k => $"k{k}")]);
        for (var k = 0; k < planted.Length; k++)
        {
            var highest = planted[k].Max(held => held.Clock);
            var wrong = planted[k].Count(held => held.Clock == highest && held.IsWrong);
            var sound = planted[k].Count(held => held.Clock == highest && !held.IsWrong);
            var held = new List<Document?>();
            foreach (var node in Nodes)
                held.Add(await world.HeldAsync(node, Old, $"k{k}"));
            if (highest > 0 && wrong == sound)
            {
                Assert.That(outcomes[k], Is.InstanceOf<RepairOutcome.NotRepaired>(), "nothing says which is right");
                continue;
            }

            var changed = planted[k].Count(h => h.Clock != highest || h.IsWrong != wrong > sound);
            Assert.That(
                outcomes[k],
                Is.EqualTo(
                    RepairOutcome.NewRepaired(
                        highest == 0 ? DocumentVersion.Zero : new DocumentVersion(1, highest),
                        changed
                    )
                )
            );
            var expected = highest == 0 ? null : DocumentOf($"k{k}", highest, wrong > sound);
            Assert.That(held.Select(Describe), Is.All.EqualTo(Describe(expected)));
        }

        var again = await RepairAsync(router, [.. Enumerable.Range(0, planted.Length).Select(k => $"k{k}")]);
        Assert.That(again.OfType<RepairOutcome.Repaired>().Select(repaired => repaired.Changed), Is.All.Zero);
    }

    [Test]
    public async Task WhatAFailingDiskChangedIsReplacedByASoundCopy()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        await WriteAsync(router, Replace("a", """{"n":1}"""));
        world["n2"].Store.Rot(Old, Key.Of("a"), "{\"n\":9}"u8.ToArray());
        Assert.That(await world.HeldAsync("n2", Old, "a"), Is.Null, "it is not answered");
        Assert.That(await RepairAsync(router, "a"), Is.All.InstanceOf<RepairOutcome.Repaired>());
        Assert.That(Describe(await world.HeldAsync("n2", Old, "a")), Does.EndWith("""{"n":1}"""));
    }

    [Test]
    public async Task OfTwoContentsTheOneAskedForIsKept()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        var (sound, wrong) = (DocumentOf("a", 1, false), DocumentOf("a", 1, true));
        foreach (var (node, document) in new[] { ("n1", sound), ("n2", wrong), ("n3", wrong) })
            await PlantAsync(world, node, document);
        var key = new RepairKey(Key.Of("a"), FSharpValueOption<Digest>.NewValueSome(sound.Entry.Digest));
        var outcomes = await RepairAsync(router, key);
        Assert.That(outcomes, Is.EqualTo(new[] { RepairOutcome.NewRepaired(sound.Version, 2) }));
        foreach (var node in Nodes)
            Assert.That(Describe(await world.HeldAsync(node, Old, "a")), Is.EqualTo(Describe(sound)));
    }

    [Test]
    public async Task AReplicaThatIsAwayIsLeftAsItIsAndTwoAreTooMany()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        await PlantAsync(world, "n1", DocumentOf("a", 2, false));
        world["n3"].IsDown = true;
        Assert.That(
            await RepairAsync(router, "a"),
            Is.EqualTo(new[] { RepairOutcome.NewRepaired(new DocumentVersion(1, 2), 1) })
        );
        world["n2"].IsDown = true;
        Assert.That(await RepairAsync(router, "a"), Is.All.InstanceOf<RepairOutcome.NotRepaired>());
        world["n3"].IsDown = false;
        Assert.That(await world.HeldAsync("n3", Old, "a"), Is.Null);
    }

    [Test]
    public async Task ARepairWaitsForTheWriteBeforeItOfTheSameDocument()
    {
        var (world, router) = await OwnedAsync();
        await using var _ = world;
        // Half done by an earlier writer, on a node that the update's read does not hear of.
        var halfDone = DocumentOf("a", 1, false);
        await PlantAsync(world, "n1", halfDone);
        world["n1"].IsDown = true;
        var isAsked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var mayGoOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        // Held up on the node that comes back too: there the repair is to find what is half done, not the update.
        foreach (var node in Nodes)
        {
            world[node].BeforePut = async command =>
            {
                if (command.Document.Key.Equals(Key.Of("a")) && command.Document.Version.Term == 2)
                {
                    isAsked.TrySetResult();
                    await mayGoOn.Task;
                }
                return null;
            };
        }

        var update = WriteAsync(router, Command("a", WriteIntent.Merge, """{"y":1}""", Condition.Always));
        await isAsked.Task;
        world["n1"].IsDown = false;
        var repair = RepairAsync(router, "a");
        // Others' do not wait. When so many are done, this one would be too, if it did not.
        for (var i = 0; i < 100; i++)
        {
            await PlantAsync(world, "n1", DocumentOf($"b{i}", 1, false));
            Assert.That(await RepairAsync(router, $"b{i}"), Is.All.InstanceOf<RepairOutcome.Repaired>());
        }

        Assert.That(await world.HeldAsync("n2", Old, "a"), Is.Null, "the half-done write was spread under the update");
        mayGoOn.SetResult();
        var written = (WriteOutcome.Written)await update;
        var repaired = (RepairOutcome.Repaired)(await repair)[0];
        Assert.That(repaired.Version, Is.GreaterThanOrEqualTo(written.Version));
        foreach (var node in Nodes)
            Assert.That((await world.HeldAsync(node, Old, "a"))?.Version, Is.EqualTo(repaired.Version));
    }

    [Test]
    public async Task OneThatGetsNoPlaceInTheChangeFeedDoesNotHoldTheOthersUp()
    {
        var world = new RouterWorld(Nodes);
        await using var _ = world;
        await world.MakeAsync(Old, 1, Nodes);
        // Clients would wait for longer than this test may.
        var router = await world.StartAsync(
            "r1",
            options => options with { OperationTimeoutMs = 600_000, RepairTimeoutMs = 500 }
        );
        await world.PublishAsync(Route(Old, 1, Stage.Owned, Nodes, By(router, "r1", 2)));
        await PlantAsync(world, "n1", DocumentOf("a", 1, false));
        await PlantAsync(world, "n1", DocumentOf("b", 1, false));
        foreach (var node in Nodes)
        {
            world[node].BeforeLog = (command, cancel) =>
                command.Changes.Any(change => change.Key.Equals(Key.Of("a")))
                    ? Task.Delay(Timeout.Infinite, cancel)
                    : Task.CompletedTask;
        }

        var outcomes = await RepairAsync(router, "a", "b");
        Assert.That($"{outcomes[0]}", Does.Contain("no place in the change feed"));
        Assert.That(outcomes[1], Is.EqualTo(RepairOutcome.NewRepaired(new DocumentVersion(1, 1), 2)));
        Assert.That(await world.HeldAsync("n2", Old, "a"), Is.Null, "what has no place is not spread");
    }

    [Test]
    public async Task ARouterThatIsNotTheWriterRepairsNothing()
    {
        var (world, _) = await OwnedAsync();
        await using var disposed = world;
        var other = await world.StartAsync("r2");
        await PlantAsync(world, "n1", DocumentOf("a", 1, false));
        var outcome = (await RepairAsync(other, "a")).Single();
        Assert.That($"{outcome}", Does.Contain("not the writer"));
        Assert.That(await world.HeldAsync("n2", Old, "a"), Is.Null);
    }

    private static Task<RepairOutcome[]> RepairAsync(Router router, params string[] keys) =>
        RepairAsync(router, [.. keys.Select(key => new RepairKey(Key.Of(key), FSharpValueOption<Digest>.ValueNone))]);

    private static Task<RepairOutcome[]> RepairAsync(Router router, params RepairKey[] keys) =>
        ((IRouterPeer)router).Repair(new RepairCommand(RouterWorld.Index, keys), 0, CancellationToken.None);

    /// <summary>At every fifth clock it is deleted.</summary>
    private static Document DocumentOf(string key, int clock, bool isWrong)
    {
        var version = new DocumentVersion(1, clock);
        return clock % 5 == 4
            ? Document.Tombstone(Key.Of(key), version, Guid.Empty, Origin.Client)
            : Document.Live(
                Key.Of(key),
                version,
                Encoding.UTF8.GetBytes($$"""{"x":{{clock}},"isWrong":{{(isWrong ? 1 : 0)}}}"""),
                Guid.Empty,
                Origin.Client
            );
    }

    private static async Task PlantAsync(RouterWorld world, string node, Document document)
    {
        var put = new PutCommand(new RouteStamp(Old, 1), Old, document);
        var replies = await world[node].Store.Put([put], CancellationToken.None);
        Assert.That(replies[0], Is.InstanceOf<PutReply.Applied>());
    }

    private static string Describe(Document? document) =>
        document is null ? "nothing" : $"{document.Entry} {Encoding.UTF8.GetString(document.Body.Span)}";
}
