using System.Text.Json;
using System.Text.Json.Nodes;
using Miroir.Chaos.Scenarios;
using Miroir.Simulation.Scenario;

namespace Miroir.Chaos.Report;

/// <summary>Writes docs/chaos_testing_report.md from what the runs of the harness left in artifacts/.</summary>
internal static class ReportCommand
{
    private static readonly string Target = Path.Combine("docs", "chaos_testing_report.md");

    public static int Run()
    {
        if (!Directory.Exists("docs"))
        {
            Console.Error.WriteLine($"{Target} is written in the repository's root, which this is not");
            return 2;
        }
        var inputs = new ReportInputs(
            ChaosArtifact.Read(In("chaos.json")),
            Read("simulate.json"),
            Read("explore.json"),
            Read("explore-large.json"),
            Read("mutants.json")
        );
        File.WriteAllText(Target, ReportDocument.Of(inputs, WorkingTree.Commit()));
        Console.WriteLine($"{Target} was written from {ChaosCommand.Artifacts}/");
        return 0;
    }

    private static string In(string name) => Path.Combine(ChaosCommand.Artifacts, name);

    /// <summary>Null where there is no such file, or something else in it.</summary>
    private static JsonObject? Read(string name)
    {
        try
        {
            return File.Exists(In(name)) ? JsonNode.Parse(File.ReadAllText(In(name))) as JsonObject : null;
        }
        catch (JsonException)
        {
            Console.Error.WriteLine($"{In(name)} is not JSON: it is taken for not run");
            return null;
        }
    }
}

/// <summary>What the report is made of; null: not run.</summary>
internal sealed record ReportInputs(
    ChaosArtifact? Real,
    JsonObject? Simulation,
    JsonObject? Explorer,
    JsonObject? LargeExplorer,
    JsonObject? Mutants
);
