using Microsoft.FSharp.Collections;
using Miroir.Core;

namespace Miroir.Runtime.Routing;

/// <summary>
/// The one writer of a shard for one term: its keys' queues, its versions, its open puts. It does nothing before its
/// barriers are confirmed, and nothing new once the term is over.
/// </summary>
internal sealed class ShardWriter
{
    private static readonly WriteVerdict _brokenOff = WriteVerdict.NewUnknown("the put broke off");

    private readonly RouterContext _context;
    private readonly Lock _lock = new();
    private readonly HashSet<WriteRun> _runs = [];
    private readonly CancellationTokenSource _ended = new();
    private readonly Signal _active = new();
    private Route _route;
    private bool _isCurrent = true;
    private volatile bool _isActive;

    public ShardWriter(RouterContext context, Route route)
    {
        _context = context;
        _route = route;
        Versions = new TermVersions(context, route.Writer.Term);
    }

    public KeyQueues Queues { get; } = new();

    public TermVersions Versions { get; }

    public Route Route
    {
        get
        {
            lock (_lock)
            {
                return _route;
            }
        }
    }

    /// <summary>Whether the newest route known still names this writer in this term.</summary>
    public bool IsCurrent
    {
        get
        {
            lock (_lock)
            {
                return _isCurrent;
            }
        }
    }

    /// <summary>True once the writer may begin; false where the term, or the token, ended first.</summary>
    public ValueTask<bool> WaitActiveAsync(CancellationToken cancel)
    {
        return _isActive ? new ValueTask<bool>(IsCurrent) : new ValueTask<bool>(WaitAsync());

        async Task<bool> WaitAsync()
        {
            return await _active.Arrives(cancel) && IsCurrent;
        }
    }

    /// <summary>The shard's route as it is now, of whatever writer.</summary>
    public void Advance(Route route)
    {
        WriteRun[] runs;
        var hasEnded = false;
        lock (_lock)
        {
            if (route.Epoch <= _route.Epoch)
            {
                return;
            }
            if (route.Stage.IsRetired || !route.Writer.Equals(_route.Writer))
            {
                hasEnded = _isCurrent;
                _isCurrent = false;
            }
            _route = route;
            runs = [.. _runs];
        }
        if (hasEnded)
        {
            EndTerm();
        }
        if (runs.Length > 0)
        {
            var input = WriteInput.NewRouteIs(route);
            foreach (var run in runs)
            {
                run.Feed(input);
            }
        }
    }

    /// <summary>Begins nothing more: deposed, or stopping. What is open goes on until its limit.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _isCurrent = false;
        }
        EndTerm();
    }

    /// <summary>The shard is no more: what is open will not be answered.</summary>
    public void Abandon()
    {
        WriteRun[] runs;
        lock (_lock)
        {
            _isCurrent = false;
            runs = [.. _runs];
        }
        EndTerm();
        foreach (var run in runs)
        {
            run.Feed(WriteInput.Deadline);
        }
    }

    /// <summary>Raises the barriers of the route, and of each newer one of the same term, until they are confirmed.</summary>
    public async Task ActivateAsync()
    {
        var backoff = _context.Backoff();
        while (IsCurrent)
        {
            var round = new ActivationRound(_context, Route);
            while (IsCurrent && Route.Epoch == round.Epoch)
            {
                if (await round.RaiseAsync(_ended.Token))
                {
                    _isActive = true;
                    _active.Set();
                    return;
                }
                await _context.DelayAsync(backoff.Next(), _ended.Token);
            }
        }
    }

    /// <summary>The end of the shard's feed, as far as this writer may say.</summary>
    public FeedBound Bound()
    {
        lock (_lock)
        {
            return _isActive && _isCurrent ? Versions.Bound(_route.Epoch) : FeedBound.NotTheWriter;
        }
    }

    /// <summary>Puts a version just given. What is not certain of it is remembered.</summary>
    public async ValueTask<WriteVerdict?> PutNewAsync(Document document, Deadline deadline)
    {
        // As long as nothing is known of it, what was sent may have landed.
        WriteVerdict? verdict = _brokenOff;
        try
        {
            verdict = await PutAsync(document, PutPurpose.NewVersion, deadline);
            return verdict;
        }
        finally
        {
            Versions.Decide(document, verdict);
        }
    }

    /// <summary>
    /// Puts back what a read in the key's queue found, or what was issued; false: read again, if there is time.
    /// </summary>
    /// <param name="isInFeed">Every reader of the feed that has passed its version has been given it.</param>
    public async ValueTask<bool> PutBackAsync(Document document, bool isInFeed, Deadline deadline)
    {
        if (!isInFeed && !await PlaceAsync(document, deadline))
        {
            return false;
        }
        _context.Counters.PutBack();
        var back = document.WithOrigin(Origin.ReadRepair);
        if (await PutAsync(back, PutPurpose.PutBack, deadline) is not WriteVerdict.Acknowledged)
        {
            return false;
        }
        Versions.Settle(document.Key, document.Version);
        return true;
    }

    /// <summary>
    /// Before a version of an ended term is made certain, gives it a place in the feed that no reader has passed. The caller
    /// holds the key. False: read again, if there is time.
    /// </summary>
    public async ValueTask<bool> PlaceAsync(Document document, Deadline deadline)
    {
        // This term's own hold the bound back until they are certain.
        if (document.Version.Term == Versions.Term || Mutants.noFreshPosition())
        {
            return true;
        }
        if (Versions.IssuedOf(document.Key) is not null)
        {
            // What was issued for the key since may still come, and stands before every place that is given now.
            await SettleAsync(document.Key, deadline);
            return false;
        }
        _context.Counters.Placed();
        var position = Versions.Next();
        var placed = Change.At(position, document.Entry);
        try
        {
            return await PutAsync(document, PutPurpose.PutBack, deadline, placed: placed) is WriteVerdict.Acknowledged;
        }
        finally
        {
            Versions.Spend(position);
        }
    }

    /// <summary>Puts a version everywhere that the stage says; null where the term was over before anything was sent.</summary>
    /// <param name="isResend">No client waits for it.</param>
    /// <param name="placed">Only into the change logs, as this.</param>
    private async ValueTask<WriteVerdict?> PutAsync(
        Document document,
        PutPurpose purpose,
        Deadline deadline,
        bool isResend = false,
        Change? placed = null
    )
    {
        var run = new WriteRun(_context, document, placed, purpose, isResend, deadline);
        FSharpList<WriteEffect> effects;
        lock (_lock)
        {
            if (!_isCurrent)
            {
                return null;
            }
            effects = run.Prepare(_route);
            _runs.Add(run);
        }
        try
        {
            return await run.RunAsync(effects);
        }
        finally
        {
            lock (_lock)
            {
                _runs.Remove(run);
            }
        }
    }

    /// <summary>The read in the key's queue; null where the term or the time was over first.</summary>
    public async ValueTask<Finding?> ReadAsync(Key key, Deadline deadline)
    {
        while (!deadline.IsOver && IsCurrent)
        {
            var route = Route;
            var verdict = await ReadRun.AtWriterAsync(_context, route, key, deadline);
            switch (verdict)
            {
                case ReadVerdict.Found found:
                    return found.Item;
                case ReadVerdict.StartAgain stale:
                    await _context.Follower.WaitForAsync(
                        table =>
                            table.TryRoute(route.Shard) is { IsValueSome: true, Value: var known }
                                ? known.Epoch >= stale.Epoch
                                : true,
                        deadline.Token
                    );
                    break;
            }
        }
        return null;
    }

    /// <summary>Sends what was issued and never acknowledged once more, each in its key's queue, a few at a time.</summary>
    public async Task SettleSomeAsync(int most, CancellationToken stop)
    {
        if (!IsCurrent)
        {
            return;
        }
        foreach (var known in Versions.Unsettled.Take(most))
        {
            var deadline = _context.Deadlines.Start(stop);
            try
            {
                if (!await Queues.EnterAsync(known.Key, deadline.Token))
                {
                    return;
                }
                try
                {
                    await SettleAsync(known.Key, deadline);
                }
                finally
                {
                    Queues.Leave(known.Key);
                }
            }
            finally
            {
                deadline.Release();
            }
        }
    }

    private async ValueTask SettleAsync(Key key, Deadline deadline)
    {
        if (
            Versions.IssuedOf(key) is { } issued
            && await PutAsync(issued, PutPurpose.NewVersion, deadline, isResend: true) is WriteVerdict.Acknowledged
        )
        {
            Versions.Settle(key, issued.Version);
        }
    }

    public WriteRun[] OpenRuns()
    {
        lock (_lock)
        {
            return [.. _runs.Where(static run => run.IsOpen)];
        }
    }

    private void EndTerm()
    {
        _ended.Cancel();
        _active.Set();
    }
}
