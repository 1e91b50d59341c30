using Miroir.Core;
using Miroir.Stores.Sqlite;
using Miroir.Stores.Sqlite.Native;
using NUnit.Framework;
using static Miroir.Stores.Tests.NodeCalls;

namespace Miroir.Stores.Tests;

/// <summary>What a disk does to the contents of a shard's file: each is diagnosed as what it is, and put right.</summary>
public sealed class SqliteNodeStoreRotTests
{
    private static readonly Document[] Documents =
    [
        .. Enumerable.Range(0, 200).Select(i => Live($"{i}", 1, $"{{\"number\":{i}}}")),
    ];

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void Create() => _folder = new TemporaryFolder();

    [TearDown]
    public void Delete() => _folder.Dispose();

    [Test]
    public async Task AFlippedBitInABodyIsRefusedWhereverItIsReadAndHealed()
    {
        await using var store = await Filled("UPDATE bodies SET body = replace(body, ':7}', ':6}')");
        var read = await store.ReadOne(0, 1, "7") as ReadReply.ReadRefused;
        Assert.That(read?.Item.Code, Is.EqualTo(RefusalCode.Corrupt));
        Assert.That(read?.Item.Message, Does.Contain("\"7\"").And.Contain("repair"));
        Assert.That((await store.ReadOne(0, 1, "8")).IsFound);
        var both = new[] { "7", "8" }.Select(key => new ReadCommand(Stamp(0, 1), Shard(0), Key.Of(key)));
        var replies = await store.Read([.. both], CancellationToken.None);
        Assert.That((replies[0].IsReadRefused, replies[1].IsFound), Is.EqualTo((true, true)));

        var scan = new ScanCommand(Stamp(0, 1), Shard(0), HashRange.Full, null, 1000, 1 << 20, true);
        var page = await store.ScanPage(scan, CancellationToken.None) as ScanReply.ScanRefused;
        Assert.That(page?.Item.Code, Is.EqualTo(RefusalCode.Corrupt), "nothing is left out without a word");
        Assert.That(page?.Item.Message, Does.Contain("\"7\""));
        Assert.That(await store.Keys(0, 1), Has.Count.EqualTo(200), "entries are none the worse for it");

        var (rotten, drifted) = await Scrub(store, 100);
        Assert.That(drifted, Is.Zero);
        var entry = Documents[7].Entry;
        Assert.That(
            rotten.Select(found => (found.Key, found.Version, found.Recorded)),
            Is.EqualTo(new[] { (entry.Key, entry.Version, entry.Digest) })
        );
        Assert.That(rotten[0].Actual, Is.EqualTo(Digest.OfBody("{\"number\":6}"u8)));

        Assert.That(await Heal(store, Documents[7]), Is.EqualTo(HealReply.Healed));
        Assert.That(await Heal(store, Documents[7]), Is.EqualTo(HealReply.NewNothingToHeal(entry.Version)));
        Assert.That((await store.ReadOne(0, 1, "7")).IsFound);
        Assert.That((await Scrub(store, 100)).Rotten, Is.Empty);
        await AssertDigestIsOf(store, Documents);
    }

    [Test]
    public async Task ABodyThatIsGoneIsHealed()
    {
        await using var store = await Filled("DELETE FROM bodies WHERE body LIKE '%:7}'");
        Assert.That((await store.ReadOne(0, 1, "7")).IsReadRefused);
        Assert.That(await Heal(store, Documents[7]), Is.EqualTo(HealReply.Healed));
        Assert.That((await store.ReadOne(0, 1, "7")).IsFound);
        var status = (await store.Stores(CancellationToken.None)).Single();
        Assert.That((status.Documents, status.Tombstones), Is.EqualTo((200, 0)));
    }

    [TestCase("UPDATE leaf_digests SET sum_a = sum_a + 1 WHERE leaf = (SELECT min(leaf) FROM leaf_digests)", 1)]
    [TestCase("UPDATE leaf_digests SET entries = entries + 1 WHERE leaf = (SELECT max(leaf) FROM leaf_digests)", 1)]
    [TestCase("UPDATE leaf_digests SET leaf = leaf + 1000000 WHERE leaf = (SELECT min(leaf) FROM leaf_digests)", 2)]
    [TestCase("UPDATE leaf_digests SET leaf = -1 WHERE leaf = (SELECT min(leaf) FROM leaf_digests)", 2)]
    [TestCase("INSERT INTO leaf_digests VALUES(0, 1, 2, 3)", 1)]
    public async Task AFlippedBitInADigestRowIsDriftAndPutRight(string harm, int leaves)
    {
        await using var store = await Filled(harm);
        var (rotten, drifted) = await Scrub(store, 1 << 20);
        Assert.That((rotten.Length, drifted), Is.EqualTo((0, leaves)));
        await AssertDigestIsOf(store, Documents);
        Assert.That((await Scrub(store, 1 << 20)).Drifted, Is.Zero);
    }

    [Test]
    public async Task AllDigestsGoneArePutRightPartByPart()
    {
        await using var store = await Filled("DELETE FROM leaf_digests");
        var (_, drifted) = await Scrub(store, 50);
        Assert.That(drifted, Is.EqualTo(Documents.Select(d => DigestGrid.leafOf(d.Key.Hash)).Distinct().Count()));
        await AssertDigestIsOf(store, Documents);
    }

    [Test]
    public async Task AFileOfFormatOneIsUpgraded()
    {
        await using var store = await Filled(
            $"DROP TABLE leaf_digests; {ChangeLogs.Gone}; DELETE FROM meta WHERE name = 'session'; UPDATE meta SET value = '1' WHERE name = 'format'",
            "DROP TABLE sessions; UPDATE meta SET value = '1' WHERE name = 'format'"
        );
        await AssertDigestIsOf(store, Documents);
        var deleted = Document.Tombstone(Key.Of("7"), new DocumentVersion(1, 2), Guid.Empty, Origin.Client);
        Assert.That((await store.PutAll(0, 1, deleted)).Single().IsApplied);
        await AssertDigestIsOf(store, [.. Documents.Where(document => document.Key.Text != "7"), deleted]);
        Assert.That((await Scrub(store, 1 << 20)).Drifted, Is.Zero);
    }

    [Test]
    public async Task WritesThatGoOnAreNoDrift()
    {
        await using var store = await Filled("SELECT 1");
        var writes = Task.Run(async () =>
        {
            for (var clock = 2; clock < 60; clock++)
                await store.PutAll(0, 1, Documents.Where((_, i) => i % 7 == clock % 7).Select(d => Again(d, clock)));
        });
        var drifted = 0;
        do
        {
            drifted += (await Scrub(store, 500)).Drifted;
        } while (!writes.IsCompleted);

        await writes;
        Assert.That(drifted, Is.Zero);
    }

    [Test]
    public async Task DigestsOfAnyRangesAreOfOneMoment()
    {
        await using var store = await Filled("SELECT 1");
        // Each put raises every entry of one leaf-cutting half and of the other by one version, in one transaction.
        var writes = Task.Run(async () =>
        {
            for (var clock = 2; clock < 60; clock++)
                await store.PutAll(0, 1, Documents.Select(document => Again(document, clock)));
        });
        var middle = Documents.Select(document => document.Key.Hash).Order().ElementAt(100);
        do
        {
            var (whole, low, high) = await Halves(store, middle);
            Assert.That(low + high, Is.EqualTo(whole));
            Assert.That(whole.Entries, Is.EqualTo(200));
        } while (!writes.IsCompleted);

        await writes;
    }

    private static async Task<(RangeDigest, RangeDigest, RangeDigest)> Halves(SqliteNodeStore store, ulong middle)
    {
        var ranges = new[] { HashRange.Full, new HashRange(0, middle), new HashRange(middle, 0) };
        var digests = await Digests(store, ranges);
        return (digests[0], digests[1], digests[2]);
    }

    /// <summary>A store of the documents, closed, harmed by SQL in its file and in node.db, and opened again.</summary>
    private async Task<SqliteNodeStore> Filled(string harm, string harmToNode = "SELECT 1")
    {
        await using (var store = SqliteNodeStore.Open(_folder.Path))
        {
            await store.MakeShard(0);
            await store.PutAll(0, 1, Documents);
        }

        using (var file = Database.Open(Path.Combine(_folder.Path, "shards", "movies", "1-0.db")))
            file.Execute(harm);
        using (var node = Database.Open(_folder.File("node.db")))
            node.Execute(harmToNode);
        return SqliteNodeStore.Open(_folder.Path);
    }

    private static Document Again(Document document, long clock) =>
        Live(document.Key.Text, clock, $"{{\"number\":{document.Key.Text},\"clock\":{clock}}}");

    private static async Task<HealReply> Heal(SqliteNodeStore store, Document document)
    {
        var command = new HealCommand(Stamp(0, 1), Shard(0), document, document.Entry.Digest);
        return (await store.Heal([command], CancellationToken.None)).Single();
    }

    private static async Task<(RottenEntry[] Rotten, int Drifted)> Scrub(SqliteNodeStore store, long maxBytes)
    {
        var rotten = new List<RottenEntry>();
        var drifted = 0;
        var parts = 0;
        for (var leaf = 0; leaf >= 0; parts++)
        {
            var reply = await store.Scrub(new ScrubCommand(Stamp(0, 1), Shard(0), leaf, maxBytes), default);
            Assert.That(reply, Is.TypeOf<ScrubReply.Scrubbed>(), $"{reply}");
            var part = ((ScrubReply.Scrubbed)reply).Item;
            rotten.AddRange(part.Rotten);
            drifted += part.DriftedLeaves;
            leaf = part.NextLeaf;
        }

        Assert.That(parts, maxBytes < 1000 ? Is.GreaterThan(3) : Is.EqualTo(1), "as many bytes at a time as asked for");
        return ([.. rotten], drifted);
    }

    private static async Task<RangeDigest[]> Digests(SqliteNodeStore store, params HashRange[] ranges)
    {
        var reply = await store.Digests(new DigestCommand(Stamp(0, 1), Shard(0), ranges), CancellationToken.None);
        Assert.That(reply, Is.TypeOf<DigestReply.Digests>(), $"{reply}");
        return ((DigestReply.Digests)reply).Item.Digests;
    }

    private static async Task AssertDigestIsOf(SqliteNodeStore store, Document[] documents)
    {
        var sum = documents.Aggregate(RangeDigest.Zero, (sum, document) => sum + RangeDigest.OfEntry(document.Entry));
        Assert.That((await Digests(store, HashRange.Full)).Single(), Is.EqualTo(sum));
    }
}
