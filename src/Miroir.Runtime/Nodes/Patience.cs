using Miroir.Ports;

namespace Miroir.Runtime.Nodes;

/// <summary>How often, and after what wait, something is tried again; and how long one answer may take.</summary>
internal sealed class Patience(
    int attempts,
    TimeSpan peerTimeout,
    TimeSpan retryDelay,
    TimeProvider time,
    IEntropy entropy
)
{
    public Patience(NodeOptions options, TimeProvider time, IEntropy entropy)
        : this(options.Attempts, options.PeerTimeout, options.RetryDelay, time, entropy) { }

    public int Attempts => attempts;

    public TimeSpan PeerTimeout => peerTimeout;

    /// <summary>A limit that is not running yet: for a stream, whose every answer has the same limit anew.</summary>
    public CancellationTokenSource NewLimit() => new(Timeout.InfiniteTimeSpan, time);

    /// <summary>The wait after the given try (1: the first): doubling, and up to half as long again by chance.</summary>
    public Task Pause(int attempt, CancellationToken cancel)
    {
        var factor = (1 << Math.Min(attempt - 1, 6)) * (1 + (entropy.NextDouble() / 2));
        return Task.Delay(retryDelay * factor, time, cancel);
    }

    /// <summary>Asks another node, with a limit: no answer in time is UnreachableException, as is no answer at all.</summary>
    public async Task<T> Ask<T>(string peer, Func<CancellationToken, Task<T>> ask, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(peerTimeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            return await ask(both.Token);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw TooLate(peer);
        }
    }

    /// <summary>Tries until it is done, with pauses, as often as patience lasts. That no answer came is a try in vain.</summary>
    /// <param name="giveUp">Makes what is thrown in the end of why the last try was in vain.</param>
    public async Task<T> Insist<T>(
        Func<Task<Tried<T>>> attempt,
        Func<string, Exception> giveUp,
        CancellationToken cancel
    )
    {
        for (var number = 1; ; number++)
        {
            string why;
            try
            {
                var tried = await attempt();
                if (tried.IsDone)
                {
                    return tried.Value;
                }

                why = tried.Why;
            }
            catch (UnreachableException e)
            {
                why = e.Message;
            }

            if (number >= attempts)
            {
                throw giveUp(why);
            }

            await Pause(number, cancel);
        }
    }

    public UnreachableException TooLate(string peer) =>
        new(peer, $"no answer within {peerTimeout.TotalMilliseconds:0} ms");
}
