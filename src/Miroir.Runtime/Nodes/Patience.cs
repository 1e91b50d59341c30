using Miroir.Ports;

namespace Miroir.Runtime.Nodes;

/// <summary>How often, and after what wait, something is tried again; and how long one answer may take.</summary>
internal sealed class Patience(NodeOptions options, TimeProvider time, IEntropy entropy)
{
    public int Attempts => options.Attempts;

    public TimeSpan PeerTimeout => options.PeerTimeout;

    /// <summary>A limit that is not running yet: for a stream, whose every answer has the same limit anew.</summary>
    public CancellationTokenSource NewLimit() => new(Timeout.InfiniteTimeSpan, time);

    /// <summary>The wait after the given try (1: the first): doubling, and up to half as long again by chance.</summary>
    public Task Pause(int attempt, CancellationToken cancel)
    {
        var factor = (1 << Math.Min(attempt - 1, 6)) * (1 + (entropy.NextDouble() / 2));
        return Task.Delay(options.RetryDelay * factor, time, cancel);
    }

    /// <summary>Asks another node, with a limit: no answer in time is UnreachableException, as is no answer at all.</summary>
    public async Task<T> Ask<T>(string peer, Func<CancellationToken, Task<T>> ask, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(options.PeerTimeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            return await ask(both.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            throw TooLate(peer);
        }
    }

    public UnreachableException TooLate(string peer) =>
        new(peer, $"no answer within {options.PeerTimeout.TotalMilliseconds:0} ms");
}
