using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>The change feed as requests share it: how many of them wait at once is bounded, and what they get is counted.</summary>
internal sealed class FeedAccess(IChangeFeed feed, ApiOptions options)
{
    private int waiting;

    public IChangeFeed Feed => feed;

    public FeedMetrics Metrics { get; } = new(options.Time);

    /// <summary>A place among those that wait or follow; given back by disposing it.</summary>
    /// <exception cref="RefusedException"><c>feed_unavailable</c>: all are taken.</exception>
    public IDisposable Wait()
    {
        if (Interlocked.Increment(ref waiting) <= options.FeedWaiting)
            return new Place(this);
        Interlocked.Decrement(ref waiting);
        throw new RefusedException(
            "feed_unavailable",
            $"{options.FeedWaiting} requests wait for changes at this router, as many as may: ask another router, or without `wait` and `follow`"
        );
    }

    private sealed class Place(FeedAccess access) : IDisposable
    {
        private int isGivenBack;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref isGivenBack, 1) == 0)
                Interlocked.Decrement(ref access.waiting);
        }
    }
}
