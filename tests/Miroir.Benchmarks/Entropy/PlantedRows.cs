using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Benchmarks;

/// <summary>How many rows were made to differ, by what is wrong with them.</summary>
internal readonly record struct Planted(int Missing, int Stale, int Undeleted)
{
    public int Count => Missing + Stale + Undeleted;
}

/// <summary>
/// Puts rows into both replicas, and others into one alone, straight into the nodes: as old versions of the shard's own
/// writer, so that none is taken for a write on its way.
/// </summary>
internal sealed class PlantedRows(ReplicaCluster cluster)
{
    private const int Batch = 2000;
    private const int InFlight = 2;

    private readonly Replica[] _replicas = cluster.Replicas;
    private long _clock = HybridClock.ofUnixMs(DateTimeOffset.UtcNow.AddDays(-1).ToUnixTimeMilliseconds());
    private int _rows;
    private int _existing;
    private int _round;

    public async Task FillAsync(int rows, CancellationToken cancel)
    {
        (_rows, _existing) = (rows, rows);
        await PutAsync(_replicas, Enumerable.Range(0, rows).Select(row => EntropyRows.Live(row, Next())), cancel);
    }

    /// <summary>Makes so many rows differ, the same ones in each run; by turns of each kind, and on each side.</summary>
    public async Task<Planted> PlantAsync(int differences, CancellationToken cancel)
    {
        var random = new Random(++_round);
        var chosen = new HashSet<int>();
        int Existing()
        {
            int row;
            do row = random.Next(_rows);
            while (!chosen.Add(row));
            return row;
        }

        List<Document>[] sides =
        [
            [],
            [],
        ];
        for (var i = 0; i < differences; i++)
        {
            var document = (i % 3) switch
            {
                0 => EntropyRows.Live(_existing++, Next()),
                1 => EntropyRows.Live(Existing(), Next(), _round),
                _ => EntropyRows.Deleted(Existing(), Next()),
            };
            sides[i / 3 % 2].Add(document);
        }

        for (var side = 0; side < sides.Length; side++)
            await PutAsync([_replicas[side]], sides[side], cancel);
        return new Planted((differences + 2) / 3, (differences + 1) / 3, differences / 3);
    }

    private DocumentVersion Next() => new(cluster.Route.Writer.Term, _clock++);

    private async Task PutAsync(Replica[] replicas, IEnumerable<Document> documents, CancellationToken cancel)
    {
        Queue<Task<PutReply[][]>> waiting = new();
        foreach (var batch in documents.Chunk(Batch))
        {
            if (waiting.Count == InFlight)
                Check(await waiting.Dequeue());
            var puts = replicas.Select(replica =>
                cluster
                    .World.Node(replica.Node)
                    .Put(
                        [.. batch.Select(document => new PutCommand(cluster.Route.Stamp, replica.Store, document))],
                        cancel
                    )
            );
            waiting.Enqueue(Task.WhenAll(puts));
        }

        while (waiting.TryDequeue(out var last))
            Check(await last);
    }

    private static void Check(PutReply[][] replies)
    {
        if (replies.SelectMany(each => each).FirstOrDefault(reply => reply is not PutReply.Applied) is { } bad)
            throw new InvalidOperationException($"a put was answered {bad}");
    }
}
