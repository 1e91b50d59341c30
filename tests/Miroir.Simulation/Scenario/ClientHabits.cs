using Miroir.Simulation.Kernel;

namespace Miroir.Simulation.Scenario;

/// <summary>What clients ask for, and how often.</summary>
public sealed record ClientHabits
{
    /// <summary>Asks for nothing by itself, and waits long for each answer.</summary>
    public static ClientHabits Patient { get; } = new();

    /// <summary>Keys that everybody wants. They are others every few seconds: a search for an order of all calls on one document must end.</summary>
    public IReadOnlyList<string> Hot { get; init; } = [];

    public IReadOnlyList<string> Cold { get; init; } = [];

    /// <summary>The share of requests that goes to hot keys.</summary>
    public double Heat { get; init; }

    /// <summary>The share of reads.</summary>
    public double Reads { get; init; }

    /// <summary>The share of lists of the whole index, and of deletions of all its documents.</summary>
    public double Sweeps { get; init; }

    /// <summary>Mean time between two requests, ms.</summary>
    public double ThinkMs { get; init; }

    /// <summary>The share of requests that are given up early.</summary>
    public double Impatience { get; init; }

    public static ClientHabits Draw(SimKernel kernel) =>
        new()
        {
            Hot = [.. Enumerable.Range(1, kernel.Between(1, 6)).Select(i => $"hot{i}")],
            Cold = [.. Enumerable.Range(1, kernel.Pick([0, 20, 60])).Select(i => $"cold{i}")],
            Heat = kernel.Pick([0.2, 0.6, 0.9]),
            Reads = kernel.Pick([0.2, 0.4]),
            Sweeps = kernel.Chance(0.5) ? 0.004 : 0,
            ThinkMs = kernel.Pick([5, 20, 60]),
            Impatience = kernel.Chance(0.5) ? 0.1 : 0,
        };
}
