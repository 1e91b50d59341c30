using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Routing;

namespace Miroir.Runtime.Feed;

/// <summary>The change feed of the cluster's indexes, as any router gives it (protocol.md, section 6).</summary>
internal sealed class ChangeFeed(RouterContext context, FeedBounds bounds) : IChangeFeed
{
    private const int MaxLimit = 10_000;
    private const int MaxWaitMs = 60_000;
    private const int MaxReaders = 1_024;
    private readonly FeedRound _round = new(context, bounds, new FeedLogs(context));
    private int _readers;

    public async Task<AdminReply<FeedBatch>> Read(FeedRequest request, CancellationToken cancel)
    {
        if (Fault(request) is { } fault)
        {
            return Error("invalid_feed_request", fault);
        }
        try
        {
            return Interlocked.Increment(ref _readers) > MaxReaders
                ? Error("feed_unavailable", $"{MaxReaders} readers of feeds are open at this router: try later")
                : await ReadAsync(request, cancel);
        }
        finally
        {
            Interlocked.Decrement(ref _readers);
        }
    }

    private async Task<AdminReply<FeedBatch>> ReadAsync(FeedRequest request, CancellationToken cancel)
    {
        FeedCursor? cursor = null;
        if (request.Cursor is { } text)
        {
            var parsed = FeedCursor.Parse(text);
            if (parsed.IsError)
            {
                return Error("invalid_feed_cursor", parsed.ErrorValue);
            }
            cursor = parsed.ResultValue;
        }
        var startedMs = context.Deadlines.NowMs;
        var backoff = context.Backoff();
        while (true)
        {
            var changed = context.Follower.Changed;
            var table = context.Table;
            if (table.TryIndex(request.Index) is not { IsValueSome: true, Value: var index })
            {
                return Error("index_not_found", $"Index `{request.Index}` not found.");
            }
            if (cursor is null && request.Start == FeedStart.Oldest)
            {
                cursor = FeedCursor.At(index.Uid, index.CreatedAtUnixMs, DocumentVersion.Zero);
            }
            if (cursor is not null && Foreign(cursor, index) is { } foreign)
            {
                return Error("invalid_feed_cursor", foreign);
            }
            var look = await _round.LookAsync(table, index, cursor, request, cancel);
            cancel.ThrowIfCancellationRequested();
            if (look.TooOld is { } floor)
            {
                return Error(
                    "feed_cursor_too_old",
                    $"changes behind this cursor are gone, up to {At(floor)}: read the documents anew, and follow the feed from now"
                );
            }
            cursor = look.Cursor;
            var elapsedMs = context.Deadlines.NowMs - startedMs;
            if (look.Events.Length > 0 || (cursor is not null && look.Trouble == "" && elapsedMs >= request.WaitMs))
            {
                context.Counters.Fed(look.Events.Length);
                return AdminReply<FeedBatch>.Ok(new FeedBatch(look.Events, cursor!.Format(), look.IsCaughtUp));
            }
            if (look.Trouble != "" && elapsedMs >= context.Options.OperationTimeoutMs)
            {
                return Error("feed_unavailable", $"{look.Trouble}: try again");
            }
            await context.ChangeOrDelayAsync(changed, Pause(backoff.Next(), request, elapsedMs), cancel);
            cancel.ThrowIfCancellationRequested();
        }
    }

    private static TimeSpan Pause(TimeSpan backoff, FeedRequest request, long elapsedMs)
    {
        var left = request.WaitMs - elapsedMs;
        return left > 0 && left < backoff.TotalMilliseconds ? TimeSpan.FromMilliseconds(left) : backoff;
    }

    private static string? Fault(FeedRequest request) =>
        request switch
        {
            { Limit: < 1 or > MaxLimit } => $"limit must be 1 to {MaxLimit} events, not {request.Limit}",
            { WaitMs: < 0 or > MaxWaitMs } => $"the wait must be 0 to {MaxWaitMs} ms, not {request.WaitMs}",
            _ when !Enum.IsDefined(request.Start) => $"start must be Oldest or Now, not {request.Start}",
            _ => null,
        };

    private static string? Foreign(FeedCursor cursor, IndexInfo index) =>
        cursor.Index != index.Uid ? $"the cursor is of index `{cursor.Index}`, not of `{index.Uid}`"
        : cursor.CreatedAtUnixMs != index.CreatedAtUnixMs
            ? $"the cursor is of an earlier index `{index.Uid}`, which was deleted: read the documents anew, and begin without a cursor"
        : null;

    private static string At(DocumentVersion position) =>
        DateTimeOffset
            .FromUnixTimeMilliseconds(HybridClock.unixMs(position.Clock))
            .ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture);

    private static AdminReply<FeedBatch> Error(string code, string message) =>
        AdminReply<FeedBatch>.Error(code, message);
}
