using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Nodes;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>
/// Recomputes a shard's digests from its bodies, replica by replica, at the pass's budget of bytes: bit rot is healed
/// from another replica by the document's writer; a digest that had drifted the node has put right itself.
/// </summary>
internal sealed class ShardScrub(
    EntropyWorld world,
    ShardReport report,
    PassMeter meter,
    bool repairs,
    CancellationToken cancel
)
{
    public async Task RunAsync(Route route, Replica[] replicas)
    {
        foreach (var replica in replicas)
        {
            var entries = 0L;
            for (var leaf = 0; leaf >= 0; )
            {
                var part = await PartAsync(route, replica, leaf);
                entries += part.Entries;
                report.DriftedLeaves += part.DriftedLeaves;
                if (part.Rotten.Length > 0)
                    await HealAsync(route, replica, part.Rotten);
                leaf = part.NextLeaf;
            }

            report.Compared += entries;
            report.Entries = Math.Max(report.Entries, entries);
        }
    }

    private Task<ScrubPart> PartAsync(Route route, Replica replica, int leaf)
    {
        var command = new ScrubCommand(route.Stamp, replica.Store, leaf, world.Options.ScrubBytes);
        var node = world.Node(replica.Node);
        return world.Patience.Insist(
            async () =>
            {
                meter.RoundTrip();
                var started = world.Time.GetTimestamp();
                switch (await world.AskAsync(replica.Node, limit => node.Scrub(command, limit), cancel))
                {
                    case ScrubReply.Scrubbed { Item: var part }:
                        await meter.TakeAsync(part.Bytes, world.Time.GetElapsedTime(started), cancel);
                        return Tried<ScrubPart>.Done(part);
                    case ScrubReply.ScrubRefused refused:
                        return Tried<ScrubPart>.InVain(refused.Item.Message);
                    case ScrubReply.ScrubStaleEpoch stale:
                        throw new PassEndedException($"{replica} is at epoch {stale.Epoch} by now");
                    default:
                        throw new PassEndedException($"{replica} does not serve: it is to be made anew, or filled");
                }
            },
            why => new PassEndedException($"{replica} could not be scrubbed: {why}"),
            cancel
        );
    }

    private async Task HealAsync(Route route, Replica replica, RottenEntry[] rotten)
    {
        var outcomes = Enumerable.Repeat("Reported", rotten.Length).ToArray();
        if (repairs)
        {
            var keys = Array.ConvertAll(
                rotten,
                entry => new RepairKey(entry.Key, FSharpValueOption<Digest>.NewValueSome(entry.Recorded))
            );
            outcomes = await new Repairer(world, report.Shard.Index, cancel).RepairAsync(keys);
            for (var i = 0; i < outcomes.Length; i++)
                outcomes[i] =
                    outcomes[i] == "" && await IsSoundAsync(route, replica, rotten[i].Key) ? "Repaired"
                    : outcomes[i] == "" ? "the copy is still not what its digest was taken of"
                    : outcomes[i];
        }

        for (var i = 0; i < rotten.Length; i++)
        {
            report.Count(DifferenceKind.Corrupt);
            if (outcomes[i] == "Repaired")
                report.Repaired++;
            else
                report.Unrepaired++;
            report.Name(
                new DivergenceView(
                    $"{rotten[i].Key}",
                    report.Shard.Generation,
                    report.Shard.Shard,
                    $"{DifferenceKind.Corrupt}",
                    $"{rotten[i].Version}",
                    $"{rotten[i].Recorded}",
                    [$"{replica.Node}: body has digest {rotten[i].Actual}"],
                    outcomes[i]
                )
            );
        }
    }

    private async Task<bool> IsSoundAsync(Route route, Replica replica, Key key)
    {
        var node = world.Node(replica.Node);
        ReadCommand[] read = [new(route.Stamp, replica.Store, key)];
        var replies = await world.AskAsync(replica.Node, limit => node.Read(read, limit), cancel);
        return replies[0].IsFound || replies[0].IsAbsent;
    }
}
