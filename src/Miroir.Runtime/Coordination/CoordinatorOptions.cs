using Miroir.Core.Cutover;
using Miroir.Runtime.AntiEntropy;

namespace Miroir.Runtime.Coordination;

/// <summary>Bounds and defaults of a coordinator. Times in milliseconds.</summary>
public sealed record CoordinatorOptions
{
    public int DefaultShards { get; init; } = 16;
    public int DefaultReplication { get; init; } = 1;

    /// <summary>What a migration starts with; its throttle comes with the command.</summary>
    public Limits MigrationLimits { get; init; } = Limits.Default;

    public EntropyOptions AntiEntropy { get; init; } = new();

    /// <summary>Migrations that run at once.</summary>
    public int MaxConcurrentMigrations { get; init; } = 4;

    /// <summary>A router that was silent for longer loses its shards' writes to another.</summary>
    public int RouterSilenceMs { get; init; } = 750;

    /// <summary>A router whose connection broke is asked once whether it lives; longest wait for the answer.</summary>
    public int ProbeTimeoutMs { get; init; } = 250;

    /// <summary>How often writers are looked after.</summary>
    public int TickMs { get; init; } = 50;

    /// <summary>How often what is left to be made or dropped is tried again.</summary>
    public int TidyMs { get; init; } = 500;

    /// <summary>After its start a coordinator waits this long for routers that it has not heard of yet.</summary>
    public int GraceMs { get; init; } = 1500;

    /// <summary>Longest wait of one long poll for routes.</summary>
    public int WatchMs { get; init; } = 10_000;

    /// <summary>Longest wait for a node's answer.</summary>
    public int NodeCallTimeoutMs { get; init; } = 5_000;

    /// <summary>Longest wait for a node's status.</summary>
    public int StatusTimeoutMs { get; init; } = 5_000;

    public int ReconcileSilenceTimeoutMs { get; init; } = 15_000;
    public int ProgressEveryMs { get; init; } = 500;

    /// <summary>Longest wait for all stores of a new index to be made.</summary>
    public int CreateIndexTimeoutMs { get; init; } = 10_000;
}
