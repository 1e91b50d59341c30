using System.Text.Json;
using NUnit.Framework;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary>miroir-ctl against a whole cluster, pointed at its router.</summary>
[CancelAfter(300_000)]
public sealed class CtlTests
{
    private const int Imported = 500;
    private TestCluster cluster = null!;

    [SetUp]
    public async Task Start() => cluster = await TestCluster.StartAsync();

    [TearDown]
    public async Task Stop() => await cluster.DisposeAsync();

    private Task<CtlRun> Run(params string[] arguments) => Ctl.RunAsync(cluster.Address, "", arguments);

    private async Task<string> Done(params string[] arguments)
    {
        var run = await Run(arguments);
        Assert.That(run.Exit, Is.Zero, $"{string.Join(" ", arguments)}: {run.Errors}{run.Output}");
        return run.Output;
    }

    private async Task<JsonElement> Json(params string[] arguments)
    {
        var output = await Done([.. arguments, "--json"]);
        return JsonDocument.Parse(output).RootElement;
    }

    private async Task<JsonElement[]> Results(params string[] arguments) =>
        [.. (await Json(arguments)).GetProperty("results").EnumerateArray()];

    private async Task Fails(int exit, string says, params string[] arguments)
    {
        var run = await Run(arguments);
        Assert.That(run.Exit, Is.EqualTo(exit), $"{string.Join(" ", arguments)}: {run.Errors}{run.Output}");
        Assert.That(run.Errors, Does.StartWith("miroir-ctl: ").And.Contain(says));
        Assert.That(run.Errors, Does.Not.Contain("   at "), "a stack trace");
    }

    private async Task ImportAsync()
    {
        await Done("indexes", "create", "--index", "docs", "--primary-key", "id", "--shards", "4");
        var lines = Enumerable.Range(0, Imported).Select(i => $$"""{"id":{{i}},"n":{{i}}}""");
        var run = await Ctl.RunAsync(
            cluster.Address,
            string.Join('\n', lines),
            "documents",
            "import",
            "-",
            "--index",
            "docs",
            "--batch-size",
            "100"
        );
        Assert.That(run.Exit, Is.Zero, run.Errors);
        Assert.That(run.Output, Does.Contain("Documents imported: 500"));
        await cluster.CheckFilledAsync("docs", 0, Imported);
    }

    [Test]
    public async Task ANodeIsAddedAndAnIndexReshardedOntoIt()
    {
        await TestCluster.UntilAsync(
            async () =>
            {
                var run = await Run("cluster", "health");
                return (run.Exit == 0, run);
            },
            run => run.Output + run.Errors
        );
        Assert.That(await Done("cluster", "health"), Does.StartWith("Healthy"));
        await ImportAsync();
        var index = (await Results("indexes", "list")).Single();
        Assert.That(index.GetProperty("uid").GetString(), Is.EqualTo("docs"));
        Assert.That(await Results("shards", "list", "--index", "docs"), Has.Length.EqualTo(4));

        var address = await cluster.StartNodeAsync("n4");
        Assert.That(await Done("nodes", "add", "--node", "n4", "--address", address), Does.Contain("Node added: n4"));
        Assert.That(
            (await Results("nodes", "list")).Select(n => n.GetProperty("name").GetString()),
            Is.EqualTo((string[])["n1", "n2", "n3", "n4"])
        );
        Assert.That((await Json("nodes", "stats", "--node", "n4")).GetProperty("stores").GetArrayLength(), Is.Zero);

        var dry = await Done("reshard", "start", "--index", "docs", "--new-shards", "16", "--dry-run");
        Assert.That(dry, Does.Contain("Dry run"));
        Assert.That(await Results("reshard", "list"), Is.Empty);
        var started = await Done("reshard", "start", "--index", "docs", "--new-shards", "16", "--throttle", "0");
        Assert.That(started, Does.Contain("Migration started: ID=").And.Contain("Phase: ComputingAssignments"));
        Assert.That(started, Does.Contain("Affected shards: 16 (old nodes: n1, n2, n3)"));

        var watch = Run("reshard", "watch", "--index", "docs");
        await cluster.MigrationAsync("docs", view => view.GetProperty("readyForCutover").GetBoolean());
        Assert.That(await Done("reshard", "status", "--index", "docs"), Does.Contain("Status: Running"));
        var cutover = await Done("reshard", "cutover", "--index", "docs");
        foreach (var phase in (string[])["CutoverDraining", "CutoverDeltaPass", "CutoverActivate", "CutoverCleanup"])
            Assert.That(cutover, Does.Contain(phase));
        Assert.That(cutover, Does.Contain("Status: Complete").And.Contain("Data loss: 0 documents"));
        var watched = await watch;
        Assert.That(watched.Exit, Is.Zero, watched.Errors);
        Assert.That(watched.Output, Does.Contain("Phase: ").And.Contain("Status: Complete"));

        Assert.That(
            await Done("reshard", "status", "--index", "docs", "--show", "delta"),
            Does.Contain("Data loss: 0 documents")
        );
        Assert.That(await Results("shards", "list", "--index", "docs"), Has.Length.EqualTo(16));
        var stats = await Json("nodes", "stats", "--node", "n4");
        Assert.That(stats.GetProperty("stores").GetArrayLength(), Is.Positive);
        var routing = await Json("routing", "test", "--index", "docs", "--samples", "200");
        Assert.That(routing.GetProperty("samples").GetInt32(), Is.EqualTo(200));
        Assert.That(routing.GetProperty("disagreements").GetArrayLength(), Is.Zero);
        await cluster.CheckFilledAsync("docs", 0, Imported);
    }

    [Test]
    public async Task AMigrationIsAborted()
    {
        await ImportAsync();
        await Done("reshard", "start", "--index", "docs", "--new-shards", "8", "--throttle", "20");
        Assert.That(await Done("reshard", "abort", "--index", "docs"), Does.Contain("Migration aborting"));
        // Watching a migration that did not complete says so by its status.
        var watched = await Run("reshard", "watch", "--index", "docs");
        Assert.That(watched.Exit, Is.EqualTo(1));
        Assert.That(watched.Output, Does.Contain("Status: Aborted"));
        Assert.That(await Done("routing", "test", "--index", "docs"), Does.Contain("Route and data disagree: 0"));
    }

    [Test]
    public async Task WhatIsRefusedEndsWithOneAndSaysWhy()
    {
        await Fails(1, "none", "reshard", "start", "--index", "none", "--new-shards", "8");
        await Fails(1, "n9", "nodes", "stats", "--node", "n9");
        await Fails(1, "something else", "nodes", "add", "--node", "n4", "--address", cluster.CoordinatorAddress);
        await Fails(1, "none", "routing", "test", "--index", "none");
        await Fails(1, "none", "shards", "list", "--index", "none");
        var run = await Ctl.RunAsync(
            cluster.Address,
            "{\"id\":1}\nnot JSON\n",
            "documents",
            "import",
            "-",
            "--index",
            "docs"
        );
        Assert.That(run.Exit, Is.EqualTo(1));
        Assert.That(run.Errors, Does.Contain("line 2"));
        await cluster.StopNodeAsync("n2");
        var health = await Run("cluster", "health");
        Assert.That(health.Exit, Is.EqualTo(1));
        Assert.That(health.Output, Does.StartWith("Not healthy").And.Contain("n2"));
        await cluster.StartNodeAsync("n2");
    }

    [Test]
    public async Task WrongUsageEndsWithTwo()
    {
        await Fails(2, "--new-shards", "reshard", "start", "--index", "docs", "--new-shards", "0");
        await Fails(2, "--new-shards", "reshard", "start", "--index", "docs", "--new-shards", "65537");
        await Fails(2, "--shards", "indexes", "create", "--index", "docs", "--shards", "0");
        await Fails(2, "--help", "reshard", "begin");
        await Fails(2, "--index", "reshard", "status");
    }

    [Test]
    public async Task AServerThatIsNotThereEndsWithThree()
    {
        var address = cluster.Address;
        await cluster.StopRouterAsync();
        var run = await Ctl.RunAsync(address, "", "cluster", "health");
        Assert.That(run.Exit, Is.EqualTo(3));
        Assert.That(run.Errors, Does.Contain(address));
        await cluster.StartRouterAsync();
        // A node speaks another protocol: it is there, but is no server of this API.
        var wrong = await Ctl.RunAsync(cluster.NodeAddress("n1"), "", "cluster", "health");
        Assert.That(wrong.Exit, Is.EqualTo(3), wrong.Errors);
    }
}
