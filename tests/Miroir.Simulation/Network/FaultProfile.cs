using Miroir.Simulation.Kernel;

namespace Miroir.Simulation.Network;

/// <summary>
/// Which faults a seed has, and how often: each kind is in or out by the toss of a coin, so that some seeds have one
/// kind in plenty and nothing that hides it ("Swarm testing", Groce and others, 2012).
/// </summary>
public sealed record FaultProfile
{
    /// <summary>Of each message: it never arrives.</summary>
    public double LoseRequest { get; init; }

    /// <summary>Of each answer: what was asked has been done, and nobody hears of it.</summary>
    public double LoseReply { get; init; }

    /// <summary>Of each call that may be repeated: it is done twice.</summary>
    public double Duplicate { get; init; }

    /// <summary>Of each message: it comes so late that others overtake it.</summary>
    public double Delay { get; init; }

    /// <summary>Longest such delay, ms.</summary>
    public int MaxDelayMs { get; init; } = 100;

    /// <summary>Of each put into a store that was made for a migration: refused.</summary>
    public double RefusePut { get; init; }

    /// <summary>Of each of a store's transactions: whether it is on disk is not known, and the call fails.</summary>
    public double FailSync { get; init; }

    /// <summary>Longest time that a store's transaction takes, ms; until then, a crash takes it back. 0: none.</summary>
    public double MaxSyncMs { get; init; }

    /// <summary>Of each commit of metadata: whether it happened is not said.</summary>
    public double UnknownCommit { get; init; }

    /// <summary>Mean time between two of the faults below, ms; 0: none.</summary>
    public int DisasterEveryMs { get; init; }

    /// <summary>What may happen then.</summary>
    public IReadOnlyList<Disaster> Disasters { get; init; } = [];

    /// <summary>Largest difference between a wall clock and the truth, ms.</summary>
    public int MaxSkewMs { get; init; }

    public static FaultProfile None { get; } = new();

    public static FaultProfile Draw(SimKernel kernel)
    {
        double Maybe(double most) => kernel.Chance(0.5) ? most * kernel.NextDouble() * kernel.NextDouble() : 0;
        List<Disaster> disasters = [.. Enum.GetValues<Disaster>().Where(_ => kernel.Chance(0.5))];
        return new FaultProfile
        {
            LoseRequest = Maybe(0.15),
            LoseReply = Maybe(0.15),
            Duplicate = Maybe(0.3),
            Delay = Maybe(0.3),
            MaxDelayMs = kernel.Pick([20, 200, 1500, 4000]),
            RefusePut = Maybe(0.3),
            FailSync = Maybe(0.05),
            MaxSyncMs = kernel.Pick([0, 0.5, 5, 50]),
            UnknownCommit = Maybe(0.3),
            DisasterEveryMs = disasters.Count == 0 ? 0 : kernel.Pick([300, 1000, 3000, 8000]),
            Disasters = disasters,
            MaxSkewMs = kernel.Chance(0.5) ? 0 : kernel.Pick([50, 5_000, 3_600_000]),
        };
    }

    public override string ToString() =>
        $"lose request {LoseRequest:0.000}, lose reply {LoseReply:0.000}, duplicate {Duplicate:0.000}, delay {Delay:0.000} (to {MaxDelayMs} ms), refuse put {RefusePut:0.000}, sync to {MaxSyncMs} ms, failing {FailSync:0.000}, unknown commit {UnknownCommit:0.000}, skew to {MaxSkewMs} ms, every {DisasterEveryMs} ms one of [{string.Join(", ", Disasters)}]";
}

/// <summary>What happens to whole processes, and to the lines between them.</summary>
public enum Disaster
{
    CrashNode,
    CrashRouter,
    CrashCoordinator,

    /// <summary>A second coordinator takes the lead while the first still runs.</summary>
    DeposeCoordinator,

    /// <summary>Nothing gets from one process to another, while the other way may be open.</summary>
    CutLine,

    /// <summary>Nothing gets to or from a process.</summary>
    Isolate,

    /// <summary>A process does nothing for a while, as under SIGSTOP.</summary>
    Pause,

    /// <summary>A wall clock is set.</summary>
    JumpClock,

    /// <summary>A node takes no more writes.</summary>
    FillDisk,

    /// <summary>A node that owns nothing yet dies, and comes back with an empty disk.</summary>
    LoseDisk,

    /// <summary>The metadata can't be read, and not be written.</summary>
    LoseMetadata,
}
