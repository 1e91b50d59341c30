using System.Diagnostics;
using Miroir.Chaos.Demo;

namespace Miroir.Benchmarks;

/// <summary>What so many clients did, each sending its next operation when the one before it was answered.</summary>
internal readonly record struct LoopResult(double PerSecond, LatencySummary Latency)
{
    public static async Task<LoopResult> RunAsync(int clients, TimeSpan length, Func<Random, Task> operate)
    {
        var clock = Stopwatch.StartNew();
        var samples = await Task.WhenAll(Enumerable.Range(0, clients).Select(ClientAsync));
        var seconds = clock.Elapsed.TotalSeconds;
        var all = samples.SelectMany(own => own).ToList();
        return new(all.Count / seconds, LatencySummary.Of(all));

        async Task<List<Sample>> ClientAsync(int client)
        {
            await Task.Yield();
            var random = new Random(client);
            List<Sample> own = [];
            while (clock.Elapsed < length)
            {
                var from = clock.Elapsed.TotalMilliseconds;
                await operate(random);
                own.Add(new Sample(from, clock.Elapsed.TotalMilliseconds, true));
            }

            return own;
        }
    }
}
