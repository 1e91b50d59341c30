using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Routing;

namespace Miroir.Runtime.Feed;

/// <summary>What one look at an index's change feed came to.</summary>
/// <param name="Cursor">Behind the events; null where not every part of the feed's end could be learned.</param>
/// <param name="Trouble">Why parts of the index could not be looked at; "" where all could.</param>
/// <param name="TooOld">The floor that the cursor is below, if it is.</param>
internal sealed record FeedLook(
    FeedCursor? Cursor,
    FeedEvent[] Events,
    bool IsCaughtUp,
    string Trouble,
    DocumentVersion? TooOld
);

/// <summary>
/// Looks once at every part of an index: asks the writers how far their shards' feeds are settled, then the nodes of those
/// that have something new, several side by side.
/// </summary>
internal sealed class FeedRound(RouterContext context, FeedBounds bounds, FeedLogs logs)
{
    private const int SideBySide = 8;
    private const int MaxBodyBytes = 8 << 20;

    /// <param name="cursor">Null: behind the last change that there is.</param>
    public async Task<FeedLook> LookAsync(
        RoutingTable table,
        IndexInfo index,
        FeedCursor? cursor,
        FeedRequest request,
        CancellationToken cancel
    )
    {
        if (Segment.All(table, index.Uid) is not { } segments)
        {
            return new(cursor, [], false, $"a shard of index {index.Uid} has no route yet", null);
        }
        var known = await bounds.AskAsync(table, segments.Select(static segment => segment.Route), cancel);
        var from = cursor ?? FeedCursor.At(index.Uid, index.CreatedAtUnixMs, DocumentVersion.Zero);
        var parts = segments
            .SelectMany(segment =>
                from.Within(segment.Range).Select(piece => new FeedPart(segment.Route, piece.Range, piece.Position))
            )
            .ToArray();
        foreach (var part in parts)
        {
            Bound(part, known, isNow: cursor is null);
        }
        if (cursor is null)
        {
            return Array.Find(parts, static part => !part.IsDone) is { } unknown
                ? new(null, [], false, unknown.Trouble, null)
                : new(Advanced(from, parts), [], true, "", null);
        }
        if (await ReadAsync(parts, request.Limit, cancel) is { } floor)
        {
            return new(cursor, [], false, "", floor);
        }
        if (request.WithDocuments)
        {
            var bodies = new FeedBodies(context, index.Uid, MaxBodyBytes);
            foreach (var part in parts)
            {
                await bodies.FillAsync(part, cancel);
            }
        }
        return new(
            Advanced(from, parts),
            [.. parts.SelectMany(Events)],
            Array.TrueForAll(parts, static part => part.IsDone),
            Array.Find(parts, static part => part.Trouble != "")?.Trouble ?? "",
            null
        );
    }

    private static void Bound(FeedPart part, IReadOnlyDictionary<ShardId, FeedBound.Bound> known, bool isNow)
    {
        var route = part.Route;
        if (!known.TryGetValue(route.Shard, out var bound))
        {
            part.Fail($"the writer of shard {route.Stamp} did not say how far its feed is settled");
            return;
        }
        // A later epoch comes into the table soon; another term's bound says nothing of what this route's writer gives out.
        if (bound.Epoch > route.Epoch || bound.Settled.Term != route.Writer.Term)
        {
            part.Fail($"the writer of shard {route.Stamp} follows epoch {bound.Epoch}, in term {bound.Settled.Term}");
            return;
        }
        var position = part.Position;
        if (!isNow && position.CompareTo(bound.Settled) >= 0)
        {
            part.Through = position;
            part.Finish();
            return;
        }
        part.Through = bound.Settled;
        // Of earlier terms the writer's word says nothing: whoever comes from one looks at the nodes once.
        if (isNow || (position.Term == bound.Settled.Term && position.CompareTo(bound.Newest) >= 0))
        {
            part.Finish();
        }
    }

    /// <summary>Reads until there are enough changes, or nothing is left to read. A floor where the cursor is too old.</summary>
    private async Task<DocumentVersion?> ReadAsync(FeedPart[] parts, int limit, CancellationToken cancel)
    {
        var until = context.Deadlines.NowMs + context.Options.OperationTimeoutMs;
        while (!cancel.IsCancellationRequested && context.Deadlines.NowMs < until)
        {
            var left = limit - parts.Sum(static part => part.Changes.Count);
            // Whoever is furthest behind comes first, so that no busy shard keeps the others waiting for ever.
            var open = parts
                .Where(static part => part.IsOpen)
                .OrderBy(static part => part.Position.Clock)
                .Take(Math.Min(left, SideBySide))
                .ToArray();
            if (left <= 0 || open.Length == 0)
            {
                break;
            }
            var most = Math.Max(1, left / open.Length);
            var floors = await Task.WhenAll(open.Select(part => logs.ReadAsync(part, most, cancel)));
            if (Array.Find(floors, static floor => floor is not null) is { } floor)
            {
                return floor;
            }
        }
        return null;
    }

    private static IEnumerable<FeedEvent> Events(FeedPart part) =>
        part.Changes.Select((change, i) => new FeedEvent(change, i < part.Bodies.Count ? part.Bodies[i] : null));

    private static FeedCursor Advanced(FeedCursor cursor, FeedPart[] parts) =>
        parts.Aggregate(cursor, static (advanced, part) => advanced.Advance(part.Range, part.Position));
}
