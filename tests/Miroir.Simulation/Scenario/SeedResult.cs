namespace Miroir.Simulation.Scenario;

/// <summary>What one seed came to.</summary>
public sealed record SeedResult(long Seed)
{
    /// <summary>What was wrong, for a person; empty where nothing was.</summary>
    public required IReadOnlyList<string> Violations { get; init; }

    /// <summary>By class: lost, stale, resurrected, duplicated, orphaned, undecided, unfed, misfed; and wedged, leftover, escaped, failed, vacuous.</summary>
    public required IReadOnlyDictionary<string, long> Wrong { get; init; }

    public required IReadOnlyDictionary<string, long> Faults { get; init; }
    public required long Operations { get; init; }
    public required long Acknowledged { get; init; }
    public required long Completed { get; init; }
    public required long Aborted { get; init; }
    public required long FellBack { get; init; }
    public required long DeltaCopied { get; init; }

    /// <summary>Events that consumers of change feeds were given.</summary>
    public required long FeedEvents { get; init; }

    /// <summary>Of these, those that they had been given before.</summary>
    public required long FeedDuplicates { get; init; }

    /// <summary>Of all migrations, in the order in which they were first passed.</summary>
    public required IReadOnlyList<string> Phases { get; init; }

    public required TimeSpan VirtualTime { get; init; }
    public required long Steps { get; init; }
    public required ulong TraceHash { get; init; }
    public required IReadOnlyList<string> Story { get; init; }

    public bool IsRight => Violations.Count == 0;
}
