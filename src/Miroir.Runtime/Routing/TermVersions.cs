using Miroir.Core;

namespace Miroir.Runtime.Routing;

/// <summary>
/// The versions that a shard's writer gives in its term: its clock, those that nothing is known of yet, and those that were
/// issued and never acknowledged.
/// </summary>
internal sealed class TermVersions(RouterContext context, long term)
{
    private readonly Lock _lock = new();
    private readonly SortedSet<long> _undecided = [];
    private Issued _issued = Issued.Empty(context.Options.MaxUnsettledPerShard);
    private long _clock;
    private long _newest;

    public long Term => term;

    /// <summary>Keys with a version that was issued and not acknowledged.</summary>
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

    public Document[] Unsettled
    {
        get
        {
            lock (_lock)
            {
                return _issued.Documents;
            }
        }
    }

    /// <summary>The next version. It holds the feed's bound back until it is decided.</summary>
    public DocumentVersion Next()
    {
        lock (_lock)
        {
            _newest = Tick();
            _undecided.Add(_newest);
            return new DocumentVersion(term, _newest);
        }
    }

    /// <summary>What became of a document's put; null where nothing was sent.</summary>
    public void Decide(Document document, WriteVerdict? verdict)
    {
        lock (_lock)
        {
            switch (verdict)
            {
                // Not remembered: what is told to be certainly not written must never be sent again.
                case null or WriteVerdict.DiskFull:
                    break;
                case WriteVerdict.Acknowledged:
                    _issued = _issued.Settle(document.Key, document.Version);
                    break;
                default:
                    _issued = _issued.Remember(document);
                    break;
            }
            _undecided.Remove(document.Version.Clock);
        }
    }

    /// <summary>No document has this version, and none will.</summary>
    public void Spend(DocumentVersion version)
    {
        lock (_lock)
        {
            _undecided.Remove(version.Clock);
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

    public Document? IssuedOf(Key key)
    {
        lock (_lock)
        {
            return _issued.TryFind(key);
        }
    }

    /// <summary>Nothing at or below what it says is still to come from this writer.</summary>
    public FeedBound Bound(long epoch)
    {
        lock (_lock)
        {
            // The next version is above it.
            _clock = Tick();
            var settled = _clock;
            if (_undecided.Count > 0 && !Mutants.boundIgnoresUndecided())
            {
                settled = Math.Min(settled, _undecided.Min - 1);
            }
            if (_issued.Since is { IsValueSome: true, Value: var since } && !Mutants.boundIgnoresUndecided())
            {
                settled = Math.Min(settled, since.Clock - 1);
            }
            var newest = _newest == 0 ? DocumentVersion.Zero : new DocumentVersion(term, _newest);
            return FeedBound.NewBound(epoch, new DocumentVersion(term, settled), newest);
        }
    }

    private long Tick() => _clock = HybridClock.next(_clock, context.Time.GetUtcNow().ToUnixTimeMilliseconds());
}
