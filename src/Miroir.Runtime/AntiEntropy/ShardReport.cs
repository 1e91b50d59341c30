using System.Globalization;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>What a pass finds in one shard, as it goes.</summary>
internal sealed class ShardReport(ShardId shard, int maxNamed)
{
    private readonly long[] _kinds = new long[4];
    private readonly List<DivergenceView> _documents = [];

    public ShardId Shard => shard;
    public int Copies { get; set; }
    public long Entries { get; set; } = -1;
    public long Compared { get; set; }
    public long InFlight { get; set; }
    public long Hot { get; set; }
    public long Repaired { get; set; }
    public long Unrepaired { get; set; }
    public long Purged { get; set; }
    public long DriftedLeaves { get; set; }
    public long ElapsedMs { get; set; }
    public string Problem { get; private set; } = "";
    public bool IsCertified { get; set; }
    public string Digest { get; set; } = "";
    public IReadOnlyList<DivergenceView> Documents => _documents;

    public DivergenceCounts Counts =>
        new(
            _kinds[(int)DifferenceKind.Missing],
            _kinds[(int)DifferenceKind.Stale],
            _kinds[(int)DifferenceKind.LacksTombstone],
            _kinds[(int)DifferenceKind.Corrupt],
            InFlight,
            Hot
        );

    /// <summary>What kept a part of it from being compared; the first is shown with the others behind it.</summary>
    public void Blame(string why) => Problem = Problem == "" ? why : $"{Problem}; {why}";

    public void Count(DifferenceKind kind, long count = 1) => _kinds[(int)kind] += count;

    public void Name(DivergenceView document)
    {
        if (_documents.Count < maxNamed)
            _documents.Add(document);
    }

    public static DivergenceView View(
        ShardId shard,
        IReadOnlyList<Participant> members,
        Difference difference,
        DocumentVersion floor,
        string outcome
    )
    {
        var seen = difference.Seen;
        string Held(int i) => seen.Held(i) is { } entry ? $"{entry.Version}" : "-";
        int[] lacking =
            difference.Kind == DifferenceKind.Corrupt ? [.. Enumerable.Range(0, seen.Replicas)] : seen.Lacking(floor);
        return new DivergenceView(
            $"{seen.Key}",
            shard.Generation,
            shard.Shard,
            $"{difference.Kind}",
            $"{seen.Best.Version}",
            seen.Keep.IsSome ? $"{seen.Keep.Value}" : "",
            [.. lacking.Select(i => $"{members[i].Replica.Node}: {Held(i)}")],
            outcome
        );
    }

    public ShardPassView ToView(PassMeter meter) =>
        new(
            shard.Generation,
            shard.Shard,
            Copies,
            State,
            Entries,
            Compared,
            Counts,
            Repaired,
            Purged,
            DriftedLeaves,
            meter.BytesRead,
            meter.RoundTrips,
            ElapsedMs,
            Problem,
            IsCertified,
            Digest
        );

    private string State =>
        Problem != "" ? "Failed"
        : Unrepaired > 0 ? "Divergent"
        : Repaired > 0 ? "Repaired"
        : "InSync";

    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{shard}: {State}, {Counts.Divergences} divergences");
}
