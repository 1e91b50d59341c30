using Miroir.Core;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>A document whose replicas differ, seen at least twice.</summary>
/// <param name="Kind">What is worst about it.</param>
/// <param name="Seen">As it was seen last.</param>
internal sealed record Difference(DifferenceKind Kind, Sighting Seen);

/// <summary>
/// Finds what differs between replicas in a range: digests first, then the merge of the parts that differ, then a
/// second look. Memory: a page of each replica, and the differences of one round.
/// </summary>
/// <param name="whole">Digests of the whole range, one of each replica, where they are known already.</param>
internal sealed class Comparison(
    ReplicaGroup group,
    HashRange range,
    RangeDigest[][]? whole,
    EntropyOptions options,
    TimeProvider time,
    CancellationToken cancel
)
{
    /// <summary>The sum over what was equal at the first look; all of it where nothing differed.</summary>
    public RangeDigest Equal { get; private set; } = RangeDigest.Zero;

    /// <summary>Keys of the merges.</summary>
    public long Compared { get; private set; }

    public long InFlight { get; private set; }

    public long Hot { get; private set; }

    /// <summary>The highest version that a merge has shown.</summary>
    public DocumentVersion Watermark { get; private set; } = DocumentVersion.Zero;

    /// <summary>Settled differences, in rounds of bounded size; what is done about one round comes before the next.</summary>
    /// <exception cref="PassEndedException">A replica could not be compared to the end.</exception>
    public async IAsyncEnumerable<IReadOnlyList<Difference>> RoundsAsync()
    {
        var ranges = await DescendAsync();
        if (ranges.Length == 0)
            yield break;
        var round = new List<Sighting>();
        await foreach (var merged in group.MergeAsync(ranges))
        {
            Compared++;
            if (merged.Best.Version.CompareTo(Watermark) > 0)
                Watermark = merged.Best.Version;
            if (merged.IsEqual)
                continue;
            var sighting = Sighting.Of(merged);
            if (sighting.Kind(group.Floor).IsNone)
                continue;
            round.Add(sighting);
            if (round.Count < options.RoundKeys)
                continue;
            yield return await SettleAsync(round);
            round.Clear();
        }

        if (round.Count > 0)
            yield return await SettleAsync(round);
        else
            await group.ConfirmAsync();
    }

    private async Task<HashRange[]> DescendAsync()
    {
        var merges = new List<HashRange>();
        HashRange[] level = [range];
        while (level.Length > 0)
        {
            var next = new List<HashRange>();
            foreach (var part in level.Chunk(options.RangesPerCall))
            {
                var digests = whole ?? await group.DigestsAsync(part);
                whole = null;
                var step = Descent.step(part, digests, options.MergeEntries);
                Equal += step.Equal;
                merges.AddRange(step.Merge);
                next.AddRange(step.Descend);
            }

            level = [.. next];
        }

        return Descent.join([.. merges.OrderBy(merge => merge.Lo)]);
    }

    private async Task<IReadOnlyList<Difference>> SettleAsync(List<Sighting> firsts)
    {
        var differences = new List<Difference>();
        IReadOnlyList<Sighting> open = firsts;
        if (Mutants.settleLeftOut())
            return [.. firsts.Select(first => new Difference(first.Kind(group.Floor).Value, first))];
        for (var look = 1; open.Count > 0; look++)
        {
            if (look > 1 || !open.All(IsOld))
                await Task.Delay(TimeSpan.FromMilliseconds(options.SettleMs), time, cancel);
            var seen = await group.LookAsync(open.Select(first => first.Key));
            await group.ConfirmAsync();
            var again = new List<Sighting>();
            foreach (var first in open)
            {
                var later = seen.GetValueOrDefault(first.Key);
                switch (Settle.judge(group.Floor, first, later))
                {
                    case Verdict.Differs differs:
                        differences.Add(new Difference(differs.Item, later!));
                        break;
                    case Verdict.Hot when look < options.MaxLooks:
                        Hot += look == 1 ? 1 : 0;
                        again.Add(first);
                        break;
                    case Verdict.Hot hot:
                        differences.Add(new Difference(hot.Item, later!));
                        break;
                    default:
                        InFlight++;
                        break;
                }
            }

            open = again;
        }

        return differences;
    }

    /// <summary>Only a hint, since clocks may be wrong: a fresh difference that looks old is looked at twice all the same.</summary>
    private bool IsOld(Sighting sighting) =>
        HybridClock.unixMs(sighting.Best.Version.Clock) + options.SettledAgeMs
        < time.GetUtcNow().ToUnixTimeMilliseconds();
}
