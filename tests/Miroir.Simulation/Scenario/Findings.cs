namespace Miroir.Simulation.Scenario;

/// <summary>What was found wrong, by class, with its stories.</summary>
public sealed class Findings
{
    private readonly List<string> _stories = [];
    private readonly SortedDictionary<string, long> _counts = new(StringComparer.Ordinal);

    public IReadOnlyList<string> Stories => _stories;

    public IReadOnlyDictionary<string, long> Counts => _counts;

    public void Add(string kind, string story)
    {
        Count(kind, 1);
        _stories.Add($"{kind}: {story}");
    }

    public void Count(string kind, long many) => _counts[kind] = _counts.GetValueOrDefault(kind) + many;

    /// <summary>What was found wrong in a run besides.</summary>
    public void Merge(SeedResult other)
    {
        foreach (var (kind, many) in other.Wrong)
        {
            Count(kind, many);
        }
        _stories.AddRange(other.Violations);
    }

    public void Tell(string story) => _stories.Add(story);
}
