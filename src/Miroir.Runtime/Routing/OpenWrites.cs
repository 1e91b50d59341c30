using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;

namespace Miroir.Runtime.Routing;

/// <summary>What an operator, and a drain, want to know of the writes that have no outcome yet.</summary>
internal sealed class OpenWrites(RouterContext context, ShardWriters writers)
{
    /// <summary>A drain's question rests this long at most: shorter than the asker's patience.</summary>
    private const int DrainRestMs = 1_000;

    /// <summary>Every put that is not acknowledged yet, oldest first.</summary>
    public OpenWriteView[] All() =>
        [
            .. writers
                .All()
                .SelectMany(static writer => writer.OpenRuns())
                .Select(static run => run.Describe())
                .OrderByDescending(static write => write.AgeMs),
        ];

    /// <summary>
    /// Their clients are told that the outcome is unknown. What such a write left on a node may still be found by the
    /// shard's writer, and completed; so the writer goes on remembering the version, as after any other unknown outcome.
    /// </summary>
    public OpenWriteView[] GiveUp(FailWritesRequest request)
    {
        List<OpenWriteView> given = [];
        foreach (var writer in writers.All())
        {
            foreach (var run in writer.OpenRuns())
            {
                if (!run.IsClients || run.Key.Text != request.DocId)
                {
                    continue;
                }
                var write = run.Describe();
                if (request.Index != "" && write.Index != request.Index)
                {
                    continue;
                }
                context.Log(
                    $"given up by an operator ({request.Reason}): write {write.OperationId} of {write.Index} `{write.Key}`, "
                        + $"version {write.Version}, shard {write.Generation}/{write.Shard}, open for {write.AgeMs} ms, "
                        + $"held by [{string.Join(", ", write.Answered)}], not by [{string.Join(", ", write.Missing)}]"
                );
                run.Feed(WriteInput.NewGivenUp($"given up by an operator: {request.Reason}"));
                given.Add(write);
            }
        }
        return [.. given];
    }

    /// <summary>Writes that began before this epoch: waits for the last of them, a second at most.</summary>
    public async Task<Core.Cutover.OpenWrites> DrainAsync(RouteStamp stamp, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(DrainRestMs), context.Time);
        using var link = cancel.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), limit);
        // Before the epoch is in the table, more such writes may begin.
        await context.Follower.WaitForAsync(
            table =>
                table.TryRoute(stamp.Shard) is not { IsValueSome: true, Value: var route }
                || route.Epoch >= stamp.Epoch,
            limit.Token
        );
        var backoff = context.Backoff();
        while (true)
        {
            var older = Older(stamp);
            if (older.Count == 0 || !await context.DelayAsync(backoff.Next(), limit.Token))
            {
                return older;
            }
        }
    }

    private Core.Cutover.OpenWrites Older(RouteStamp stamp)
    {
        var ages =
            writers
                .Of(stamp.Shard)
                ?.OpenRuns()
                .Where(run => run.IsClients && run.BegunEpoch < stamp.Epoch)
                .Select(static run => run.AgeMs)
                .ToArray()
            ?? [];
        return new(ages.Length, ages.DefaultIfEmpty(0).Max());
    }
}
