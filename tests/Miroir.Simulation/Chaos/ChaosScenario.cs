namespace Miroir.Simulation.Chaos;

/// <summary>
/// One named cutover under failures, as data. Sizes are those it is to have; a run in simulated time takes as much of
/// them as it is given, and says so.
/// </summary>
/// <param name="Name">Without the prefix that all of them have.</param>
/// <param name="About">For people.</param>
public sealed record ChaosScenario(string Name, string About)
{
    public const string Prefix = "cutover_chaos_";

    public string FullName => Prefix + Name;

    /// <summary>Of each index.</summary>
    public int Shards { get; init; } = 2;

    public int Replication { get; init; } = 1;

    /// <summary>Nodes that own everything at first. One more is added, and takes a copy of every shard.</summary>
    public int OldNodes { get; init; } = 1;

    public int Indexes { get; init; } = 1;

    /// <summary>Documents there before the migration begins.</summary>
    public int Documents { get; init; } = 1_000;

    /// <summary>Documents written while old and new nodes take each write.</summary>
    public int Writes { get; init; } = 1_000;

    /// <summary>Documents written at once at the moment of the cutover; with a burst, at each change of a route.</summary>
    public int BoundaryWrites { get; init; } = 100;

    /// <summary>The share of puts that the new node refuses, by shard, over and over again.</summary>
    public IReadOnlyList<double> Failing { get; init; } = [0];

    /// <summary>The same from the cutover on; null: as before.</summary>
    public IReadOnlyList<double>? FailingAtBoundary { get; init; }

    public bool AntiEntropy { get; init; } = true;

    /// <summary>False: the delta pass is skipped.</summary>
    public bool Delta { get; init; } = true;

    /// <summary>The fault seeded into the protocol; "": none.</summary>
    public string Mutant { get; init; } = "";

    /// <summary>How long the source is retained after the last shard has switched, ms.</summary>
    public int RetainSourceMs { get; init; }

    public ChaosPlay Play { get; init; }

    public ChaosEvent Event { get; init; }

    /// <summary>How long clients wait between two requests, ms.</summary>
    public double ThinkMs { get; init; } = 4;

    /// <summary>The same, but not more than so many documents, and writes.</summary>
    public ChaosScenario AtMost(int most) =>
        this with
        {
            Documents = Math.Min(Documents, most),
            Writes = Math.Min(Writes, most),
            BoundaryWrites = Math.Min(BoundaryWrites, most),
        };
}

/// <summary>What happens in a scenario beside failing puts.</summary>
public enum ChaosEvent
{
    None,

    /// <summary>A burst of writes at every change of a route.</summary>
    Bursts,

    /// <summary>Nothing gets to or from the new node from the first Joint route on, for some seconds.</summary>
    NewNodeCutOff,

    /// <summary>A write has reached one of two owners when the drain's time is over.</summary>
    WriteStuck,

    /// <summary>The coordinator dies at each entry of the migration's journal, before or after what the entry sets off.</summary>
    CoordinatorDies,
}

/// <summary>What a scenario is about.</summary>
public enum ChaosPlay
{
    /// <summary>A cutover from beginning to end.</summary>
    Cutover,

    /// <summary>A cutover in whose midst everything is read, to count what it has missed.</summary>
    Loss,

    /// <summary>What is refused, and what is taken.</summary>
    Gates,
}
