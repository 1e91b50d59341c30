using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Routing;

/// <summary>A scan that a replica ended early. Safe to go on with behind the last key, with other replicas or routes.</summary>
internal sealed class ScanInterruptedException(string why, string node, Route? newer) : Exception(why)
{
    /// <summary>Who; "" where no single node is to blame.</summary>
    public string Node { get; } = node;

    /// <summary>A newer route that the node told of.</summary>
    public Route? Newer { get; } = newer;
}

/// <summary>
/// The sorted merge of a write quorum of every set of a segment: for each key the highest version that any of them
/// has, tombstones included.
/// </summary>
internal static class SegmentScan
{
    private const int MaxEntries = 256;
    private const int MaxBytes = 1 << 20;

    public static async IAsyncEnumerable<Document> RunAsync(
        RouterContext context,
        Segment segment,
        Key? after,
        bool withBodies,
        IReadOnlySet<string> avoid,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel = default
    )
    {
        var cursors = new List<Cursor>();
        try
        {
            foreach (var replica in Choose(segment, avoid))
            {
                var node =
                    context.Node(replica.Node)
                    ?? throw new ScanInterruptedException($"{replica.Node} is not known", replica.Node, null);
                var command = new ScanCommand(
                    segment.Route.Stamp,
                    replica.Store,
                    segment.Range,
                    after,
                    MaxEntries,
                    MaxBytes,
                    withBodies
                );
                cursors.Add(new Cursor(replica, node.Scan(command, cancel).GetAsyncEnumerator(cancel), after));
            }
            foreach (var cursor in cursors)
            {
                await cursor.MoveAsync();
            }
            while (Next(cursors) is { } highest)
            {
                yield return highest.Document;
                var key = highest.Entry!.Key;
                foreach (var cursor in cursors)
                {
                    if (cursor.Entry is { } entry && entry.Key.Equals(key))
                    {
                        await cursor.MoveAsync();
                    }
                }
            }
        }
        finally
        {
            foreach (var cursor in cursors)
            {
                await cursor.DisposeAsync();
            }
        }
    }

    /// <summary>W replicas of every set, those to avoid last.</summary>
    private static List<Replica> Choose(Segment segment, IReadOnlySet<string> avoid)
    {
        var chosen = new List<Replica>();
        foreach (var set in segment.Plan.Quorums)
        {
            foreach (var replica in set.OrderBy(replica => avoid.Contains(replica.Node)).Take(Quorum.write(set.Length)))
            {
                if (!chosen.Contains(replica))
                {
                    chosen.Add(replica);
                }
            }
        }
        return chosen;
    }

    private static Cursor? Next(List<Cursor> cursors)
    {
        Cursor? best = null;
        foreach (var cursor in cursors)
        {
            if (cursor.Entry is not { } entry)
            {
                continue;
            }
            var order = best is null ? -1 : entry.Key.CompareTo(best.Entry!.Key);
            if (order < 0 || (order == 0 && entry.Version.CompareTo(best!.Entry!.Version) > 0))
            {
                best = cursor;
            }
        }
        return best;
    }

    private sealed class Cursor(Replica replica, IAsyncEnumerator<ScanReply> pages, Key? after) : IAsyncDisposable
    {
        private ScanPage? _page;
        private int _at = -1;
        private Key? _last = after;

        public Entry? Entry { get; private set; }

        public Document Document =>
            new(Entry!, _page!.Bodies.Length == 0 ? ReadOnlyMemory<byte>.Empty : _page.Bodies[_at]);

        public async ValueTask MoveAsync()
        {
            _at++;
            while (_page is null || _at >= _page.Entries.Length)
            {
                if (_page is { IsLast: true })
                {
                    Entry = null;
                    return;
                }
                _page = await PageAsync();
                _at = 0;
            }
            Entry = _page.Entries[_at];
            if (_last is not null && Entry.Key.CompareTo(_last) <= 0)
            {
                throw new ScanInterruptedException(
                    $"{replica.Node} sent {Entry.Key} behind {_last}, out of order",
                    replica.Node,
                    null
                );
            }
            _last = Entry.Key;
        }

        public ValueTask DisposeAsync() => pages.DisposeAsync();

        private async ValueTask<ScanPage> PageAsync()
        {
            try
            {
                if (!await pages.MoveNextAsync())
                {
                    throw new ScanInterruptedException($"{replica.Node} ended its scan early", replica.Node, null);
                }
            }
            catch (UnreachableException e)
            {
                throw new ScanInterruptedException(e.Message, replica.Node, null);
            }
            return pages.Current switch
            {
                ScanReply.Page page => page.Item,
                ScanReply.ScanStaleEpoch stale => throw new ScanInterruptedException(
                    $"{replica.Node} follows epoch {stale.Epoch}",
                    "",
                    stale.Route?.Value
                ),
                ScanReply.ScanRefused refused => throw new ScanInterruptedException(
                    $"{replica.Node}: {refused.Item.Message}",
                    replica.Node,
                    null
                ),
                _ => throw new ScanInterruptedException(
                    $"{replica.Node} does not serve {replica.Store}",
                    replica.Node,
                    null
                ),
            };
        }
    }
}
