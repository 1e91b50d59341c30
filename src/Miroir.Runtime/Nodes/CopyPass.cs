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

            await target.Put(documents);
            foreach (var entry in page.Entries)
            {
                tally.Compare(entry);
                tally.Advance(entry.Key);
            }

            tally.Publish();
            await Task.Yield();
        } while (!isLast);
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
