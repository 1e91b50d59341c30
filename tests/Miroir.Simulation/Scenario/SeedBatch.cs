using System.Diagnostics;

namespace Miroir.Simulation.Scenario;

/// <summary>Many runs, each on one thread from beginning to end, a few threads at once.</summary>
public static class SeedBatch
{
    /// <param name="isEnough">Asked before each further seed.</param>
    /// <param name="onResult">Called under a lock, in the order in which runs end.</param>
    public static TimeSpan Run<T>(
        long from,
        long seeds,
        int workers,
        Func<bool> isEnough,
        Func<long, T> run,
        Action<T> onResult
    )
    {
        var watch = Stopwatch.StartNew();
        var results = new Lock();
        var next = from - 1;
        void Work()
        {
            while (!isEnough() && Interlocked.Increment(ref next) is var seed && seed < from + seeds)
            {
                var result = run(seed);
                lock (results)
                {
                    onResult(result);
                }
            }
        }
        // A fault of the simulator itself: thrown where it is noticed, not on a thread where it ends the process.
        List<Exception> faults = [];
        Thread[] threads =
        [
            .. Enumerable
                .Range(1, workers)
                .Select(_ => new Thread(() =>
                {
                    try
                    {
                        Work();
                    }
                    catch (Exception e)
                    {
                        lock (results)
                        {
                            faults.Add(e);
                        }
                    }
                })),
        ];
        foreach (var thread in threads)
        {
            thread.Start();
        }
        foreach (var thread in threads)
        {
            thread.Join();
        }
        return faults.Count == 0 ? watch.Elapsed : throw new AggregateException(faults);
    }
}
