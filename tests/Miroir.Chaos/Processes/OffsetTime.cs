namespace Miroir.Chaos.Processes;

/// <summary>A wall clock that is wrong by so much. Timers and stopwatches go on as they do.</summary>
internal sealed class OffsetTime(TimeSpan offset) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + offset;
}
