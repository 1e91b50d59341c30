using Microsoft.FSharp.Collections;
using Miroir.Core;

namespace Miroir.Runtime.Routing;

/// <summary>
/// The one writer of a shard for one term: its clock, its keys' queues, what it issued. It does nothing before its
/// barriers are confirmed, and nothing new once the term is over.
/// </summary>
internal sealed class ShardWriter
{
    private readonly RouterContext _context;
    private readonly Lock _lock = new();
    private readonly HashSet<WriteRun> _runs = [];
    private readonly CancellationTokenSource _ended = new();
    private readonly Signal _active = new();
    private Route _route;
    private bool _isCurrent = true;
    private volatile bool _isActive;
    private long _clock;
    private Issued _issued;

    public ShardWriter(RouterContext context, Route route)
    {
        _context = context;
        _route = route;
        _issued = Issued.Empty(context.Options.MaxUnsettledPerShard);
    }

    public KeyQueues Queues { get; } = new();

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

    public int UnsettledCount
    {
        get
        {
            lock (_lock)
            {
                return _issued.Count;
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

    public DocumentVersion NextVersion()
    {
        lock (_lock)
        {
            _clock = HybridClock.next(_clock, _context.Time.GetUtcNow().ToUnixTimeMilliseconds());
            return new DocumentVersion(_route.Writer.Term, _clock);
        }
    }

    /// <summary>Puts a version everywhere that the stage says; null where the term was over before anything was sent.</summary>
    /// <param name="isResend">No client waits for it.</param>
    public async ValueTask<WriteVerdict?> PutAsync(
        Document document,
        PutPurpose purpose,
        Deadline deadline,
        bool isResend = false
    )
    {
        var run = new WriteRun(_context, document, purpose, isResend, deadline);
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

    public bool HasRoomFor(Key key)
    {
        lock (_lock)
        {
            return _issued.HasRoomFor(key);
        }
    }

    public UpdateBase BaseOf(Key key, Finding finding)
    {
        lock (_lock)
        {
            return _issued.BaseOf(key, finding);
        }
    }

    /// <summary>Issued, and not acknowledged.</summary>
    public void Remember(Document document)
    {
        lock (_lock)
        {
            _issued = _issued.Remember(document);
        }
    }

    public void Settle(Key key, DocumentVersion acknowledged)
    {
        lock (_lock)
        {
            if (_issued.Count > 0)
            {
                _issued = _issued.Settle(key, acknowledged);
            }
        }
    }

    /// <summary>Sends what was issued and never acknowledged once more, each in its key's queue, a few at a time.</summary>
    public async Task SettleSomeAsync(int most, CancellationToken stop)
    {
        Document[] documents;
        lock (_lock)
        {
            documents = _isCurrent ? _issued.Documents : [];
        }
        foreach (var known in documents.Take(most))
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
                    Document? issued;
                    lock (_lock)
                    {
                        issued = _issued.TryFind(known.Key);
                    }
                    if (
                        issued is not null
                        && await PutAsync(issued, PutPurpose.NewVersion, deadline, isResend: true)
                            is WriteVerdict.Acknowledged
                    )
                    {
                        Settle(issued.Key, issued.Version);
                    }
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
