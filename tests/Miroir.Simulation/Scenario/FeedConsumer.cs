using Miroir.Core;
using Miroir.Ports;
using Miroir.Simulation.Kernel;
using Miroir.Simulation.Network;

namespace Miroir.Simulation.Scenario;

/// <summary>Follows the change feed of an index from its beginning, through whichever routers, one question at a time.</summary>
public sealed class FeedConsumer(
    SimNetwork network,
    SimProcess process,
    SimIndex index,
    Func<IReadOnlyList<string>> routers,
    Findings findings
)
{
    private const double RestMs = 1_000;
    private const int WaitMs = 300;
    private static readonly int[] Limits = [5, 50, 500];
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private string? _cursor;

    /// <summary>Until told to stop.</summary>
    public async Task RunAsync(Func<bool> isOver)
    {
        while (!isOver())
        {
            await ReadAsync();
            await Task.Delay(TimeSpan.FromMilliseconds(process.Entropy.NextDouble() * 2 * RestMs), process.Time);
        }
    }

    private async Task ReadAsync()
    {
        var router = Pick(routers());
        var request = new FeedRequest(index.Uid, _cursor, FeedStart.Oldest, Pick(Limits), false, WaitMs);
        using var limit = new CancellationTokenSource(Patience, process.Time);
        AdminReply<FeedBatch> reply;
        try
        {
            reply = await network.Call(
                process,
                router,
                "feed",
                true,
                (service, cancel) => ((IChangeFeed)service).Read(request, cancel),
                limit.Token
            );
        }
        catch (Exception e) when (e is UnreachableException or OperationCanceledException)
        {
            // Not answered: the same question again.
            return;
        }
        if (reply.IsOk)
        {
            _cursor = reply.Value.Cursor;
            foreach (var given in reply.Value.Events)
            {
                index.Feed.Take(given, findings);
                network.Kernel.Trace.Add(
                    7,
                    network.Kernel.Now,
                    given.Change.Position.Clock,
                    given.Change.Version.Clock
                );
            }
        }
        else if (reply.Code is not ("feed_unavailable" or "index_not_found"))
        {
            findings.Add("misfed", $"the feed of {index.Uid} answers {reply.Code}: {reply.Message}");
        }
    }

    private T Pick<T>(IReadOnlyList<T> among) => among[(int)(process.Entropy.NextDouble() * among.Count)];
}
