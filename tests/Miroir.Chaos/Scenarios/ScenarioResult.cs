using System.Globalization;
using Miroir.Simulation.Chaos;
using Miroir.Simulation.Scenario;

namespace Miroir.Chaos.Scenarios;

/// <summary>What one scenario came to.</summary>
internal sealed record ScenarioResult
{
    public required string Name { get; init; }

    /// <summary>At which it ran.</summary>
    public string Commit { get; init; } = WorkingTree.Commit();
    public required string About { get; init; }

    /// <summary>Writes that were to be made while old and new nodes take each write, and those asked for in full.</summary>
    public required int Writes { get; init; }
    public required int FullWrites { get; init; }

    /// <summary>Operations in the clients' histories, the documents' load included: all of them were checked.</summary>
    public required long Operations { get; init; }
    public required long AcknowledgedWrites { get; init; }

    /// <summary>Faults that happened, by name.</summary>
    public required IReadOnlyDictionary<string, long> Faults { get; init; }
    public required IReadOnlyList<string> Phases { get; init; }

    /// <summary>Documents by what they were in the end.</summary>
    public required IReadOnlyDictionary<string, long> Verdict { get; init; }

    /// <summary>Whether a fault was seeded, so that the verdict is to find loss.</summary>
    public required bool IsSeeded { get; init; }

    /// <summary>What was not as it has to be; empty where everything was.</summary>
    public required IReadOnlyList<string> Complaints { get; init; }
    public required double Seconds { get; init; }

    public bool IsRight => Complaints.Count == 0;

    private static readonly string[] Classes = ["lost", "stale", "resurrected", "orphaned"];

    public string VerdictText => string.Join(", ", Classes.Select(c => $"{Verdict.GetValueOrDefault(c)} {c}"));

    public string FaultsText =>
        Faults.Count == 0 ? "none" : string.Join(", ", Faults.Select(f => $"{Number(f.Value)} {f.Key}"));

    public string PhasesText =>
        Phases.Count == 0
            ? "no migration"
            : $"{Phases.Count(ChaosScenarios.Phases.Contains)} of {ChaosScenarios.Phases.Count} phases";

    public static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    public string Tell() =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{(IsRight ? "right" : "WRONG")}  {Name, -42} {Operations, 9:N0} operations; {FaultsText}; {PhasesText}; {VerdictText}; {Seconds:F1} s"
        );
}
