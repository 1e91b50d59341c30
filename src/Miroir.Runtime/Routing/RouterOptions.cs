namespace Miroir.Runtime.Routing;

/// <summary>What a router is told when it starts. Every wait and every queue of it is bounded by one of these.</summary>
public sealed record RouterOptions
{
    /// <summary>Its name in the cluster; the same after a restart.</summary>
    public required string Name { get; init; }

    /// <summary>Base address at which other routers reach it; "" where there are none.</summary>
    public required string Address { get; init; }

    /// <summary>Milliseconds that one document's write or read may take, waits for routes and queues included.</summary>
    public int OperationTimeoutMs { get; init; } = 10_000;

    /// <summary>
    /// Milliseconds that one document's repair may take. Who asks for a batch of them waits as long as an operation may
    /// take: one that can't be made must not leave it without an answer for all.
    /// </summary>
    public int RepairTimeoutMs { get; init; } = 5_000;

    /// <summary>Milliseconds after which a node's missing answer counts as none, and the put goes out again.</summary>
    public int AttemptTimeoutMs { get; init; } = 2_000;

    /// <summary>Milliseconds that a confirmed read asks the replicas before it is passed to the writer.</summary>
    public int ReadPatienceMs { get; init; } = 1_000;

    /// <summary>Operations open at once; more are refused as overload.</summary>
    public int MaxOpenOperations { get; init; } = 65_536;

    /// <summary>Documents of one batch in flight at once.</summary>
    public int MaxBatchInFlight { get; init; } = 512;

    /// <summary>Keys of one shard with an issued but unacknowledged version; a write of yet another key is refused.</summary>
    public int MaxUnsettledPerShard { get; init; } = 4_096;

    /// <summary>Milliseconds between two heartbeats to the coordinator.</summary>
    public int HeartbeatMs { get; init; } = 200;

    /// <summary>Milliseconds that one question to the coordinator may take (a watch may rest twice as long).</summary>
    public int CoordinatorTimeoutMs { get; init; } = 5_000;

    /// <summary>Milliseconds of the first wait before a retry; it doubles up to <see cref="MaxRetryMs"/>.</summary>
    public int FirstRetryMs { get; init; } = 5;

    /// <summary>Milliseconds of the longest wait between two retries.</summary>
    public int MaxRetryMs { get; init; } = 500;

    /// <summary>Throws where a value makes no sense: which one, and what was expected.</summary>
    public void Validate()
    {
        ArgumentException.ThrowIfNullOrEmpty(Name);
        ArgumentNullException.ThrowIfNull(Address);
        Positive(OperationTimeoutMs, nameof(OperationTimeoutMs));
        Positive(RepairTimeoutMs, nameof(RepairTimeoutMs));
        Positive(AttemptTimeoutMs, nameof(AttemptTimeoutMs));
        Positive(ReadPatienceMs, nameof(ReadPatienceMs));
        Positive(MaxOpenOperations, nameof(MaxOpenOperations));
        Positive(MaxBatchInFlight, nameof(MaxBatchInFlight));
        Positive(MaxUnsettledPerShard, nameof(MaxUnsettledPerShard));
        Positive(HeartbeatMs, nameof(HeartbeatMs));
        Positive(CoordinatorTimeoutMs, nameof(CoordinatorTimeoutMs));
        Positive(FirstRetryMs, nameof(FirstRetryMs));
        Positive(MaxRetryMs, nameof(MaxRetryMs));
    }

    private static void Positive(int value, string name)
    {
        if (value < 1)
        {
            throw new ArgumentOutOfRangeException(name, value, "must be 1 or more");
        }
    }
}
