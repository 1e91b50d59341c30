using Miroir.Core;
using Miroir.Runtime.Nodes;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>
/// What a pass reads, and how fast it may: a budget of bytes, and a pause as long as an answer took where answers take
/// several times as long as they did, for then the nodes have others to serve.
/// </summary>
internal sealed class PassMeter
{
    private const double SlowFactor = 4;
    private const double MinSlowMs = 20;
    private const int BytesOfDigest = 24;
    private const int BytesOfEntry = 58;

    private readonly PassMeter? _whole;
    private readonly TokenBucket _bytes;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private double _usualMs = double.MaxValue;
    private long _bytesRead;
    private long _roundTrips;

    /// <summary>Of a whole pass.</summary>
    public PassMeter(EntropyOptions options, TimeProvider time)
    {
        _time = time;
        _bytes = new TokenBucket(options.MaxBytesPerSecond, Math.Max(1, options.MaxBytesPerSecond / 4), time);
    }

    /// <summary>Of a part, which spends the budget of the whole.</summary>
    public PassMeter(PassMeter whole)
    {
        _whole = whole;
        _time = whole._time;
        _bytes = whole._bytes;
    }

    public long BytesRead => Interlocked.Read(ref _bytesRead);

    public long RoundTrips => Interlocked.Read(ref _roundTrips);

    public static long BytesOf(RangeDigest[] digests) => (long)digests.Length * BytesOfDigest;

    public static long BytesOf(Entry[] entries)
    {
        long bytes = 0;
        foreach (var entry in entries)
            bytes += entry.Key.Bytes.Length + BytesOfEntry;
        return bytes;
    }

    public void RoundTrip() => Interlocked.Increment(ref _roundTrips);

    /// <summary>An answer of that many bytes came after that long; returns when the next may be asked for.</summary>
    public async Task TakeAsync(long bytes, TimeSpan took, CancellationToken cancel)
    {
        Interlocked.Add(ref _bytesRead, bytes);
        if (_whole is not null)
        {
            await _whole.TakeAsync(bytes, took, cancel);
            return;
        }

        TimeSpan wait;
        lock (_lock)
        {
            var ms = took.TotalMilliseconds;
            // It follows what is usual: down at once, up slowly.
            _usualMs = ms < _usualMs ? ms : _usualMs + (ms - _usualMs) / 64;
            wait = _bytes.Take((int)Math.Min(int.MaxValue, bytes));
            if (ms > MinSlowMs && ms > _usualMs * SlowFactor && took > wait)
                wait = took;
        }

        if (wait > TimeSpan.Zero)
            await Task.Delay(wait, _time, cancel);
    }
}
