using System.Globalization;

namespace Miroir.Simulation.Scenario;

/// <summary>What many seeds came to.</summary>
public sealed class SimulationTotals
{
    private static readonly string[] Classes =
    [
        "lost",
        "stale",
        "resurrected",
        "duplicated",
        "orphaned",
        "undecided",
        "unfed",
        "misfed",
        "leftover",
        "wedged",
        "escaped",
        "failed",
    ];

    private readonly SortedDictionary<string, long> _faults = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, long> _wrong = new(StringComparer.Ordinal);
    private long _seeds;
    private long _operations;
    private long _acknowledged;
    private long _complete;
    private long _aborted;
    private long _fellBack;
    private long _deltaCopied;
    private long _feedEvents;
    private long _feedDuplicates;
    private TimeSpan _virtualTime;

    public SortedSet<long> WrongSeeds { get; } = [];

    public SimulationReport Report(TimeSpan elapsed) =>
        new()
        {
            Seeds = _seeds,
            Operations = _operations,
            Acknowledged = _acknowledged,
            VirtualMinutes = Math.Round(_virtualTime.TotalMinutes, 1),
            Migrations = new MigrationCounts(_complete, _aborted, _fellBack, _deltaCopied),
            Feed = new FeedCounts(_feedEvents, _feedDuplicates),
            Faults = _faults,
            Findings = Classes.ToDictionary(c => c, c => _wrong.GetValueOrDefault(c), StringComparer.Ordinal),
            WrongSeeds = [.. WrongSeeds],
            SeedsPerHour = Math.Round(PerHour(elapsed)),
        };

    private double PerHour(TimeSpan elapsed) => _seeds / Math.Max(elapsed.TotalHours, 1e-9);

    public void Add(SeedResult result)
    {
        _seeds++;
        _operations += result.Operations;
        _acknowledged += result.Acknowledged;
        _complete += result.Completed;
        _aborted += result.Aborted;
        _fellBack += result.FellBack;
        _deltaCopied += result.DeltaCopied;
        _feedEvents += result.FeedEvents;
        _feedDuplicates += result.FeedDuplicates;
        _virtualTime += result.VirtualTime;
        foreach (var (fault, count) in result.Faults)
        {
            _faults[fault] = _faults.GetValueOrDefault(fault) + count;
        }
        foreach (var (kind, count) in result.Wrong)
        {
            _wrong[kind] = _wrong.GetValueOrDefault(kind) + count;
        }
        if (!result.IsRight)
        {
            WrongSeeds.Add(result.Seed);
        }
    }

    public string Tell(TimeSpan elapsed)
    {
        List<string> lines =
        [
            string.Create(
                CultureInfo.InvariantCulture,
                $"{_seeds} seeds in {elapsed.TotalSeconds:0.0} s ({PerHour(elapsed):0} per hour), {_virtualTime.TotalMinutes:0.0} virtual minutes"
            ),
            $"operations checked   {_operations} ({_acknowledged} acknowledged)",
            $"migrations           {_complete} complete, {_aborted} aborted; {_fellBack} shards fell back; {_deltaCopied} documents by delta passes",
            $"change feeds         {_feedEvents} events delivered, {_feedDuplicates} of them again",
            $"faults               {string.Join(", ", _faults.Select(f => $"{f.Key} {f.Value}"))}",
            $"found                {string.Join(", ", Classes.Select(c => $"{c} {_wrong.GetValueOrDefault(c)}"))}",
        ];
        if (WrongSeeds.Count > 0)
        {
            lines.Add($"seeds with violations: {string.Join(", ", WrongSeeds)}");
        }
        return string.Join(Environment.NewLine, lines);
    }
}
