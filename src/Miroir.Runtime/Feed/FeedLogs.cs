using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Routing;

namespace Miroir.Runtime.Feed;

/// <summary>
/// Reads the change logs of a part's replicas under its route, of a write quorum of every set at least: a write that was
/// acknowledged is in one of these logs, and none that is not can be acknowledged later under an older epoch, for the nodes
/// that answered do not admit it any more.
/// </summary>
internal sealed class FeedLogs(RouterContext context)
{
    // Beyond so many it is forgotten which are fenced, and they are fenced again: replicas come and go for ever.
    private const int MaxFenced = 4_096;

    private readonly Lock _lock = new();

    // By replica, the route under which the routes that ended in it were fenced there.
    private readonly Dictionary<Replica, RouteStamp> _fenced = [];

    /// <summary>Takes what the logs have next, so many changes at most; says in the part why not. A floor where it is too late.</summary>
    public async Task<DocumentVersion?> ReadAsync(FeedPart part, int most, CancellationToken cancel)
    {
        var reading = new Reading(part.Route, part.Range.Lo);
        using var limit = new CancellationTokenSource(
            TimeSpan.FromMilliseconds(context.Options.AttemptTimeoutMs),
            context.Time
        );
        using var link = cancel.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), limit);
        foreach (var replica in reading.Replicas)
        {
            var command = new ChangesCommand(
                part.Route.Stamp,
                replica.Store,
                part.Range,
                part.Position,
                part.Through,
                most
            );
            _ = AskAsync(reading, replica, command, limit.Token);
        }
        await reading.IsOver.Arrives(limit.Token);
        // Whoever has not answered by now is not waited for.
        limit.Cancel();
        var (pages, why) = reading.End();
        if (pages is null)
        {
            part.Fail($"shard {part.Route.Stamp}: too few replicas gave their change log: {why}");
            return null;
        }
        var cut = FeedMerge.cut(part.Range, part.Position, part.Through, most, pages);
        switch (cut.IsError ? cut.ErrorValue : null)
        {
            case null:
                part.Take(cut.ResultValue);
                return null;
            case FeedFault.TooOld tooOld:
                return tooOld.Floor;
            case FeedFault.Disordered disordered:
                context.Log($"change log of {part.Route.Stamp}: {disordered.Node} sent {disordered.Why}");
                part.Fail($"shard {part.Route.Stamp}: {disordered.Node} sent {disordered.Why}");
                return null;
            case var fault:
                part.Fail($"{fault}");
                return null;
        }
    }

    private async Task AskAsync(Reading reading, Replica replica, ChangesCommand command, CancellationToken cancel)
    {
        ChangesPage? page = null;
        var why = "is not known";
        try
        {
            if (context.Node(replica.Node) is { } node)
            {
                (page, why) = await FenceAsync(node, reading.Route, replica, cancel)
                    ? Told(await node.Changes(command, cancel))
                    : (null, "has not confirmed that the routes before this one are over");
            }
        }
        catch (Exception e)
        {
            // No answer is none; that the limit is over is no news.
            why = e is OperationCanceledException ? "did not answer in time" : e.Message;
            context.Counters.Unanswered();
        }
        finally
        {
            reading.Answered(replica, page, why);
        }
    }

    private (ChangesPage?, string) Told(ChangesReply reply)
    {
        switch (reply)
        {
            case ChangesReply.Changes changes:
                return (changes.Item, "");
            case ChangesReply.ChangesStaleEpoch stale:
                context.Counters.Stale();
                if (stale.Route is { } newer)
                {
                    context.Follower.Adopt(newer.Value);
                }
                return (null, $"follows epoch {stale.Epoch}");
            case ChangesReply.ChangesRefused refused:
                context.Counters.Refused();
                return (null, refused.Item.Message);
            default:
                context.Counters.Refused();
                return (null, "does not serve the shard");
        }
    }

    /// <summary>
    /// A put under a route that ended in this one could still land here, and be acknowledged, behind the reader: it is barred
    /// first, as the shard's writer has done at some of the replicas.
    /// </summary>
    private async Task<bool> FenceAsync(INode node, Route route, Replica replica, CancellationToken cancel)
    {
        if (route.Fences.Length == 0 || Mutants.feedFencesLeftOut())
        {
            return true;
        }
        lock (_lock)
        {
            if (_fenced.TryGetValue(replica, out var stamp) && stamp.Equals(route.Stamp))
            {
                return true;
            }
        }
        var replies = await node.RaiseBarriers(
            [.. route.Fences.Select(fence => new BarrierCommand(fence, replica.Store, null))],
            cancel
        );
        if (!replies.All(static reply => reply is BarrierReply.Confirmed or BarrierReply.BarrierAbove))
        {
            return false;
        }
        lock (_lock)
        {
            if (_fenced.Count >= MaxFenced)
            {
                _fenced.Clear();
            }
            _fenced[replica] = route.Stamp;
        }
        return true;
    }

    /// <summary>The answers to one question to all replicas.</summary>
    private sealed class Reading(Route route, ulong hash)
    {
        private readonly Lock _lock = new();
        private readonly Replica[][] _sets = route.Plan(hash).Quorums;
        private readonly List<(Replica Replica, FeedPage Page)> _pages = [];
        private readonly List<string> _troubles = [];
        private int _answers;

        public Route Route => route;

        public Replica[] Replicas { get; } = [.. route.Plan(hash).Quorums.SelectMany(static set => set).Distinct()];

        public Signal IsOver { get; } = new();

        public void Answered(Replica replica, ChangesPage? page, string why)
        {
            lock (_lock)
            {
                _answers++;
                if (page is null)
                {
                    _troubles.Add($"{replica.Node} {why}");
                }
                else
                {
                    _pages.Add((replica, new FeedPage(replica.Node, page)));
                }
                if (_answers < Replicas.Length && !IsEnough)
                {
                    return;
                }
            }
            IsOver.Set();
        }

        public (FeedPage[]? Pages, string Why) End()
        {
            lock (_lock)
            {
                return IsEnough
                    ? ([.. _pages.Select(static one => one.Page)], "")
                    : (null, string.Join("; ", _troubles));
            }
        }

        private bool IsEnough =>
            _sets.Length > 0
            && Array.TrueForAll(
                _sets,
                set =>
                    set.Count(replica => _pages.Exists(one => one.Replica.Equals(replica))) >= Quorum.write(set.Length)
            );
    }
}
