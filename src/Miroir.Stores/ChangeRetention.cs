using Miroir.Core;

namespace Miroir.Stores;

/// <summary>
/// How much of a store's change log is kept. A change goes, the lowest positions first, when there are too many or its
/// position's clock is too old; the log's floor is the highest position that went. It goes with a later commit to the
/// store: one that nothing is written to keeps what it has.
/// </summary>
public sealed record ChangeRetention
{
    /// <summary>Nothing goes but by a floor that is given.</summary>
    public static ChangeRetention Unlimited { get; } = new() { Time = TimeSpan.MaxValue, MaxChanges = long.MaxValue };

    public TimeSpan Time { get; init; } = TimeSpan.FromHours(24);

    /// <summary>Changes of one store.</summary>
    public long MaxChanges { get; init; } = 1_000_000;

    /// <summary>Whose time the clocks of positions are compared with.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Changes at positions whose clock reads lower are too old.</summary>
    internal long OldestClock() =>
        HybridClock.ofUnixMs(Clock.GetUtcNow().ToUnixTimeMilliseconds() - (long)Time.TotalMilliseconds);

    internal void Check()
    {
        if (Time <= TimeSpan.Zero)
            throw new ArgumentOutOfRangeException(nameof(Time), Time, "changes are kept for a time above zero.");
        if (MaxChanges < 1)
            throw new ArgumentOutOfRangeException(nameof(MaxChanges), MaxChanges, "MaxChanges must be 1 or more.");
    }
}
