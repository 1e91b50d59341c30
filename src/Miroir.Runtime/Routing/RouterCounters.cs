using Miroir.Core;

namespace Miroir.Runtime.Routing;

/// <summary>Puts that one node failed to take for one moving shard.</summary>
public readonly record struct DualWriteFailures(string Node, ShardId Shard, long Count);

/// <summary>The counters at one moment. All but the first count since the router started.</summary>
public sealed record RouterCountersSnapshot
{
    /// <summary>Operations open now.</summary>
    public required long InFlight { get; init; }
    public required long Writes { get; init; }
    public required long WritesUnknown { get; init; }
    public required long WritesRejected { get; init; }
    public required long Reads { get; init; }

    /// <summary>Confirmed reads that asking alone could not confirm.</summary>
    public required long ReadsPassedToWriter { get; init; }

    /// <summary>Versions put back to a write quorum by a read.</summary>
    public required long PutBacks { get; init; }

    /// <summary>Rounds in which refused or unanswered puts went out again.</summary>
    public required long Retries { get; init; }

    /// <summary>Answers of nodes that follow a newer epoch.</summary>
    public required long StaleEpochs { get; init; }

    /// <summary>Puts and reads that a node refused.</summary>
    public required long Refusals { get; init; }

    /// <summary>Puts and reads that no answer came to.</summary>
    public required long Unanswered { get; init; }
    public required long Forwarded { get; init; }

    /// <summary>Puts inspected because their writer's term ended.</summary>
    public required long Inspections { get; init; }

    /// <summary>Of these, handed to the router that writes for the key now.</summary>
    public required long HandOvers { get; init; }

    /// <summary>Events given to readers of change feeds.</summary>
    public required long FeedEvents { get; init; }

    /// <summary>Versions of ended terms that were given a new place in the change feed.</summary>
    public required long FeedPlacements { get; init; }

    /// <summary>Failed puts on targets of moves, by node and shard.</summary>
    public required IReadOnlyList<DualWriteFailures> DualWriteFailures { get; init; }
}

/// <summary>What a router counts, for metrics and status.</summary>
public sealed class RouterCounters
{
    private readonly Lock _lock = new();
    private readonly List<DualWriteFailures> _dualWrite = [];
    private long _inFlight;
    private long _writes;
    private long _unknown;
    private long _rejected;
    private long _reads;
    private long _passed;
    private long _putBacks;
    private long _retries;
    private long _stale;
    private long _refusals;
    private long _unanswered;
    private long _forwarded;
    private long _inspections;
    private long _handOvers;
    private long _feedEvents;
    private long _feedPlacements;

    public RouterCountersSnapshot Snapshot()
    {
        DualWriteFailures[] failures;
        lock (_lock)
        {
            failures = [.. _dualWrite];
        }
        return new RouterCountersSnapshot
        {
            InFlight = Interlocked.Read(ref _inFlight),
            Writes = Interlocked.Read(ref _writes),
            WritesUnknown = Interlocked.Read(ref _unknown),
            WritesRejected = Interlocked.Read(ref _rejected),
            Reads = Interlocked.Read(ref _reads),
            ReadsPassedToWriter = Interlocked.Read(ref _passed),
            PutBacks = Interlocked.Read(ref _putBacks),
            Retries = Interlocked.Read(ref _retries),
            StaleEpochs = Interlocked.Read(ref _stale),
            Refusals = Interlocked.Read(ref _refusals),
            Unanswered = Interlocked.Read(ref _unanswered),
            Forwarded = Interlocked.Read(ref _forwarded),
            Inspections = Interlocked.Read(ref _inspections),
            HandOvers = Interlocked.Read(ref _handOvers),
            FeedEvents = Interlocked.Read(ref _feedEvents),
            FeedPlacements = Interlocked.Read(ref _feedPlacements),
            DualWriteFailures = failures,
        };
    }

    internal bool TryOpen(int limit)
    {
        if (Interlocked.Increment(ref _inFlight) <= limit)
        {
            return true;
        }
        Interlocked.Decrement(ref _inFlight);
        return false;
    }

    internal void Close() => Interlocked.Decrement(ref _inFlight);

    internal void Outcome(WriteOutcome outcome)
    {
        Interlocked.Increment(ref _writes);
        if (outcome.IsUnknown)
        {
            Interlocked.Increment(ref _unknown);
        }
        else if (outcome.IsRejected)
        {
            Interlocked.Increment(ref _rejected);
        }
    }

    internal void Read() => Interlocked.Increment(ref _reads);

    internal void PassedToWriter() => Interlocked.Increment(ref _passed);

    internal void PutBack() => Interlocked.Increment(ref _putBacks);

    internal void Retry() => Interlocked.Increment(ref _retries);

    internal void Stale() => Interlocked.Increment(ref _stale);

    internal void Refused() => Interlocked.Increment(ref _refusals);

    internal void Unanswered() => Interlocked.Increment(ref _unanswered);

    internal void Forwarded(int count) => Interlocked.Add(ref _forwarded, count);

    internal void Fed(int count) => Interlocked.Add(ref _feedEvents, count);

    internal void Placed() => Interlocked.Increment(ref _feedPlacements);

    internal void HandedOver() => Interlocked.Increment(ref _handOvers);

    internal void Inspected() => Interlocked.Increment(ref _inspections);

    /// <summary>Bounded by what exists: nodes times moving shards.</summary>
    internal void DualWriteFailed(string node, ShardId shard)
    {
        lock (_lock)
        {
            for (var i = 0; i < _dualWrite.Count; i++)
            {
                var known = _dualWrite[i];
                if (known.Shard.Equals(shard) && string.Equals(known.Node, node, StringComparison.Ordinal))
                {
                    _dualWrite[i] = known with { Count = known.Count + 1 };
                    return;
                }
            }
            _dualWrite.Add(new DualWriteFailures(node, shard, 1));
        }
    }
}
