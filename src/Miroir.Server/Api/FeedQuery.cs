using Microsoft.AspNetCore.Http;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>
/// What a client asks of the change feed: by the same names in the query of a GET and in the body of a POST, which has
/// room for the cursor of an index of any number of shards.
/// </summary>
/// <param name="Cursor">Null: see <paramref name="Start"/>.</param>
/// <param name="Start">Where to begin without a cursor.</param>
/// <param name="Limit">Events at most; of a stream that is followed, <see cref="long.MaxValue"/> where none is given.</param>
/// <param name="WithDocuments">Whether events carry documents.</param>
/// <param name="WaitMs">Longest wait for a first event; of a stream that is followed, its longest silence.</param>
/// <param name="Follow">Whether the answer goes on with what is written later.</param>
internal sealed record FeedQuery(
    string? Cursor,
    FeedStart Start,
    long Limit,
    bool WithDocuments,
    int WaitMs,
    bool Follow
)
{
    /// <summary>A cursor has a piece of a few dozen bytes for each shard, of which an index may have 65,536.</summary>
    private const int MaxBodyBytes = 8 << 20;

    private const int DefaultLimit = 1000;

    /// <summary>A shorter silence would have heartbeats for events.</summary>
    private const int LeastHeartbeatMs = 1000;

    /// <summary>Parameters by name.</summary>
    public static string[] Names { get; } = ["cursor", "from", "limit", "documents", "wait", "follow"];

    public static async Task<FeedQuery> OfAsync(HttpContext http, ApiOptions options)
    {
        if (HttpMethods.IsGet(http.Request.Method))
            return Of(ApiQuery.Of(http.Request, Names), options);
        ApiQuery.Of(http.Request);
        RequestBody.Format(http.Request, ndjson: false);
        var body = await RequestBody.ReadAllAsync(http, MaxBodyBytes, http.RequestAborted);
        return Of(ApiQuery.OfBody(body, Names), options);
    }

    private static FeedQuery Of(ApiQuery query, ApiOptions options)
    {
        var follow = query.Flag("follow");
        var (cursor, from) = (query.Text("cursor"), query.Text("from"));
        if (cursor is not null && from is not null)
            throw new RefusedException(
                "bad_request",
                "`cursor` and `from` can't both be given: a cursor says where to go on, `from` where to begin without one"
            );
        return new FeedQuery(
            cursor,
            from switch
            {
                null or "oldest" => FeedStart.Oldest,
                "now" => FeedStart.Now,
                _ => throw new RefusedException(
                    "invalid_feed_from",
                    $"`from` must be `oldest` or `now`, not `{JsonText.Shown(from, 100)}`"
                ),
            },
            follow
                ? query.Number("limit", "invalid_feed_limit", long.MaxValue, long.MaxValue, least: 1)
                : query.Number("limit", "invalid_feed_limit", DefaultLimit, options.FeedEvents, least: 1),
            query.Flag("documents"),
            follow
                ? query.DurationMs(
                    "wait",
                    "invalid_feed_wait",
                    options.FeedHeartbeatMs,
                    LeastHeartbeatMs,
                    options.FeedWaitMs
                )
                : query.DurationMs("wait", "invalid_feed_wait", 0, 0, options.FeedWaitMs),
            follow
        );
    }
}
