using System.Text.Json;
using System.Text.Json.Serialization;
using Miroir.Simulation.Chaos;

namespace Miroir.Chaos.Scenarios;

/// <summary>What runs with real processes came to, for the report: written as JSON in camel case.</summary>
internal sealed record ChaosArtifact
{
    public static readonly JsonSerializerOptions Shape = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>In the order of the scenarios' list.</summary>
    public IReadOnlyList<ScenarioResult> Scenarios { get; init; } = [];
    public IReadOnlyList<RealLossRow> LossTable { get; init; } = [];

    /// <summary>Those at which its parts ran.</summary>
    [JsonIgnore]
    public IEnumerable<string> Commits =>
        Scenarios.Select(result => result.Commit).Concat(LossTable.Select(row => row.Commit)).Distinct();

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

    /// <summary>Writes the file anew, but for what another run has left there and this one did not do.</summary>
    public void Write(string path)
    {
        var earlier = Read(path);
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
            LossTable =
            [
                .. LossTable
                    .Concat(earlier?.LossTable ?? [])
                    .DistinctBy(row => RealLossRow.PlaceOf(row.Row))
                    .OrderBy(row => RealLossRow.PlaceOf(row.Row)),
            ],
        };
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        File.WriteAllText(path, JsonSerializer.Serialize(whole, Shape));
    }
}
