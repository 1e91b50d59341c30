using System.Diagnostics;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.AntiEntropy;
using Miroir.Server.Hosts;
using Miroir.Server.Node;

namespace Miroir.Benchmarks;

/// <summary>
/// What memory a whole merge takes: two streamed nodes behind their wire, both in this process, so that what waits on
/// either side of a connection counts.
/// </summary>
internal static class MergeMemory
{
    private const int ResidentSamples = 200;
    private const int HeapSamples = 10;

    /// <param name="ResidentMiB">The most that the process had, above what it had before.</param>
    /// <param name="HeapMiB">The most of live objects, after collections, above what there were before.</param>
    private readonly record struct Peak(double ResidentMiB, double HeapMiB, double Seconds);

    public static async Task RunAsync(bool isQuick, TextWriter output, CancellationToken cancel)
    {
        var table = new MarkdownTable("entries of each", "peak resident MiB", "peak heap MiB", "entries/s, both");
        long[] sizes = isQuick ? [10_000, 30_000, 100_000] : [1_000_000, 3_000_000, 10_000_000];
        // Compiled, and its pools filled, before anything counts.
        await MeasureAsync(sizes[0] / 4, cancel);
        foreach (var entries in sizes)
        {
            var peak = await MeasureAsync(entries, cancel);
            table.Add(
                MarkdownTable.Count(entries),
                $"{peak.ResidentMiB:F1}",
                $"{peak.HeapMiB:F1}",
                MarkdownTable.Count(2 * entries / peak.Seconds)
            );
        }

        output.WriteLine("The merge of two streamed replicas; nodes and merge in one process, over HTTP/2:");
        table.Print(output);
    }

    private static async Task<Peak> MeasureAsync(long entries, CancellationToken cancel)
    {
        await using var left = new HttpServer(BindAddress.AnyLoopbackPort);
        await using var right = new HttpServer(BindAddress.AnyLoopbackPort);
        using var nodes = new HttpNodeDirectory();
        var shard = new ShardId("streamed", 1, 0);
        async Task<Participant> Start(string name, HttpServer server)
        {
            var node = new StreamedNode(name, entries);
            await server.StartAsync(HttpProtocols.Http2, app => NodeEndpoints.Map(app, node), cancel);
            return new(new Replica(name, shard), new RouteStamp(shard, 1), nodes.Get(name, server.Address));
        }

        var options = new EntropyOptions { MaxBytesPerSecond = 0 };
        var group = new ReplicaGroup(
            [await Start("left", left), await Start("right", right)],
            options,
            new PassMeter(options, TimeProvider.System),
            TimeProvider.System,
            SystemEntropy.Instance,
            cancel
        );
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        var (resident, heap) = (Environment.WorkingSet, GC.GetTotalMemory(forceFullCollection: true));
        var (mostResident, mostHeap) = (0L, 0L);
        var started = Stopwatch.GetTimestamp();
        var keys = 0L;
        await foreach (var _ in group.MergeAsync([HashRange.Full]))
        {
            if (++keys % (entries / ResidentSamples) == 0)
                mostResident = Math.Max(mostResident, Environment.WorkingSet - resident);
            if (keys % (entries / HeapSamples) == 0)
                mostHeap = Math.Max(mostHeap, GC.GetTotalMemory(forceFullCollection: true) - heap);
        }

        if (keys != entries)
            throw new InvalidOperationException($"the merge had {keys} keys of {entries}");
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        await left.StopAsync();
        await right.StopAsync();
        return new Peak(mostResident / 1048576.0, mostHeap / 1048576.0, seconds);
    }
}
