using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>One pass over shards of an index, a few at a time, and how far it is.</summary>
internal sealed class PassRun(
    EntropyWorld world,
    ShardMending mending,
    ShardCertification certification,
    long id,
    string index,
    string kind,
    IReadOnlyList<ShardId> shards,
    IReadOnlyList<DivergenceView> plan
)
{
    private readonly Lock _lock = new();
    private readonly PassMeter _meter = new(world.Options, world.Time);
    private readonly List<ShardPassView> _done = [];
    private readonly List<DivergenceView> _documents = [];
    private readonly long _startedAtUnixMs = world.NowUnixMs;
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string _status = "Running";
    private string _reason = "";
    private long _finishedAtUnixMs;

    public long Id => id;

    public string Index => index;

    public string Kind => kind;

    public bool IsOver => _over.Task.IsCompleted;

    /// <summary>Completes when it is over, however it ended.</summary>
    public Task Over => _over.Task;

    /// <summary>Never throws.</summary>
    /// <param name="certified">Called after each shard that was certified.</param>
    public async Task RunAsync(Func<ShardReport, Task> certified, CancellationToken cancel)
    {
        try
        {
            var next = 0;
            var workers = Enumerable
                .Range(0, Math.Min(world.Options.MaxReadConcurrency, Math.Max(1, shards.Count)))
                .Select(async _ =>
                {
                    await Task.Yield();
                    while (Take() is { } shard)
                        await OneAsync(shard, certified, cancel);
                });
            await Task.WhenAll(workers);
            End("Done", "");

            ShardId? Take()
            {
                lock (_lock)
                    return next < shards.Count ? shards[next++] : null;
            }
        }
        catch (OperationCanceledException)
        {
            End("Failed", "the coordinator stopped, or leads no more");
        }
        catch (Exception e)
        {
            End("Failed", e.Message);
        }
    }

    public PassView View()
    {
        lock (_lock)
        {
            var elapsed = (_finishedAtUnixMs == 0 ? world.NowUnixMs : _finishedAtUnixMs) - _startedAtUnixMs;
            var remaining =
                _finishedAtUnixMs != 0 ? 0
                : _done.Count == 0 ? -1
                : elapsed * (shards.Count - _done.Count) / _done.Count;
            return new PassView(
                id,
                index,
                kind,
                _status,
                _reason,
                _startedAtUnixMs,
                _finishedAtUnixMs,
                shards.Count,
                remaining,
                [.. _done.OrderBy(shard => shard.Generation).ThenBy(shard => shard.Shard)],
                [.. _documents],
                _done.Aggregate(DivergenceCounts.Zero, (sum, shard) => sum.Plus(shard.Divergences)),
                _done.Sum(shard => shard.Repaired),
                _meter.BytesRead
            );
        }
    }

    private async Task OneAsync(ShardId shard, Func<ShardReport, Task> certified, CancellationToken cancel)
    {
        var report = new ShardReport(shard, world.Options.MaxNamed);
        var meter = new PassMeter(_meter);
        await new ShardPass(world, mending, certification, kind, plan, report, meter, cancel).RunAsync();
        if (report.IsCertified)
            await certified(report);
        lock (_lock)
        {
            _done.Add(report.ToView(meter));
            _documents.AddRange(report.Documents.Take(Math.Max(0, world.Options.MaxNamed - _documents.Count)));
        }
    }

    private void End(string status, string reason)
    {
        lock (_lock)
        {
            _status = status;
            _reason = reason;
            _finishedAtUnixMs = world.NowUnixMs;
        }

        _over.TrySetResult();
    }
}
