namespace Miroir.Runtime.Nodes;

/// <summary>
/// A rate that is kept over any stretch of time, but for one burst. It lends: a taking larger than what is there is
/// paid for by waiting, so that batches of any size fit. Not for use from several threads at once.
/// </summary>
/// <param name="perSecond">Tokens per second; 0: no limit, nothing waits.</param>
/// <param name="burst">Tokens that may gather while nothing is taken; 1 or more.</param>
/// <param name="time">Whose time.</param>
internal sealed class TokenBucket(int perSecond, int burst, TimeProvider time)
{
    private double tokens = burst;
    private long refilledAt = time.GetTimestamp();

    /// <summary>Takes the tokens, and answers how long to wait before they are earned; zero where they were there.</summary>
    public TimeSpan Take(int count)
    {
        if (perSecond == 0)
        {
            return TimeSpan.Zero;
        }

        var now = time.GetTimestamp();
        tokens = Math.Min(burst, tokens + (time.GetElapsedTime(refilledAt, now).TotalSeconds * perSecond));
        refilledAt = now;
        tokens -= count;
        return tokens >= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(-tokens / perSecond);
    }

    /// <summary>Takes the tokens, and returns when they are earned.</summary>
    public Task TakeAsync(int count, CancellationToken cancel)
    {
        var wait = Take(count);
        return wait == TimeSpan.Zero ? Task.CompletedTask : Task.Delay(wait, time, cancel);
    }
}
