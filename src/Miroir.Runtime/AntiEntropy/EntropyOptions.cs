using Miroir.Ports;
using Miroir.Runtime.Nodes;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>Bounds and defaults of anti-entropy. Times in milliseconds.</summary>
public sealed record EntropyOptions
{
    /// <summary>False: nothing runs by itself; what an operator asks for still does.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>Five-field cron.</summary>
    public string Schedule { get; init; } = "0 */6 * * *";

    public TimeZoneInfo Zone { get; init; } = TimeZoneInfo.Utc;

    /// <summary>Shards of one scheduled pass, those certified longest ago first; 0: all.</summary>
    public int ShardsPerPass { get; init; }

    /// <summary>Shards that are compared at once.</summary>
    public int MaxReadConcurrency { get; init; } = 2;

    /// <summary>Entries of a page (`fingerprint_batch_size`).</summary>
    public int BatchEntries { get; init; } = 1000;

    /// <summary>False: scheduled passes report only, and migrations wait for their certificates until an operator asks for a run.</summary>
    public bool AutoRepair { get; init; } = true;

    /// <summary>A differing range in which no replica has more entries is merged at once, not descended into.</summary>
    public int MergeEntries { get; init; } = 64;

    /// <summary>Ranges whose digests are asked for in one call.</summary>
    public int RangesPerCall { get; init; } = 4096;

    /// <summary>The pause before a difference is looked at again.</summary>
    public int SettleMs { get; init; } = 1_000;

    /// <summary>A difference whose highest version is older needs no pause: no write of it is on its way any more.</summary>
    public int SettledAgeMs { get; init; } = 60_000;

    /// <summary>Looks at a document that is written all the while, before it is called different.</summary>
    public int MaxLooks { get; init; } = 4;

    /// <summary>Differences that are settled and repaired together; the merge waits meanwhile.</summary>
    public int RoundKeys { get; init; } = 20_000;

    /// <summary>Keys in one call to a writer.</summary>
    public int RepairKeys { get; init; } = 2_000;

    /// <summary>Bytes read of nodes in a second, over a whole pass; 0: no limit.</summary>
    public int MaxBytesPerSecond { get; init; } = 128 << 20;

    /// <summary>Bytes of bodies that one call of a scrub reads.</summary>
    public long ScrubBytes { get; init; } = 8 << 20;

    /// <summary>Longest wait for one answer of a node or a writer.</summary>
    public int CallTimeoutMs { get; init; } = 10_000;

    /// <summary>How often the same call is made before it is given up.</summary>
    public int Attempts { get; init; } = 5;

    /// <summary>Documents that a pass names; the counts are of all.</summary>
    public int MaxNamed { get; init; } = 10_000;

    /// <summary>Finished passes that are remembered.</summary>
    public int MaxHistory { get; init; } = 500;

    /// <summary>Passes that run or wait at once.</summary>
    public int MaxPasses { get; init; } = 16;

    /// <summary>How often the schedule, waiting migrations and lost replicas are looked after.</summary>
    public int TickMs { get; init; } = 1_000;

    /// <summary>Nodes are asked for lost replicas at every so many of these.</summary>
    public int TicksPerRebuildCheck { get; init; } = 5;

    /// <summary>The wait before the second try of a call; it doubles with each.</summary>
    private const int RetryMs = 20;

    internal Patience Patience(TimeProvider time, IEntropy entropy) =>
        new(Attempts, TimeSpan.FromMilliseconds(CallTimeoutMs), TimeSpan.FromMilliseconds(RetryMs), time, entropy);
}
