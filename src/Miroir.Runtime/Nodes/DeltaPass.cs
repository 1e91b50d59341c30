using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Nodes;

/// <summary>
/// The delta pass: the sorted merge of every source beside the target, and what the target does not dominate fetched
/// from whoever has it. Versions only grow, so it needs no snapshot, and no pause of the writes that go on meanwhile.
/// </summary>
internal sealed class DeltaPass(
    ReconcileSources sources,
    ReconcileTarget target,
    ReconcileTally tally,
    NodeOptions options,
    Patience patience,
    Action<string> log,
    CancellationToken cancel
)
{
    private const int FirstReadBatch = 64;

    private readonly PagedCursor beside = new();
    private List<MergedKey> lacking = [];
    private Key? merged;

    // Entries do not say how long their bodies are: reads begin small, and grow as the bodies seen allow.
    private int readBatch = Math.Min(FirstReadBatch, options.PageEntries);

    public async Task Run()
    {
        var streams = new SourceStream[sources.Count];
        var cursors = new PagedCursor[sources.Count];
        for (var i = 0; i < streams.Length; i++)
        {
            streams[i] = sources.Stream(i, withBodies: false, options.PageEntries);
            cursors[i] = new PagedCursor();
        }

        try
        {
            await Merge(new Merge(cursors), streams, cursors);
        }
        finally
        {
            foreach (var stream in streams)
            {
                await stream.DisposeAsync();
            }
        }
    }

    private async Task Merge(Merge merge, SourceStream[] streams, PagedCursor[] cursors)
    {
        var domination = new Domination(beside);
        while (true)
        {
            switch (merge.Next())
            {
                case MergeStep.Merged { Item: var key }:
                    await Compare(key, domination);
                    break;
                case MergeStep.Feed { Cursor: var source }:
                    var page = await streams[source].Next();
                    cursors[source].Feed(page.Entries, page.IsLast);
                    tally.Publish();
                    await Task.Yield();
                    break;
                case MergeStep.OutOfOrder bad:
                    throw sources.Failed(
                        bad.Cursor,
                        $"sent key \"{bad.Next}\" behind \"{bad.Previous}\", which is not before it"
                    );
                default:
                    await Settle();
                    return;
            }
        }
    }

    private async Task Compare(MergedKey key, Domination domination)
    {
        var divergence = await Judge(key.Best, domination);
        tally.Compare(key.Best);
        merged = key.Key;
        if (key.IsConflicting || divergence.IsDiffers)
        {
            log($"delta pass: \"{key.Key}\" has different content at {key.Best.Version}: anti-entropy must heal it");
        }

        if (divergence.IsLacking && !(Mutants.tombstonesLeftOutOfDelta() && key.Best.IsTombstone))
        {
            lacking.Add(key);
        }

        if (lacking.Count == 0)
        {
            tally.Advance(key.Key);
        }
        else if (lacking.Count >= options.PageEntries)
        {
            await Settle();
        }
    }

    private async Task<Divergence> Judge(Entry best, Domination domination)
    {
        while (true)
        {
            switch (domination.Judge(best))
            {
                case DominationStep.Judged { Item: var divergence }:
                    return divergence;
                case DominationStep.TargetOutOfOrder bad:
                    throw ReconcileEndedException.Refused(
                        RefusalCode.Corrupt,
                        $"this node's own store shows key \"{bad.Next}\" behind \"{bad.Previous}\", which is not before it"
                    );
                default:
                    var page = await target.NextPage();
                    beside.Feed(page.Entries, page.IsLast);
                    break;
            }
        }
    }

    /// <summary>Fetches and puts what is lacking; from then on everything merged so far is dominated.</summary>
    private async Task Settle()
    {
        for (var attempt = 1; lacking.Count > 0; attempt++)
        {
            var left = new List<MergedKey>();
            ReconcileEndedException? failure = null;
            foreach (var group in lacking.GroupBy(key => HolderOf(key, attempt)).OrderBy(group => group.Key))
            {
                failure = await Fetch(group.Key, [.. group], left) ?? failure;
            }

            lacking = left;
            if (lacking.Count > 0 && attempt >= patience.Attempts)
            {
                throw failure!;
            }

            if (lacking.Count > 0)
            {
                await patience.Pause(attempt, cancel);
            }
        }

        if (merged is not null)
        {
            tally.Advance(merged);
        }

        tally.Publish();
    }

    /// <summary>Who is asked for a key: this node itself first, each holder in turn with each attempt.</summary>
    private int HolderOf(MergedKey key, int attempt)
    {
        var holders = new List<int>(key.Cursors);
        for (var source = 0; source < key.Cursors; source++)
        {
            if (key.HoldsBest(source))
            {
                holders.Insert(sources.IsLocal(source) ? 0 : holders.Count, source);
            }
        }

        return holders[(attempt - 1) % holders.Count];
    }

    /// <summary>Reads from one source and puts; what could not be had goes to <paramref name="left"/>, with the reason.</summary>
    private async Task<ReconcileEndedException?> Fetch(int source, MergedKey[] keys, List<MergedKey> left)
    {
        ReconcileEndedException? failure = null;
        for (var start = 0; start < keys.Length; )
        {
            var chunk = keys[start..Math.Min(start + readBatch, keys.Length)];
            start += chunk.Length;
            ReadReply[] replies;
            try
            {
                replies = await sources.Read(source, chunk.Select(key => key.Key));
            }
            catch (UnreachableException e)
            {
                left.AddRange(keys[(start - chunk.Length)..]);
                return sources.Failed(source, $"could not be read: {e.Message}");
            }

            var documents = new List<Document>(chunk.Length);
            long bytes = 0;
            for (var i = 0; i < chunk.Length; i++)
            {
                var (document, why) = Take(chunk[i], replies[i]);
                if (document is null)
                {
                    left.Add(chunk[i]);
                    failure = sources.Failed(source, why);
                    continue;
                }

                documents.Add(document);
                bytes += document.Body.Length;
            }

            tally.Copy(await target.Put(documents));
            tally.Publish();
            var typical = Math.Max(1, bytes / chunk.Length);
            readBatch = (int)Math.Clamp(options.PageBytes / typical, 1, Math.Min(readBatch * 2, options.PageEntries));
        }

        return failure;
    }

    /// <summary>The document to put, or why this source did not give it.</summary>
    private static (Document? Document, string Why) Take(MergedKey key, ReadReply reply)
    {
        switch (reply)
        {
            case ReadReply.Found { Item: var found } when found.Version.CompareTo(key.Best.Version) >= 0:
                return (Migrated.From(found.Entry, found.Body), Migrated.Corrupt(found.Entry));
            case ReadReply.Found { Item: var found }:
                return (null, $"has \"{key.Key}\" at {found.Version}, and had it at {key.Best.Version}");
            case ReadReply.ReadStaleEpoch stale:
                throw ReconcileEndedException.Stale(stale.Epoch);
            case ReadReply.ReadRefused { Item: var refusal }:
                return (null, $"did not give \"{key.Key}\": {refusal.Message}");
            default:
                return (null, reply.IsAbsent ? $"has lost \"{key.Key}\"" : "does not serve");
        }
    }
}
