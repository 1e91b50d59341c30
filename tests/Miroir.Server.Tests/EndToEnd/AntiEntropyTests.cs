using System.Text.Json.Nodes;
using Miroir.Runtime.AntiEntropy;
using Miroir.Runtime.Coordination;
using NUnit.Framework;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary>miroir-ctl anti-entropy against a whole cluster one of whose nodes has missed writes.</summary>
[CancelAfter(300_000)]
public sealed class AntiEntropyTests
{
    private const int Before = 40;
    private const int Missed = 25;
    private const int InPlan = 5;
    private DirectoryInfo folder = null!;
    private TestCluster cluster = null!;

    [SetUp]
    public async Task Start()
    {
        folder = Directory.CreateTempSubdirectory("miroir-plan-");
        // Nothing by itself: what differs stays so until it is asked for.
        var options = new CoordinatorOptions { AntiEntropy = new EntropyOptions { Enabled = false } };
        cluster = await TestCluster.StartAsync(3, coordinatorOptions: options);
        await cluster.CreateIndexAsync("docs", 4, replication: 3);
        await cluster.FillAsync("docs", 0, Before);
    }

    [TearDown]
    public async Task Stop()
    {
        await cluster.DisposeAsync();
        folder.Delete(recursive: true);
    }

    [Test]
    public async Task WhatANodeMissedIsFoundPlannedAppliedAndRepaired()
    {
        await RunAsync(0, "Data loss: 0 documents", "verify", "--index", "docs");
        await MissAsync();
        await RunAsync(1, $"Data loss: {Missed} documents", "verify", "--index", "docs", "--shards", "0-3");

        var file = Path.Combine(folder.FullName, "plan.json");
        await RunAsync(0, $"Plan: {Missed} documents", "run", "--index", "docs", "--dry-run", "--plan", file);
        await RunAsync(1, $"Data loss: {Missed} documents", "verify", "--index", "docs");

        // An operator takes all but a few out.
        var plan = JsonNode.Parse(await File.ReadAllTextAsync(file))!;
        var documents = plan["documents"]!.AsArray();
        while (documents.Count > InPlan)
            documents.RemoveAt(InPlan);
        await File.WriteAllTextAsync(file, plan.ToJsonString());
        await RunAsync(0, $"Repaired: {InPlan}\n", "run", "--index", "docs", "--plan", file);
        await RunAsync(1, $"Data loss: {Missed - InPlan} documents", "verify", "--index", "docs");

        await RunAsync(0, $"Repaired: {Missed - InPlan}\n", "run", "--index", "docs");
        await RunAsync(0, "Data loss: 0 documents", "verify", "--index", "docs");
        await RunAsync(0, "Status: Done", "scrub", "--index", "docs");

        var history = await RunAsync(0, "verify", "history", "--index", "docs");
        var kinds = history.Output.TrimEnd('\n').Split('\n').Select(line => line.Split("  ")[3]);
        Assert.That(
            kinds,
            Is.EqualTo((string[])["verify", "verify", "dry-run", "verify", "apply", "verify", "run", "verify", "scrub"])
        );
        await RunAsync(0, "Anti-entropy: off", "status");
    }

    [Test]
    public async Task AShardWithANodeAwayIsNoProof()
    {
        await cluster.StopNodeAsync("n3");
        var run = await RunAsync(
            1,
            "Data loss: unknown (at least 0 documents; 4 shards not compared)",
            "verify",
            "--index",
            "docs"
        );
        Assert.That(run.Output, Does.Contain("n3"));
    }

    [Test]
    public async Task AShardWithOneCopySaysSo()
    {
        await cluster.CreateIndexAsync("single", 2);
        await cluster.FillAsync("single", 0, 10);
        var run = await RunAsync(0, "Data loss: 0 documents", "verify", "--index", "single");
        Assert.That(run.Output.Split("1 copy"), Has.Length.EqualTo(3));
    }

    /// <summary>Documents that n3 has not heard of, and that no router has open any more.</summary>
    private async Task MissAsync()
    {
        await cluster.StopNodeAsync("n3");
        await cluster.FillAsync("docs", Before, Missed);
        await cluster.StopRouterAsync();
        await cluster.StartNodeAsync("n3");
        await cluster.StartRouterAsync();
    }

    private async Task<CtlRun> RunAsync(int exit, string says, params string[] arguments)
    {
        var run = await Ctl.RunAsync(cluster.Address, "", ["anti-entropy", .. arguments]);
        Assert.That(run.Exit, Is.EqualTo(exit), $"{string.Join(" ", arguments)}: {run.Errors}{run.Output}");
        Assert.That(run.Output, Does.Contain(says), string.Join(" ", arguments));
        return run;
    }
}
