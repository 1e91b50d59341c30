using System.Collections.Concurrent;
using System.Diagnostics;
using Miroir.Chaos.Demo;

namespace Miroir.Benchmarks;

/// <summary>
/// Clients that each do one operation at a time and together aim at a rate. An operation that began late, since the one
/// before it took so long, is timed from when it was due; a client is never behind by more than one operation, so that
/// a rate which the machine can't give does not become a backlog that grows for ever.
/// </summary>
/// <param name="operate">One operation of the client of that number; true where it wrote.</param>
internal sealed class PacedLoad(int clients, int ratePerSecond, Func<int, Random, Task<bool>> operate)
{
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly ConcurrentQueue<Sample> _samples = new();
    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;

    public double NowMs => _clock.Elapsed.TotalMilliseconds;

    public IReadOnlyList<Sample> Samples => [.. _samples];

    public void Start() => _running = Task.WhenAll(Enumerable.Range(0, clients).Select(RunAsync));

    /// <exception cref="InvalidOperationException">An operation failed so that the measurement says nothing.</exception>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running;
    }

    /// <summary>What ended or was under way in a stretch of time.</summary>
    public LatencySummary Between(double fromMs, double toMs) =>
        LatencySummary.Of(_samples.Where(sample => sample.EndMs >= fromMs && sample.StartMs <= toMs));

    private async Task RunAsync(int client)
    {
        await Task.Yield();
        var random = new Random(client);
        var periodMs = 1000.0 * clients / ratePerSecond;
        var due = NowMs + random.NextDouble() * periodMs;
        while (!_stop.IsCancellationRequested)
        {
            var wait = due - NowMs;
            if (wait > 0)
                await Task.Delay(TimeSpan.FromMilliseconds(wait));
            var started = wait > 0 ? NowMs : due;
            var isWrite = await operate(client, random);
            _samples.Enqueue(new Sample(started, NowMs, isWrite));
            due = Math.Max(due + periodMs, NowMs - periodMs);
        }
    }
}
