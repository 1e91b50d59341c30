using System.Text;
using Miroir.Ports;
using Miroir.Runtime.Coordination;
using Miroir.Simulation.Cluster;
using NUnit.Framework;

namespace Miroir.Simulation.Coordination;

/// <summary>The leader's writes to the metadata: who may, over what, and what is done where no answer came.</summary>
public sealed class CatalogTests
{
    private const string Key = "records/a";

    [Test]
    public async Task ADeposedLeaderWritesNothing()
    {
        var disk = new MetadataDisk();
        var first = await Leading(disk);
        var second = await Leading(disk);
        Assert.That(second.Term, Is.EqualTo(first.Term + 1));
        Assert.That(await first.CommitAsync([Record("of the first")], default), Is.EqualTo(CommitOutcome.Deposed));
        Assert.That(Text(disk), Is.Null, "nobody else has written this key: only the leader's term can tell");
        Assert.That(first.IsDeposed);
        Assert.That(await second.CommitAsync([Record("of the second")], default), Is.EqualTo(CommitOutcome.Committed));
    }

    [Test]
    public async Task AWriteOverWhatTheLeaderDoesNotKnowIsRefused()
    {
        var disk = new MetadataDisk();
        var catalog = await Leading(disk);
        disk.Commit([], [new MetadataWrite(Key, Bytes("of somebody else"))]);
        Assert.That(await catalog.CommitAsync([Record("mine")], default), Is.EqualTo(CommitOutcome.Deposed));
        Assert.That(Text(disk), Is.EqualTo("of somebody else"));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task ACommitWithoutAnAnswerIsLookedUp(bool happened)
    {
        var disk = new MetadataDisk();
        var store = new DirectMetadata(disk);
        var catalog = new Catalog(store);
        await catalog.TakeLeadAsync(default);
        store.Forget(happened);
        Assert.That(await catalog.CommitAsync([Record("once")], default), Is.EqualTo(CommitOutcome.Committed));
        Assert.That(Text(disk), Is.EqualTo("once"));
        Assert.That(Encoding.UTF8.GetString(catalog.Record(Key) ?? []), Is.EqualTo("once"));
        Assert.That(await catalog.CommitAsync([Record("twice")], default), Is.EqualTo(CommitOutcome.Committed));
        Assert.That((Text(disk), catalog.IsDeposed), Is.EqualTo(("twice", false)));
    }

    private static async Task<Catalog> Leading(MetadataDisk disk)
    {
        var catalog = new Catalog(new DirectMetadata(disk));
        await catalog.TakeLeadAsync(default);
        return catalog;
    }

    private static CatalogWrite Record(string text) => CatalogWrite.Record(Key, Bytes(text));

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private static string? Text(MetadataDisk disk) =>
        disk.Read(Key).Select(entry => Encoding.UTF8.GetString(entry.Value!)).SingleOrDefault();
}
