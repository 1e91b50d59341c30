using System.Text.Json;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary>A router passes the admin API on to its coordinator.</summary>
[CancelAfter(300_000)]
public sealed partial class RouterAdminTests
{
    private TestCluster cluster = null!;

    [SetUp]
    public async Task Start()
    {
        cluster = await TestCluster.StartAsync(1);
        await cluster.CreateIndexAsync("docs", 2);
    }

    [TearDown]
    public async Task Stop() => await cluster.DisposeAsync();

    [TestCase("/_miroir/indexes/docs/routes")]
    [TestCase("/_miroir/indexes/none/routes")]
    [TestCase("/_miroir/reshards?index=docs")]
    [TestCase("/_miroir/reshards/latest")]
    [TestCase("/_miroir/reshards/latest?index=docs")]
    [TestCase("/_miroir/nodes/n1")]
    [TestCase("/_miroir/nodes/n9")]
    public async Task ItsAnswerIsTheCoordinators(string path)
    {
        using var direct = await cluster.Http.GetAsync(cluster.CoordinatorAddress + path);
        using var passed = await cluster.Http.GetAsync(cluster.Address + path);
        Assert.That(passed.StatusCode, Is.EqualTo(direct.StatusCode));
        Assert.That(passed.Content.Headers.ContentType, Is.EqualTo(direct.Content.Headers.ContentType));
        Assert.That(await AnswerOf(passed), Is.EqualTo(await AnswerOf(direct)));
    }

    [Test]
    public async Task ACoordinatorThatIsAwayIsSaidToBe()
    {
        await cluster.FillAsync("docs", 0, 10);
        await cluster.StopCoordinatorAsync();
        var reply = await cluster.SendAsync("GET", "/_miroir/cluster");
        Assert.That((int)reply.Status, Is.EqualTo(503));
        Assert.That(reply.Code, Is.EqualTo("coordinator_unavailable"));
        Assert.That(reply.Text, Does.Contain(cluster.CoordinatorAddress));
        // Documents do not need it.
        await cluster.CheckFilledAsync("docs", 0, 10);
        await cluster.StartCoordinatorAsync();
        var view = await cluster.DoAsync("GET", "/_miroir/cluster");
        Assert.That(view.GetProperty("nodes").GetArrayLength(), Is.EqualTo(1));
    }

    [Test]
    public async Task ABodyThatIsTooLargeIsNotPassedOn()
    {
        var reply = await cluster.SendAsync(
            "POST",
            "/_miroir/reshards",
            JsonSerializer.Serialize(new string('x', 1 << 20))
        );
        Assert.That((int)reply.Status, Is.EqualTo(413));
        Assert.That(reply.Code, Is.EqualTo("payload_too_large"));
    }

    /// <summary>Without what a file takes on the disk: it changes when the file is opened, between two answers too.</summary>
    private static async Task<string> AnswerOf(HttpResponseMessage reply) =>
        BytesOnDisk().Replace(await reply.Content.ReadAsStringAsync(), "\"bytes\":0");

    [GeneratedRegex("\"bytes\":[0-9]+")]
    private static partial Regex BytesOnDisk();
}
