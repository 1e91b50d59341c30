using Miroir.Oracle;

namespace Miroir.Simulation.Scenario;

/// <summary>An index under test, with what its clients asked and were told.</summary>
public sealed record SimIndex(string Uid, int Shards, int Replication)
{
    public History History { get; } = new();

    /// <summary>Documents that clients have written or deleted, one by one, whatever became of it.</summary>
    public long Written { get; set; }

    public ListChecks Lists { get; } = new();

    public FeedChecks Feed { get; } = new();

    /// <summary>Whether a consumer follows its change feed.</summary>
    public bool IsFollowed { get; set; }
}
