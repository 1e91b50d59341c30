using System.Text.Json;
using Miroir.Simulation.Chaos;
using Miroir.Simulation.Scenario;

namespace Miroir.Chaos.Scenarios;

/// <summary>What runs with real processes came to, for the report: written as JSON in camel case.</summary>
internal sealed record ChaosArtifact
{
    public static readonly JsonSerializerOptions Shape = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public string Commit { get; init; } = WorkingTree.Commit();

    /// <summary>In the order of the scenarios' list.</summary>
    public IReadOnlyList<ScenarioResult> Scenarios { get; init; } = [];
    public IReadOnlyList<LossRow> LossTable { get; init; } = [];

    /// <summary>Null where there is none, or something else.</summary>
    public static ChaosArtifact? Read(string path)
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize<ChaosArtifact>(File.ReadAllText(path), Shape) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Writes the file anew, but for what another run at the same commit has left there and this one did not do.</summary>
    public void Write(string path)
    {
        var earlier = Read(path);
        if (earlier?.Commit != Commit)
            earlier = null;
        var results = Scenarios
            .Concat(earlier?.Scenarios ?? [])
            .DistinctBy(result => result.Name)
            .ToDictionary(result => result.Name);
        var whole = this with
        {
            Scenarios =
            [
                .. ChaosScenarios.All.Where(s => results.ContainsKey(s.FullName)).Select(s => results[s.FullName]),
            ],
            LossTable = LossTable.Count > 0 ? LossTable : earlier?.LossTable ?? [],
        };
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        File.WriteAllText(path, JsonSerializer.Serialize(whole, Shape));
    }
}
