using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Nodes;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>One replica that is compared, and the route that it is asked under.</summary>
internal sealed record Participant(Replica Replica, RouteStamp Stamp, INode Node);

/// <summary>The replicas that are compared: asked side by side, each held to the incarnation that it first answered in.</summary>
internal sealed class ReplicaGroup(
    Participant[] members,
    EntropyOptions options,
    PassMeter meter,
    TimeProvider time,
    IEntropy entropy,
    CancellationToken cancel
)
{
    private readonly Guid[] _incarnations = new Guid[members.Length];
    private readonly Patience _patience = options.Patience(time, entropy);

    public IReadOnlyList<Participant> Members => members;

    /// <summary>As first answered; empty before.</summary>
    public IReadOnlyList<Guid> Incarnations => _incarnations;

    /// <summary>The highest of any: tombstones below it may have been purged somewhere.</summary>
    public DocumentVersion Floor { get; private set; } = DocumentVersion.Zero;

    /// <summary>Digests of each replica, one for each range, in order.</summary>
    /// <exception cref="PassEndedException">A replica gave none.</exception>
    public async Task<RangeDigest[][]> DigestsAsync(HashRange[] ranges)
    {
        meter.RoundTrip();
        return await Task.WhenAll(Enumerable.Range(0, members.Length).Select(i => DigestsAsync(i, ranges)));
    }

    /// <summary>
    /// Asks whether every replica is still the one that was compared: what was merged counts only then. The floor is the
    /// newest one from then on.
    /// </summary>
    /// <exception cref="PassEndedException">A replica was made anew meanwhile, or did not answer.</exception>
    public async Task ConfirmAsync() => await DigestsAsync([]);

    /// <summary>
    /// As <see cref="DigestsAsync(HashRange[])"/>, but who gives none is left out: the group of those that did, their
    /// digests, and why the others did not.
    /// </summary>
    public async Task<(ReplicaGroup Present, RangeDigest[][] Digests, string[] Problems)> AnswerAsync(
        HashRange[] ranges
    )
    {
        meter.RoundTrip();
        var answers = await Task.WhenAll(
            Enumerable
                .Range(0, members.Length)
                .Select(async i =>
                {
                    try
                    {
                        return (Digests: await DigestsAsync(i, ranges), Problem: "");
                    }
                    catch (PassEndedException e)
                    {
                        return (Digests: [], Problem: e.Message);
                    }
                })
        );
        int[] present = [.. Enumerable.Range(0, members.Length).Where(i => answers[i].Problem == "")];
        var group = new ReplicaGroup([.. present.Select(i => members[i])], options, meter, time, entropy, cancel)
        {
            Floor = Floor,
        };
        for (var i = 0; i < present.Length; i++)
            group._incarnations[i] = _incarnations[present[i]];
        return (
            group,
            [.. present.Select(i => answers[i].Digests)],
            [.. answers.Select(answer => answer.Problem).Where(problem => problem != "")]
        );
    }

    /// <summary>The merge of what the replicas have in the ranges, which are ordered and share nothing.</summary>
    public async IAsyncEnumerable<MergedKey> MergeAsync(HashRange[] ranges)
    {
        meter.RoundTrip();
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var streams = Array.ConvertAll(members, member => Open(member, ranges, ending.Token));
        try
        {
            var cursors = Array.ConvertAll(members, _ => new PagedCursor());
            var merge = new Merge(cursors);
            while (true)
            {
                switch (merge.Next())
                {
                    case MergeStep.Merged merged:
                        yield return merged.Item;
                        break;
                    case MergeStep.Feed feed:
                        var page = await PageAsync(streams[feed.Cursor]);
                        cursors[feed.Cursor].Feed(page.Entries, page.IsLast);
                        break;
                    case MergeStep.OutOfOrder bad:
                        throw new PassEndedException(
                            $"{members[bad.Cursor].Replica} sent key \"{bad.Next}\" behind \"{bad.Previous}\", which is not before it"
                        );
                    default:
                        yield break;
                }
            }
        }
        finally
        {
            ending.Cancel();
            foreach (var stream in streams)
                await stream.DisposeAsync();
        }
    }

    /// <summary>What the replicas have now under these keys.</summary>
    public async Task<Dictionary<Key, Sighting>> LookAsync(IEnumerable<Key> keys)
    {
        var wanted = keys.ToHashSet();
        HashRange[] ranges =
        [
            .. wanted.Select(key => key.Hash).Distinct().Order().Select(hash => new HashRange(hash, hash + 1)),
        ];
        var seen = new Dictionary<Key, Sighting>(wanted.Count);
        await foreach (var merged in MergeAsync(ranges))
        {
            if (wanted.Contains(merged.Key))
                seen.Add(merged.Key, Sighting.Of(merged));
        }

        return seen;
    }

    private Task<RangeDigest[]> DigestsAsync(int member, HashRange[] ranges)
    {
        var (replica, stamp, node) = members[member];
        var command = new DigestCommand(stamp, replica.Store, ranges);
        return _patience.Insist(
            async () =>
            {
                var started = time.GetTimestamp();
                switch (await _patience.Ask(replica.Node, limit => node.Digests(command, limit), cancel))
                {
                    case DigestReply.Digests { Item: var answer }:
                        Hold(member, answer);
                        await meter.TakeAsync(PassMeter.BytesOf(answer.Digests), time.GetElapsedTime(started), cancel);
                        return answer.Digests.Length == ranges.Length
                            ? Tried<RangeDigest[]>.Done(answer.Digests)
                            : throw new PassEndedException(
                                $"{replica} sent {answer.Digests.Length} digests for {ranges.Length} ranges"
                            );
                    case DigestReply.DigestStaleEpoch stale:
                        throw new PassEndedException($"{replica} is at epoch {stale.Epoch} by now, not {stamp.Epoch}");
                    case DigestReply.DigestRefused refused:
                        return Tried<RangeDigest[]>.InVain(refused.Item.Message);
                    default:
                        throw new PassEndedException($"{replica} does not serve: it is to be made anew, or filled");
                }
            },
            why => new PassEndedException($"{replica} gives no digests: {why}"),
            cancel
        );
    }

    private void Hold(int member, RangeDigests answer)
    {
        if (_incarnations[member] == Guid.Empty)
            _incarnations[member] = answer.Incarnation;
        else if (_incarnations[member] != answer.Incarnation && !Mutants.comparedAcrossIncarnations())
            throw new PassEndedException($"{members[member].Replica} was made anew while it was compared");
        if (answer.Floor.CompareTo(Floor) > 0)
            Floor = answer.Floor;
    }

    private SourceStream Open(Participant member, HashRange[] ranges, CancellationToken ending)
    {
        var command = new RangesCommand(member.Stamp, member.Replica.Store, ranges, null, options.BatchEntries);
        return new SourceStream(
            new SourceScan(
                member.Replica.Node,
                member.Replica.Store,
                WithBodies: false,
                After: null,
                (after, limit) => member.Node.ScanRanges(after is null ? command : command.Behind(after), limit),
                hash => Holds(ranges, hash)
            ),
            _patience,
            ending
        );
    }

    private async Task<ScanPage> PageAsync(SourceStream stream)
    {
        try
        {
            var started = time.GetTimestamp();
            var page = await stream.Next();
            await meter.TakeAsync(PassMeter.BytesOf(page.Entries), time.GetElapsedTime(started), cancel);
            return page;
        }
        catch (ReconcileEndedException e)
        {
            throw new PassEndedException(
                e.Reply switch
                {
                    ReconcileReply.SourceFailed failed => $"{failed.Node}: {failed.Message}",
                    ReconcileReply.ReconcileStaleEpoch stale => $"the shard is at epoch {stale.Epoch} by now",
                    var other => $"{other}",
                }
            );
        }
    }

    private static bool Holds(HashRange[] ranges, ulong hash)
    {
        // The last range that begins at or before the hash.
        var (low, high) = (0, ranges.Length - 1);
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            if (ranges[middle].Lo <= hash)
                low = middle;
            else
                high = middle - 1;
        }

        return ranges.Length > 0 && ranges[low].Contains(hash);
    }
}
