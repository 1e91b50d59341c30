using Miroir.Core.Cutover;
using Miroir.Runtime.Coordination;
using NUnit.Framework;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary>The change feed of a cluster that moves its shards, and starts its router again.</summary>
[CancelAfter(300_000)]
public sealed class ChangeFeedCutoverTests
{
    private const string Changes = "/indexes/docs/changes";
    private TestCluster cluster = null!;

    [TearDown]
    public async Task Stop() => await cluster.DisposeAsync();

    [TestCase(8, "cutover")]
    [TestCase(2, "cutover")]
    [TestCase(8, "revert")]
    [TestCase(8, "abort")]
    public async Task ACursorGoesOnAcrossAMigrationAndTheRestartOfTheRouter(int newShards, string end)
    {
        cluster = await TestCluster.StartAsync(
            coordinatorOptions: new CoordinatorOptions
            {
                MigrationLimits = Limits.Configured(30_000, end == "revert" ? 60_000 : 0, false, true),
            }
        );
        await cluster.CreateIndexAsync("docs", 4, 2);
        await using var writers = Writers.Start(cluster, "docs");
        await using var consumer = new FeedConsumer(cluster, "docs");
        consumer.Run();
        await writers.MoreAsync(100);
        // One that reads a little now, and the rest when all is over.
        var early = (await cluster.DoAsync("GET", Changes + "?limit=50")).GetProperty("cursor").GetString();
        await cluster.DoAsync(
            "POST",
            "/_miroir/reshards",
            $$"""{"index":"docs","newShards":{{newShards}},"throttle":0}"""
        );
        await cluster.MigrationAsync("docs", view => view.GetProperty("readyForCutover").GetBoolean());
        await writers.MoreAsync(100);
        await EndAsync(end, writers);
        await writers.MoreAsync(100);
        await cluster.StopRouterAsync();
        await cluster.StartRouterAsync();
        await writers.MoreAsync(100);
        await writers.StopAsync();

        await consumer.DrainAsync();
        consumer.Check(writers.Taken);
        await using var again = new FeedConsumer(cluster, "docs");
        await again.DrainAsync();
        again.Check(writers.Taken);
        await using var late = new FeedConsumer(cluster, "docs", early);
        await late.DrainAsync();
        var before = again.Events.Select(e => e.Id).Except(late.Events.Select(e => e.Id)).ToArray();
        Assert.That(before, Has.Length.InRange(1, 50), "only what was read before is not read again");
        late.Check(writers.Taken.Where(w => !before.Contains(w.Id)));
        // Nothing but what clients wrote: acknowledged, or of unknown outcome.
        var written = writers.Taken.Select(w => w.Id).ToHashSet();
        Assert.That(
            again.Events.Select(e => e.Id).Distinct().Count(id => !written.Contains(id)),
            Is.LessThanOrEqualTo(writers.Unknown)
        );
    }

    private async Task EndAsync(string end, Writers writers)
    {
        if (end != "abort")
            await cluster.DoAsync("POST", "/_miroir/reshards/latest/cutover?index=docs");
        if (end == "revert")
        {
            await cluster.MigrationAsync(
                "docs",
                view =>
                    view.GetProperty("shards")
                        .EnumerateArray()
                        .All(shard => shard.GetProperty("stage").GetString() == "Switched")
            );
            await writers.MoreAsync(100);
        }
        if (end != "cutover")
            await cluster.DoAsync("POST", $"/_miroir/reshards/latest/{end}?index=docs");
        var done = await cluster.MigrationAsync(
            "docs",
            view => view.GetProperty("status").GetString() is not ("Running" or "Aborting")
        );
        Assert.That(
            done.GetProperty("status").GetString(),
            Is.EqualTo(end == "cutover" ? "Complete" : "Aborted"),
            done.GetRawText()
        );
    }
}
