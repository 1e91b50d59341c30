using Miroir.Ports;

namespace Miroir.Runtime.Routing;

/// <summary>Waits that double, each with full jitter of its upper half, so that retries of many do not march in step.</summary>
internal struct Backoff(int firstMs, int maxMs, IEntropy entropy)
{
    private readonly int _firstMs = firstMs;
    private int _nextMs = firstMs;

    public TimeSpan Next()
    {
        var ms = _nextMs;
        _nextMs = Math.Min(maxMs, ms * 2);
        return TimeSpan.FromMilliseconds((ms / 2.0) + (ms / 2.0 * entropy.NextDouble()));
    }

    public void Reset() => _nextMs = _firstMs;
}
