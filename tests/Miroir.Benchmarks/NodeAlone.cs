using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Benchmarks;

/// <summary>A node without a router: its stores, and single documents put and read as a router would.</summary>
internal sealed class NodeAlone
{
    private const string Index = "alone";
    private const int FillBatch = 1000;

    private readonly INode _node;
    private readonly int _shards;
    private long _clock;

    private NodeAlone(INode node, int shards) => (_node, _shards) = (node, shards);

    /// <summary>Makes the stores, and fills them with the documents of the numbers below <paramref name="documents"/>.</summary>
    public static async Task<NodeAlone> MakeAsync(INode node, int shards, int documents, CancellationToken cancel)
    {
        var alone = new NodeAlone(node, shards);
        for (var shard = 0; shard < shards; shard++)
        {
            var store = new ShardId(Index, 1, shard);
            var range = Layout.range(shards, shard);
            if (await node.Make(new(new(store, 1), store, range, 0, 1), cancel) is not MakeReply.Made)
                throw new InvalidOperationException($"store {store} was not made");
        }

        for (var from = 0; from < documents; from += FillBatch)
        {
            var puts = Enumerable
                .Range(from, Math.Min(FillBatch, documents - from))
                .Select(number => alone.Command(number, 0));
            foreach (var reply in await node.Put([.. puts], cancel))
                Check(reply);
        }

        return alone;
    }

    public async Task PutAsync(int number, int revision, CancellationToken cancel) =>
        Check((await _node.Put([Command(number, revision)], cancel))[0]);

    public async Task ReadAsync(int number, CancellationToken cancel)
    {
        var key = Key.Of(MadeDocuments.Id(number));
        var store = new ShardId(Index, 1, Layout.shardOf(_shards, key.Hash));
        var reply = (await _node.Read([new(new(store, 1), store, key)], cancel))[0];
        if (reply is not ReadReply.Found)
            throw new InvalidOperationException($"a read of {key} was answered {reply}");
    }

    private PutCommand Command(int number, int revision)
    {
        var document = MadeDocuments.Live(number, new(1, Interlocked.Increment(ref _clock)), revision);
        var store = new ShardId(Index, 1, Layout.shardOf(_shards, document.Key.Hash));
        return new(new(store, 1), store, document);
    }

    private static void Check(PutReply reply)
    {
        // Two clients may put the same document at once, the greater version first.
        if (reply is not (PutReply.Applied or PutReply.Superseded))
            throw new InvalidOperationException($"a put was answered {reply}");
    }
}
