using Miroir.Core;

namespace Miroir.Runtime.Nodes;

/// <summary>
/// The first fill of a target: everything that one source has, in order, each page put while the next is on its way.
/// </summary>
internal static class CopyPass
{
    public static async Task Run(
        ReconcileCommand command,
        ReconcileSources sources,
        ReconcileTarget target,
        ReconcileTally tally,
        NodeOptions options
    )
    {
        // Small pages under a throttle, so that it is a stream and not a row of bursts.
        var maxEntries =
            command.DocumentsPerSecond == 0
                ? options.PageEntries
                : Math.Clamp(command.DocumentsPerSecond / 4, 1, options.PageEntries);
        await using var stream = sources.Stream(0, withBodies: true, maxEntries);
        var previous = command.After;
        // Two batches are under way, so that the store has the next one when it is done with one.
        var under = new Queue<(ScanPage Page, Task<Taken> Put)>();
        try
        {
            bool isLast;
            do
            {
                var page = await stream.Next();
                isLast = page.IsLast;
                var documents = new Document[page.Entries.Length];
                for (var i = 0; i < documents.Length; i++)
                {
                    documents[i] = Take(page.Entries[i], page.Bodies[i], previous, sources);
                    previous = documents[i].Key;
                }

                if (Mutants.tombstonesLeftOutOfCopy())
                {
                    documents = [.. documents.Where(document => !document.IsTombstone)];
                }

                if (Mutants.positionBeforeData() && previous is not null)
                {
                    tally.Advance(previous);
                    tally.Publish();
                }

                under.Enqueue((page, target.Put(documents)));
                if (under.Count == 2)
                {
                    await Finish(under, tally);
                }

                await Task.Yield();
            } while (!isLast);

            while (under.Count > 0)
            {
                await Finish(under, tally);
            }
        }
        finally
        {
            // Where one failed, the other is over too before anybody is told.
            foreach (var (_, put) in under)
            {
                await Task.WhenAny(put);
            }
        }
    }

    /// <summary>Waits for the oldest batch, and counts it: the position moves in order.</summary>
    private static async Task Finish(Queue<(ScanPage Page, Task<Taken> Put)> under, ReconcileTally tally)
    {
        var (page, put) = under.Peek();
        tally.Copy(await put);
        under.Dequeue();
        foreach (var entry in page.Entries)
        {
            tally.Compare(entry);
            tally.Advance(entry.Key);
        }

        tally.Publish();
    }

    private static Document Take(Entry entry, ReadOnlyMemory<byte> body, Key? previous, ReconcileSources sources)
    {
        if (previous is not null && entry.Key.CompareTo(previous) <= 0)
        {
            throw sources.Failed(0, $"sent key \"{entry.Key}\" behind \"{previous}\", which is not before it");
        }

        return Migrated.From(entry, body) ?? throw sources.Failed(0, Migrated.Corrupt(entry));
    }
}
