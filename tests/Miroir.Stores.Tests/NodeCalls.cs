using System.Text;
using Miroir.Core;
using Miroir.Ports;
using NUnit.Framework;

namespace Miroir.Stores.Tests;

/// <summary>Short ways to ask a node's store.</summary>
internal static class NodeCalls
{
    public static ShardId Shard(int number) => new("movies", 1, number);

    public static RouteStamp Stamp(int shard, long epoch) => new(Shard(shard), epoch);

    public static Document Live(string key, long clock, string body) =>
        Document.Live(
            Key.Of(key),
            new DocumentVersion(1, clock),
            Encoding.UTF8.GetBytes(body),
            Guid.Empty,
            Origin.Client
        );

    public static async Task<Guid> MakeShard(this INodeStore store, int shard, long epoch = 1)
    {
        var command = new MakeCommand(Stamp(shard, epoch), Shard(shard), HashRange.Full, 0, 1);
        var reply = await store.Make(command, CancellationToken.None);
        Assert.That(reply, Is.TypeOf<MakeReply.Made>(), $"{reply}");
        return ((MakeReply.Made)reply).Incarnation;
    }

    public static Task<PutReply[]> PutAll(
        this INodeStore store,
        int shard,
        long epoch,
        params IEnumerable<Document> documents
    ) =>
        store.Put(
            [.. documents.Select(document => new PutCommand(Stamp(shard, epoch), Shard(shard), document))],
            CancellationToken.None
        );

    public static async Task<ReadReply> ReadOne(this INodeStore store, int shard, long epoch, string key)
    {
        var command = new ReadCommand(Stamp(shard, epoch), Shard(shard), Key.Of(key));
        return (await store.Read([command], CancellationToken.None)).Single();
    }

    /// <summary>Every key in the store, page by page.</summary>
    public static async Task<List<string>> Keys(this INodeStore store, int shard, long epoch)
    {
        var keys = new List<string>();
        Key? after = null;
        while (true)
        {
            var command = new ScanCommand(
                Stamp(shard, epoch),
                Shard(shard),
                HashRange.Full,
                after,
                1000,
                1 << 20,
                false
            );
            var reply = await store.ScanPage(command, CancellationToken.None);
            Assert.That(reply, Is.TypeOf<ScanReply.Page>(), $"{reply}");
            var page = ((ScanReply.Page)reply).Item;
            keys.AddRange(page.Entries.Select(entry => entry.Key.Text));
            if (page.IsLast)
                return keys;
            after = page.Entries[^1].Key;
        }
    }

    /// <summary>The whole change log, in one page.</summary>
    public static async Task<ChangesPage> WholeLog(this INodeStore store, int shard, long epoch)
    {
        var command = new ChangesCommand(
            Stamp(shard, epoch),
            Shard(shard),
            HashRange.Full,
            DocumentVersion.Zero,
            new DocumentVersion(long.MaxValue, long.MaxValue),
            int.MaxValue
        );
        var reply = await store.Changes(command, CancellationToken.None);
        Assert.That(reply, Is.TypeOf<ChangesReply.Changes>(), $"{reply}");
        return ((ChangesReply.Changes)reply).Item;
    }

    public static Refusal? RefusalOf(PutReply reply) => (reply as PutReply.Refused)?.Item;
}
