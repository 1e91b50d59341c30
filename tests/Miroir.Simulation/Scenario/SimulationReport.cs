using System.Text.Json;
using Miroir.Simulation.Chaos;

namespace Miroir.Simulation.Scenario;

/// <summary>What a run of the simulator found, for other programs: written as JSON in camel case.</summary>
public sealed record SimulationReport
{
    private static readonly JsonSerializerOptions Shape = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>The commit of the working tree, with "+" where it was changed since; "unknown" outside of one.</summary>
    public string Commit { get; init; } = WorkingTree.Commit();

    public long Seeds { get; init; }
    public long Operations { get; init; }
    public long Acknowledged { get; init; }
    public double VirtualMinutes { get; init; }
    public MigrationCounts Migrations { get; init; } = new(0, 0, 0, 0);

    public FeedCounts Feed { get; init; } = new(0, 0);

    /// <summary>Faults that happened, by name.</summary>
    public IReadOnlyDictionary<string, long> Faults { get; init; } = new Dictionary<string, long>();

    /// <summary>Documents, and runs, that were wrong, by class: every class, 0 included.</summary>
    public IReadOnlyDictionary<string, long> Findings { get; init; } = new Dictionary<string, long>();

    public IReadOnlyList<long> WrongSeeds { get; init; } = [];
    public double SeedsPerHour { get; init; }
    public IReadOnlyList<ChaosResult> Scenarios { get; init; } = [];
    public IReadOnlyList<LossRow> LossTable { get; init; } = [];

    /// <summary>
    /// Writes the file anew, but for the parts that another run at the same commit has written there and this one did not
    /// measure.
    /// </summary>
    public void Write(string path)
    {
        var earlier = Read(path);
        var whole = earlier is null || earlier.Commit != Commit ? this : With(earlier);
        File.WriteAllText(path, JsonSerializer.Serialize(whole, Shape));
    }

    private SimulationReport With(SimulationReport earlier) =>
        (Seeds > 0 ? this : earlier) with
        {
            Scenarios = Scenarios.Count > 0 ? Scenarios : earlier.Scenarios,
            LossTable = LossTable.Count > 0 ? LossTable : earlier.LossTable,
        };

    private static SimulationReport? Read(string path)
    {
        try
        {
            return File.Exists(path)
                ? JsonSerializer.Deserialize<SimulationReport>(File.ReadAllText(path), Shape)
                : null;
        }
        catch (JsonException)
        {
            // Something else was there.
            return null;
        }
    }
}

/// <param name="Events">That consumers of change feeds were given.</param>
/// <param name="Duplicates">Of these, those that they had been given before.</param>
public sealed record FeedCounts(long Events, long Duplicates);

/// <param name="FellBack">Shards.</param>
/// <param name="DeltaCopied">Documents, by delta passes.</param>
public sealed record MigrationCounts(long Complete, long Aborted, long FellBack, long DeltaCopied);
