using System.Text.Json;
using NUnit.Framework;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary>Migrations over HTTP while clients write.</summary>
[CancelAfter(300_000)]
public sealed class ReshardTests
{
    private const int Filled = 600;
    private TestCluster cluster = null!;

    [SetUp]
    public async Task Start()
    {
        cluster = await TestCluster.StartAsync();
        await cluster.CreateIndexAsync("docs", 4);
        await cluster.FillAsync("docs", 0, Filled);
    }

    [TearDown]
    public async Task Stop() => await cluster.DisposeAsync();

    private Task<JsonElement> Reshard(int throttle = 0) =>
        cluster.DoAsync("POST", "/_miroir/reshards", $$"""{"index":"docs","newShards":8,"throttle":{{throttle}}}""");

    private static bool IsReady(JsonElement view) => view.GetProperty("readyForCutover").GetBoolean();

    private static string Status(JsonElement view) => view.GetProperty("status").GetString()!;

    private static bool IsInTheMiddle(JsonElement view) =>
        view.GetProperty("documentsCopied").GetInt64() is > 0 and < Filled / 2;

    private async Task CompleteAsync(Writers writers)
    {
        await cluster.MigrationAsync("docs", IsReady);
        await writers.MoreAsync(50);
        await cluster.DoAsync("POST", "/_miroir/reshards/latest/cutover?index=docs");
        var done = await cluster.MigrationAsync("docs", view => Status(view) is not ("Running" or "Aborting"));
        Assert.That(Status(done), Is.EqualTo("Complete"), done.GetRawText());
        Assert.That(done.GetProperty("dataLoss").GetInt64(), Is.Zero);
        await writers.MoreAsync(50);
        await writers.CheckAsync();
        await cluster.CheckFilledAsync("docs", 0, Filled);
        var routes = await cluster.DoAsync("GET", "/_miroir/indexes/docs/routes");
        Assert.That(
            routes.GetProperty("results").EnumerateArray().Select(r => r.GetProperty("stage").GetString()),
            Is.EqualTo(Enumerable.Repeat("Owned", 8))
        );
        await FilesAreOnlyAsync(generation: 2);
    }

    /// <summary>No node has a file of the index that is not of this generation.</summary>
    private Task FilesAreOnlyAsync(int generation) =>
        TestCluster.UntilAsync(
            () =>
            {
                var others = ((string[])["n1", "n2", "n3"])
                    .SelectMany(node => cluster.ShardFiles(node, "docs"))
                    .Where(file => !Path.GetFileName(file).StartsWith($"{generation}-", StringComparison.Ordinal))
                    .ToArray();
                return Task.FromResult((others.Length == 0, others));
            },
            others => $"left behind: {string.Join(", ", others)}"
        );

    [Test]
    public async Task EveryDocumentIsThereAfterACutoverUnderWrites()
    {
        await using var writers = Writers.Start(cluster, "docs");
        await writers.MoreAsync(50);
        await Reshard();
        await CompleteAsync(writers);
    }

    [Test]
    public async Task AnAbortedMigrationLeavesTheOldLayoutServingAndNothingBehind()
    {
        await using var writers = Writers.Start(cluster, "docs");
        await Reshard(throttle: 50);
        await cluster.MigrationAsync("docs", IsInTheMiddle);
        await cluster.DoAsync("POST", "/_miroir/reshards/latest/abort?index=docs");
        var done = await cluster.MigrationAsync("docs", view => Status(view) is not ("Running" or "Aborting"));
        Assert.That(Status(done), Is.EqualTo("Aborted"));
        await writers.MoreAsync(50);
        await writers.CheckAsync();
        await cluster.CheckFilledAsync("docs", 0, Filled);
        await FilesAreOnlyAsync(generation: 1);
    }

    [TestCase("node")]
    [TestCase("router")]
    [TestCase("coordinator")]
    public async Task ACopySurvivesTheRestartOf(string process)
    {
        await using var writers = Writers.Start(cluster, "docs");
        await Reshard(throttle: 50);
        var before = await cluster.MigrationAsync("docs", IsInTheMiddle);
        var incarnation = await Incarnation();
        switch (process)
        {
            case "node":
                await cluster.StopNodeAsync("n2");
                await cluster.StartNodeAsync("n2");
                break;
            case "router":
                await cluster.StopRouterAsync();
                await cluster.StartRouterAsync();
                break;
            default:
                await cluster.StopCoordinatorAsync();
                await cluster.StartCoordinatorAsync();
                break;
        }
        var after = await cluster.MigrationAsync("docs", _ => true);
        Assert.That(after.GetProperty("id").GetInt64(), Is.EqualTo(before.GetProperty("id").GetInt64()));
        Assert.That(Status(after), Is.EqualTo("Running"));
        await cluster.DoAsync("PATCH", "/_miroir/reshards/latest?index=docs", """{"throttle":0}""");
        await CompleteAsync(writers);
        Assert.That(await Incarnation() == incarnation, Is.EqualTo(process != "router"), "the router's incarnation");
    }

    /// <summary>Of the one router, which writes for every shard once there is no shard without a writer.</summary>
    private async Task<string> Incarnation()
    {
        var found = await TestCluster.UntilAsync(
            async () =>
            {
                var reply = await cluster.SendAsync("GET", "/_miroir/cluster");
                var router = reply.Json.GetProperty("routers")[0];
                return (router.GetProperty("writerOf").GetInt32() >= 4, router);
            },
            router => $"shards have no writer: {router.GetRawText()}"
        );
        return found.GetProperty("incarnation").GetRawText();
    }
}
