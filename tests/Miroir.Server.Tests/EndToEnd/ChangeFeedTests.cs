using System.Net;
using System.Text.Json;
using Miroir.Runtime.AntiEntropy;
using Miroir.Runtime.Coordination;
using Miroir.Stores;
using Miroir.Stores.Sqlite;
using NUnit.Framework;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary>The change feed of a whole cluster: what clients write comes out of it, whatever else happens.</summary>
[CancelAfter(300_000)]
public sealed class ChangeFeedTests
{
    private const string Changes = "/indexes/docs/changes";
    private TestCluster cluster = null!;

    [TearDown]
    public async Task Stop() => await cluster.DisposeAsync();

    private async Task StartAsync(
        int shards,
        int replication,
        SqliteNodeStoreOptions? store = null,
        CoordinatorOptions? options = null
    )
    {
        cluster = await TestCluster.StartAsync(3, _ => store, options);
        await cluster.CreateIndexAsync("docs", shards, replication);
    }

    private async Task<JsonElement> Page(string query)
    {
        var page = await cluster.DoAsync("GET", Changes + query);
        Assert.That(page.GetProperty("caughtUp").GetBoolean(), Is.True, page.GetRawText());
        return page;
    }

    private static string[] Keys(JsonElement page) =>
        [.. page.GetProperty("results").EnumerateArray().Select(e => e.GetProperty("key").GetString()!)];

    private static string Cursor(JsonElement page) => page.GetProperty("cursor").GetString()!;

    [Test]
    public async Task ADocumentComesWhereTheEventIsItsLast()
    {
        await StartAsync(2, 1);
        await cluster.TaskAsync("POST", "/indexes/docs/documents", """[{"id":"a","n":1},{"id":"b","n":1}]""");
        await cluster.TaskAsync("POST", "/indexes/docs/documents", """{"id":"a","n":2.0}""");
        await cluster.TaskAsync("DELETE", "/indexes/docs/documents/b");
        var events = (await Page("?documents=true")).GetProperty("results").EnumerateArray().ToArray();
        string[] Of(string key) =>
            [
                .. events
                    .Where(e => e.GetProperty("key").GetString() == key)
                    .Select(e => $"{e.GetProperty("type")} {e.GetProperty("document").GetRawText()}"),
            ];
        Assert.That(Of("a"), Is.EqualTo((string[])["put null", """put {"id":"a","n":2.0}"""]));
        Assert.That(Of("b"), Is.EqualTo((string[])["put null", "delete null"]));
    }

    [Test]
    public async Task AWaitEndsWithTheFirstWriteAndAStreamGoesOn()
    {
        await StartAsync(4, 1);
        await cluster.FillAsync("docs", 0, 5);
        var now = Cursor(await Page("?from=now"));
        var waiting = cluster.DoAsync("GET", $"{Changes}?cursor={now}&wait=60s");
        using var response = await cluster.Http.GetAsync(
            $"{cluster.Address}{Changes}?cursor={now}&follow=true",
            HttpCompletionOption.ResponseHeadersRead
        );
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        await cluster.FillAsync("docs", 5, 1);
        Assert.That(Keys(await waiting), Is.EqualTo((string[])["5"]));
        for (var i = 5; i < 8; i++)
        {
            if (i > 5)
                await cluster.FillAsync("docs", i, 1);
            JsonElement line;
            do line = JsonDocument.Parse((await lines.ReadLineAsync())!).RootElement;
            while (!line.TryGetProperty("key", out _));
            Assert.That(line.GetProperty("key").GetString(), Is.EqualTo($"{i}"));
        }
    }

    [Test]
    public async Task ACursorBehindWhatIsRetainedIsTooOldAndTheOldestThatIsThereIsNot()
    {
        await StartAsync(1, 1, new SqliteNodeStoreOptions { Changes = new ChangeRetention { MaxChanges = 20 } });
        await cluster.FillAsync("docs", 0, 5);
        var old = Cursor(await Page(""));
        await cluster.FillAsync("docs", 5, 100);
        // Old changes are let go some time after there are too many.
        var gone = await TestCluster.UntilAsync(
            async () =>
            {
                var reply = await cluster.SendAsync("GET", $"{Changes}?cursor={old}");
                return (reply.Status == HttpStatusCode.Gone, reply);
            },
            reply => reply.Text
        );
        Assert.That(gone.Code, Is.EqualTo("feed_cursor_too_old"));
        var retained = Keys(await Page("?from=oldest"));
        Assert.That(retained, Is.Not.Empty);
        Assert.That(retained, Has.Length.LessThan(100));
        Assert.That(retained, Does.Contain("104"));
        var now = Cursor(await Page("?from=now"));
        await cluster.FillAsync("docs", 105, 1);
        Assert.That(Keys(await Page($"?cursor={now}")), Is.EqualTo((string[])["105"]));
    }

    /// <summary>
    /// Positions are in order within a shard only: what a shard of a high term has let go of must not count for one of a
    /// low term that is merged with it.
    /// </summary>
    [Test]
    public async Task ACursorOutlivesTheMergeOfShardsOfUnlikeTerms()
    {
        var clock = new AdvancedTime();
        var retention = new ChangeRetention { Time = TimeSpan.FromHours(1), Clock = clock };
        await StartAsync(
            2,
            2,
            new SqliteNodeStoreOptions { Changes = retention },
            new CoordinatorOptions { AntiEntropy = new EntropyOptions { Enabled = false } }
        );
        await cluster.FillAsync("docs", 0, 60);
        // To purge the tombstone, its shard's writer gets new terms.
        await cluster.TaskAsync("DELETE", "/indexes/docs/documents/0");
        var run = await Ctl.RunAsync(cluster.Address, "", "anti-entropy", "run", "--index", "docs");
        Assert.That(run.Exit, Is.Zero, run.Errors);
        await cluster.FillAsync("docs", 60, 60);
        // An hour later each shard lets go of what it has, up to its last term.
        clock.Ahead = retention.Time;
        await cluster.FillAsync("docs", 120, 60);
        clock.Ahead = TimeSpan.Zero;
        var cursor = Cursor(await Page("?from=now"));
        await cluster.FillAsync("docs", 180, 10);
        await cluster.DoAsync("POST", "/_miroir/reshards", """{"index":"docs","newShards":1,"throttle":0}""");
        await cluster.MigrationAsync("docs", view => view.GetProperty("readyForCutover").GetBoolean());
        await cluster.DoAsync("POST", "/_miroir/reshards/latest/cutover?index=docs");
        await cluster.MigrationAsync("docs", view => view.GetProperty("status").GetString() == "Complete");
        await cluster.FillAsync("docs", 190, 1);
        var keys = Keys(await Page($"?cursor={cursor}"));
        Assert.That(keys.Select(int.Parse).Distinct().Order(), Is.EqualTo(Enumerable.Range(180, 11)));
    }

    [Test]
    public async Task ACursorOfAnotherIndexOrOfOneThatWasDeletedIsRefused()
    {
        await StartAsync(1, 1);
        await cluster.CreateIndexAsync("other", 1);
        var other = Cursor(await cluster.DoAsync("GET", "/indexes/other/changes"));
        var own = Cursor(await Page(""));
        await cluster.TaskAsync("DELETE", "/indexes/docs");
        await cluster.CreateIndexAsync("docs", 1);
        foreach (var cursor in (string[])[other, own, own[..^2], "nonsense"])
        {
            var reply = await cluster.SendAsync("GET", $"{Changes}?cursor={cursor}");
            Assert.That((int)reply.Status, Is.EqualTo(400), reply.Text);
            Assert.That(reply.Code, Is.EqualTo("invalid_feed_cursor"));
        }
    }

    [Test]
    public async Task RepairsBringNoEventsOfTheirOwn()
    {
        await StartAsync(
            2,
            3,
            options: new CoordinatorOptions { AntiEntropy = new EntropyOptions { Enabled = false } }
        );
        await cluster.StopNodeAsync("n3");
        await cluster.FillAsync("docs", 0, 30);
        await cluster.StopRouterAsync();
        await cluster.StartNodeAsync("n3");
        await cluster.StartRouterAsync();
        var written = await Page("");
        Assert.That(Keys(written).Distinct().Count(), Is.EqualTo(30));
        var repair = await Ctl.RunAsync(cluster.Address, "", "anti-entropy", "run", "--index", "docs");
        Assert.That(repair.Output, Does.Contain("Repaired: 30\n"), repair.Errors);
        await cluster.CheckFilledAsync("docs", 0, 30);
        Assert.That(Keys(await Page($"?cursor={Cursor(written)}")), Is.Empty);
    }

    [Test]
    public async Task CtlShowsChangesAndFollowsThem()
    {
        await StartAsync(4, 1);
        await cluster.FillAsync("docs", 0, 20);
        var shown = await Ctl.RunAsync(cluster.Address, "", "changes", "docs", "--limit", "5", "--json");
        Assert.That(shown.Exit, Is.Zero, shown.Errors);
        var first = JsonDocument.Parse(shown.Output).RootElement;
        var cursor = Cursor(first);
        var rest = 21 - Keys(first).Length;
        var following = Ctl.RunAsync(
            cluster.Address,
            "",
            "changes",
            "docs",
            "--follow",
            "--limit",
            $"{rest}",
            "--cursor",
            cursor
        );
        await cluster.FillAsync("docs", 20, 1);
        var followed = await following;
        Assert.That(followed.Exit, Is.Zero, followed.Errors);
        var keys = followed.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split("  ")[1]);
        Assert.That(
            keys.Concat(Keys(first)).Select(int.Parse).Order(),
            Is.EqualTo(Enumerable.Range(0, 21)),
            "each write once, in both together"
        );
        Assert.That(followed.Errors, Does.StartWith("Cursor: "));
    }

    private sealed class AdvancedTime : TimeProvider
    {
        public TimeSpan Ahead { get; set; }

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Ahead;
    }
}
