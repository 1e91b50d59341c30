using System.Globalization;
using Miroir.Simulation.Scenario;

namespace Miroir.Simulation.Chaos;

/// <summary>What the runs of one scenario came to.</summary>
public sealed record ChaosResult
{
    public required string Name { get; init; }
    public required string About { get; init; }
    public required long Seeds { get; init; }
    public required long Operations { get; init; }

    /// <summary>Faults that happened, by name.</summary>
    public required IReadOnlyDictionary<string, long> Faults { get; init; }

    /// <summary>Passed by migrations, in the order in which they were first passed.</summary>
    public required IReadOnlyList<string> Phases { get; init; }

    /// <summary>"right", or what was wrong, counted by class.</summary>
    public required string Verdict { get; init; }

    /// <summary>Where sizes were reduced: what they are to be, and what they were; else "".</summary>
    public required string Reduced { get; init; }

    public required IReadOnlyList<long> WrongSeeds { get; init; }

    /// <summary>How to run it again; a seed is still to be added.</summary>
    public required string Replay { get; init; }

    public bool IsRight => WrongSeeds.Count == 0;

    public static ChaosResult Of(ChaosScenario asked, ChaosScenario played, IReadOnlyList<SeedResult> runs)
    {
        var faults = new SortedDictionary<string, long>(StringComparer.Ordinal);
        var wrong = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (var run in runs)
        {
            Sum(faults, run.Faults);
            Sum(wrong, run.Wrong);
        }
        return new ChaosResult
        {
            Name = asked.FullName,
            About = asked.About,
            Seeds = runs.Count,
            Operations = runs.Sum(run => run.Operations),
            Faults = faults,
            Phases = [.. runs.OrderBy(run => run.Seed).SelectMany(run => run.Phases).Distinct(StringComparer.Ordinal)],
            Verdict = wrong.Count == 0 ? "right" : string.Join(", ", wrong.Select(w => $"{w.Key} {w.Value}")),
            Reduced =
                asked == played
                    ? ""
                    : string.Create(
                        CultureInfo.InvariantCulture,
                        $"{played.Writes:n0} of {asked.Writes:n0} writes, {played.Documents:n0} of {asked.Documents:n0} documents"
                    ),
            Replay = $"simulate --scenario {asked.Name} --size {Math.Max(played.Writes, played.Documents)}",
            WrongSeeds = [.. runs.Where(run => !run.IsRight).Select(run => run.Seed).Order()],
        };
    }

    private static void Sum(SortedDictionary<string, long> into, IReadOnlyDictionary<string, long> counts)
    {
        foreach (var (name, count) in counts)
        {
            into[name] = into.GetValueOrDefault(name) + count;
        }
    }

    public string Tell()
    {
        List<string> lines =
        [
            $"{Name}: {About}",
            $"  {Verdict}; {Seeds} seeds, {Operations} operations{(Reduced == "" ? "" : $"; reduced to {Reduced}")}",
            $"  faults  {(Faults.Count == 0 ? "none" : string.Join(", ", Faults.Select(f => $"{f.Key} {f.Value}")))}",
            $"  phases  {string.Join(", ", Phases)}",
        ];
        if (!IsRight)
        {
            lines.Add($"  replay  {Replay} --seed {WrongSeeds[0]}; wrong: {string.Join(", ", WrongSeeds)}");
        }
        return string.Join(Environment.NewLine, lines);
    }
}
