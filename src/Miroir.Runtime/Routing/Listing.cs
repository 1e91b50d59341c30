using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Routing;

/// <summary>What concerns all documents of an index: pages of them, their number, deleting them all.</summary>
internal sealed class Listing(RouterContext context, IDocuments documents)
{
    private const int MaxInterruptions = 12;
    private const int DeletesAtOnce = 512;

    public async Task<AdminReply<DocumentPage>> ListAsync(
        string index,
        long offset,
        int limit,
        CancellationToken cancel
    )
    {
        if (offset < 0 || limit < 0)
        {
            return AdminReply<DocumentPage>.Error(
                "invalid_offset_or_limit",
                $"offset and limit must be 0 or more, not {offset} and {limit}"
            );
        }
        return await GuardedAsync(
            index,
            async statuses =>
            {
                var page = new List<Document>();
                var skip = offset;
                foreach (var segment in Segment.All(context.Table, index) ?? throw NoRoute(index))
                {
                    if (page.Count >= limit)
                    {
                        break;
                    }
                    if (skip > 0 && IndexCensus.AgreedCount(segment, statuses) is { } count && count <= skip)
                    {
                        skip -= count;
                        continue;
                    }
                    Key? after = null;
                    if (skip > 0)
                    {
                        await foreach (var skipped in LiveAsync(index, segment.Range, null, false, cancel))
                        {
                            after = skipped.Key;
                            if (--skip == 0)
                            {
                                break;
                            }
                        }
                        if (skip > 0)
                        {
                            continue;
                        }
                    }
                    await foreach (var document in LiveAsync(index, segment.Range, after, true, cancel))
                    {
                        page.Add(document);
                        if (page.Count >= limit)
                        {
                            break;
                        }
                    }
                }
                var census = IndexCensus.Of(context.Table, index, statuses);
                return AdminReply<DocumentPage>.Ok(new DocumentPage([.. page], census.Documents));
            },
            cancel
        );
    }

    public Task<AdminReply<IndexStatistics>> StatisticsAsync(string index, CancellationToken cancel) =>
        GuardedAsync(
            index,
            statuses => Task.FromResult(AdminReply<IndexStatistics>.Ok(IndexCensus.Of(context.Table, index, statuses))),
            cancel
        );

    public async Task<AdminReply<long>> DeleteAllAsync(string index, CancellationToken cancel)
    {
        if (context.Table.TryIndex(index).IsValueNone)
        {
            return NotFound<long>(index);
        }
        var deleted = 0L;
        var batch = new List<WriteCommand>(DeletesAtOnce);
        try
        {
            await foreach (var document in LiveAsync(index, HashRange.Full, null, false, cancel))
            {
                batch.Add(
                    new WriteCommand(
                        index,
                        document.Key,
                        WriteIntent.Delete,
                        ReadOnlyMemory<byte>.Empty,
                        Condition.Always,
                        context.Entropy.NewGuid()
                    )
                );
                if (batch.Count == DeletesAtOnce)
                {
                    deleted += await DeleteAsync(batch, cancel);
                }
            }
            deleted += await DeleteAsync(batch, cancel);
            return AdminReply<long>.Ok(deleted);
        }
        catch (ScanInterruptedException e)
        {
            return AdminReply<long>.Error(
                "shard_unavailable",
                $"{e.Message}; {deleted} documents were deleted by then"
            );
        }
    }

    private async Task<long> DeleteAsync(List<WriteCommand> batch, CancellationToken cancel)
    {
        if (batch.Count == 0)
        {
            return 0;
        }
        var outcomes = await documents.Write([.. batch], cancel);
        batch.Clear();
        foreach (var outcome in outcomes)
        {
            if (outcome is not WriteOutcome.Written)
            {
                throw new ScanInterruptedException($"a document could not be deleted for certain: {outcome}", "", null);
            }
        }
        return outcomes.Length;
    }

    /// <summary>Live documents of a range in key order, through whatever happens to its routes meanwhile.</summary>
    private async IAsyncEnumerable<Document> LiveAsync(
        string index,
        HashRange range,
        Key? after,
        bool withBodies,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel
    )
    {
        var avoid = new HashSet<string>(StringComparer.Ordinal);
        var interruptions = 0;
        var backoff = context.Backoff();
        var from = range.Lo;
        while (true)
        {
            var changed = context.Follower.Changed;
            ScanInterruptedException? interrupted = null;
            if (
                Segment.At(context.Table, index, after?.Hash ?? from) is { } segment
                && segment.Range.Intersect(new HashRange(from, range.Hi)) is { IsValueSome: true, Value: var part }
            )
            {
                await using var scan = SegmentScan
                    .RunAsync(context, segment with { Range = part }, after, withBodies, avoid, cancel)
                    .GetAsyncEnumerator(cancel);
                while (true)
                {
                    try
                    {
                        if (!await scan.MoveNextAsync())
                        {
                            break;
                        }
                    }
                    catch (ScanInterruptedException e)
                    {
                        interrupted = e;
                        break;
                    }
                    after = scan.Current.Key;
                    if (!scan.Current.IsTombstone)
                    {
                        yield return scan.Current;
                    }
                }
                if (interrupted is null)
                {
                    if (part.Hi == range.Hi)
                    {
                        yield break;
                    }
                    from = part.Hi;
                    after = null;
                    avoid.Clear();
                    continue;
                }
            }
            interrupted ??= NoRoute(index);
            if (++interruptions > MaxInterruptions)
            {
                throw interrupted;
            }
            if (interrupted.Newer is { } newer)
            {
                context.Follower.Adopt(newer);
            }
            if (interrupted.Node != "")
            {
                avoid.Add(interrupted.Node);
            }
            await context.ChangeOrDelayAsync(changed, backoff.Next(), cancel);
        }
    }

    private async Task<AdminReply<T>> GuardedAsync<T>(
        string index,
        Func<IReadOnlyDictionary<string, NodeStatus>, Task<AdminReply<T>>> run,
        CancellationToken cancel
    )
    {
        if (context.Table.TryIndex(index).IsValueNone)
        {
            return NotFound<T>(index);
        }
        try
        {
            return await run(await IndexCensus.AskAsync(context, index, cancel));
        }
        catch (ScanInterruptedException e)
        {
            return AdminReply<T>.Error("shard_unavailable", e.Message);
        }
    }

    private static AdminReply<T> NotFound<T>(string index) =>
        AdminReply<T>.Error("index_not_found", $"Index `{index}` not found.");

    private static ScanInterruptedException NoRoute(string index) =>
        new($"a shard of index {index} has no route yet: try later", "", null);
}
