using Miroir.Core;

namespace Miroir.Runtime.Routing;

/// <summary>A put that is not acknowledged yet: how long it has been open (ms), and who holds it by now.</summary>
public sealed record OpenWrite(
    long AgeMs,
    ShardId Shard,
    Key Key,
    long Epoch,
    IReadOnlyList<string> Answered,
    IReadOnlyList<string> Missing
);
