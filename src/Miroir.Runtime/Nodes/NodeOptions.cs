namespace Miroir.Runtime.Nodes;

/// <summary>A node's name and its bounds. Every queue and every wait of a <see cref="NodeService"/> has one here.</summary>
public sealed record NodeOptions(string Name, string Version)
{
    /// <summary>Calls that put, at once.</summary>
    public int MaxConcurrentPuts { get; init; } = 64;

    /// <summary>Calls that read, at once.</summary>
    public int MaxConcurrentReads { get; init; } = 64;

    /// <summary>Pages that are scanned at once, over all streams.</summary>
    public int MaxConcurrentScans { get; init; } = 16;

    /// <summary>Barriers, makings and droppings at once. They never wait behind puts.</summary>
    public int MaxConcurrentControls { get; init; } = 64;

    /// <summary>Reconciles at once; the others wait their turn, and say so by their progress.</summary>
    public int MaxConcurrentReconciles { get; init; } = 8;

    /// <summary>Calls of each kind that wait for a place; the next one is refused with Overloaded.</summary>
    public int MaxWaiting { get; init; } = 4096;

    /// <summary>Entries in a page that a reconcile reads, and in a batch that it puts.</summary>
    public int PageEntries { get; init; } = 1000;

    /// <summary>Bytes of bodies in such a page or batch.</summary>
    public int PageBytes { get; init; } = 2 << 20;

    /// <summary>How often a reconcile says how far it is.</summary>
    public TimeSpan ProgressInterval { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>The longest that a reconcile waits for one answer of another node.</summary>
    public TimeSpan PeerTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How often a reconcile tries the same page, read or put before it gives up.</summary>
    public int Attempts { get; init; } = 8;

    /// <summary>The wait before the second try; it doubles with each.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromMilliseconds(20);
}
