using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>One client's way through the feed of an index: batch after batch, each only when it is asked for.</summary>
internal sealed class FeedWalk(ApiContext api, string uid, FeedQuery query, CancellationToken cancel)
{
    private readonly int mostEvents = query.WithDocuments
        ? api.Options.FeedBatchDocuments
        : api.Options.FeedBatchEvents;

    private string? cursor = query.Cursor;
    private long given;

    /// <summary>As many events as were asked for have been given.</summary>
    public bool IsAtLimit => given >= query.Limit;

    /// <summary>The events that follow, after a wait for the first of them.</summary>
    /// <exception cref="RefusedException">The feed refuses, or has no answer in time.</exception>
    public async Task<FeedBatch> NextAsync(int waitMs)
    {
        using var limit = new TimeLimit(waitMs + api.Options.ReadTimeoutMs, api.Options.Time, cancel);
        try
        {
            var request = new FeedRequest(
                uid,
                cursor,
                query.Start,
                (int)Math.Min(mostEvents, query.Limit - given),
                query.WithDocuments,
                waitMs
            );
            var reply = await api.Feed.Feed.Read(request, limit.Token);
            if (!reply.IsOk)
                throw new RefusedException(reply.Code, reply.Message);
            var batch = reply.Value;
            cursor = batch.Cursor;
            given += batch.Events.Length;
            api.Feed.Metrics.Given(uid, batch);
            return batch;
        }
        catch (OperationCanceledException) when (limit.IsOver)
        {
            throw new RefusedException(
                "feed_unavailable",
                $"the changes of index `{uid}` were not read within {waitMs + api.Options.ReadTimeoutMs} ms: try again with the same cursor"
            );
        }
    }
}
