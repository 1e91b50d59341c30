using Microsoft.FSharp.Core;
using Miroir.Core;

namespace Miroir.Server.Wire;

/// <summary>What anti-entropy asks of nodes. Case numbers are frozen: append only.</summary>
internal static class EntropyFrames
{
    private const int RangeBytes = 16;

    public static readonly FrameCodec<DigestCommand> DigestCommand = new(
        FrameKind.DigestCommand,
        (writer, command) =>
        {
            writer.Stamp(command.Stamp);
            writer.Shard(command.Store);
            writer.Ranges(command.Ranges);
        },
        (ref reader) => new DigestCommand(reader.Stamp(), reader.Shard(), reader.Ranges())
    );

    public static readonly FrameCodec<DigestReply> DigestReply = Union.Codec(
        FrameKind.DigestReply,
        Union.Case<DigestReply, DigestReply.Digests>(
            1,
            (writer, reply) =>
            {
                writer.Guid(reply.Item.Incarnation);
                writer.Version(reply.Item.Floor);
                writer.Int32(reply.Item.Digests.Length);
                foreach (var digest in reply.Item.Digests)
                {
                    writer.Digest(digest.Sum);
                    writer.Int64(digest.Entries);
                }
            },
            (ref reader) =>
            {
                var incarnation = reader.Guid();
                var floor = reader.Version();
                var digests = new RangeDigest[reader.Count(RangeBytes + 8)];
                for (var i = 0; i < digests.Length; i++)
                    digests[i] = new RangeDigest(reader.Digest(), reader.LongNatural());
                return Core.DigestReply.NewDigests(new RangeDigests(incarnation, floor, digests));
            }
        ),
        Union.Stale<DigestReply, DigestReply.DigestStaleEpoch>(
            2,
            reply => (reply.Epoch, reply.Route),
            Core.DigestReply.NewDigestStaleEpoch
        ),
        Union.Case(3, Core.DigestReply.DigestNotServing),
        Union.Refused<DigestReply, DigestReply.DigestRefused>(4, reply => reply.Item, Core.DigestReply.NewDigestRefused)
    );

    public static readonly FrameCodec<RangesCommand> RangesCommand = new(
        FrameKind.RangesCommand,
        (writer, command) =>
        {
            writer.Stamp(command.Stamp);
            writer.Shard(command.Store);
            writer.Ranges(command.Ranges);
            writer.OptionalKey(command.After);
            writer.Int32(command.MaxEntries);
        },
        (ref reader) =>
            new RangesCommand(reader.Stamp(), reader.Shard(), reader.Ranges(), reader.OptionalKey(), reader.Natural())
    );

    public static readonly FrameCodec<HealCommand> HealCommand = new(
        FrameKind.HealCommand,
        (writer, command) =>
        {
            writer.Stamp(command.Stamp);
            writer.Shard(command.Store);
            writer.Document(command.Document);
            writer.Digest(command.Wrong);
        },
        (ref reader) => new HealCommand(reader.Stamp(), reader.Shard(), reader.Document(), reader.Digest())
    );

    public static readonly FrameCodec<HealReply> HealReply = Union.Codec(
        FrameKind.HealReply,
        Union.Case(1, Core.HealReply.Healed),
        Union.Case<HealReply, HealReply.NothingToHeal>(
            2,
            (writer, reply) => writer.Version(reply.Stored),
            (ref reader) => Core.HealReply.NewNothingToHeal(reader.Version())
        ),
        Union.Stale<HealReply, HealReply.HealStaleEpoch>(
            3,
            reply => (reply.Epoch, reply.Route),
            Core.HealReply.NewHealStaleEpoch
        ),
        Union.Case(4, Core.HealReply.HealNotServing),
        Union.Refused<HealReply, HealReply.HealRefused>(5, reply => reply.Item, Core.HealReply.NewHealRefused)
    );

    public static readonly FrameCodec<ScrubCommand> ScrubCommand = new(
        FrameKind.ScrubCommand,
        (writer, command) =>
        {
            writer.Stamp(command.Stamp);
            writer.Shard(command.Store);
            writer.Int32(command.FromLeaf);
            writer.Int64(command.MaxBytes);
        },
        (ref reader) => new ScrubCommand(reader.Stamp(), reader.Shard(), reader.Natural(), reader.LongNatural())
    );

    public static readonly FrameCodec<ScrubReply> ScrubReply = Union.Codec(
        FrameKind.ScrubReply,
        Union.Case<ScrubReply, ScrubReply.Scrubbed>(
            1,
            (writer, reply) => WritePart(writer, reply.Item),
            (ref reader) => Core.ScrubReply.NewScrubbed(ReadPart(ref reader))
        ),
        Union.Stale<ScrubReply, ScrubReply.ScrubStaleEpoch>(
            2,
            reply => (reply.Epoch, reply.Route),
            Core.ScrubReply.NewScrubStaleEpoch
        ),
        Union.Case(3, Core.ScrubReply.ScrubNotServing),
        Union.Refused<ScrubReply, ScrubReply.ScrubRefused>(4, reply => reply.Item, Core.ScrubReply.NewScrubRefused)
    );

    public static readonly FrameCodec<PurgeCommand> PurgeCommand = new(
        FrameKind.PurgeCommand,
        (writer, command) =>
        {
            writer.Stamp(command.Stamp);
            writer.Shard(command.Store);
            writer.Guid(command.Incarnation);
            writer.Version(command.Below);
        },
        (ref reader) => new PurgeCommand(reader.Stamp(), reader.Shard(), reader.Guid(), reader.Version())
    );

    public static readonly FrameCodec<PurgeReply> PurgeReply = Union.Codec(
        FrameKind.PurgeReply,
        Union.Case<PurgeReply, PurgeReply.Purged>(
            1,
            (writer, reply) => writer.Int64(reply.Tombstones),
            (ref reader) => Core.PurgeReply.NewPurged(reader.LongNatural())
        ),
        Union.Stale<PurgeReply, PurgeReply.PurgeStaleEpoch>(
            2,
            reply => (reply.Epoch, reply.Route),
            Core.PurgeReply.NewPurgeStaleEpoch
        ),
        Union.Case(3, Core.PurgeReply.PurgeNotServing),
        Union.Refused<PurgeReply, PurgeReply.PurgeRefused>(4, reply => reply.Item, Core.PurgeReply.NewPurgeRefused)
    );

    private static void Ranges(this FrameWriter writer, HashRange[] ranges)
    {
        writer.Int32(ranges.Length);
        foreach (var range in ranges)
            writer.Range(range);
    }

    private static HashRange[] Ranges(this ref FrameReader reader)
    {
        var ranges = new HashRange[reader.Count(RangeBytes)];
        for (var i = 0; i < ranges.Length; i++)
            ranges[i] = reader.Range();
        return ranges;
    }

    private static void WritePart(FrameWriter writer, ScrubPart part)
    {
        // No leaf is 0 on the wire, so that the number never goes below it.
        writer.Int32(part.NextLeaf + 1);
        writer.Int64(part.Entries);
        writer.Int64(part.Bytes);
        writer.Int32(part.DriftedLeaves);
        writer.Int32(part.Rotten.Length);
        foreach (var rotten in part.Rotten)
        {
            writer.Key(rotten.Key);
            writer.Version(rotten.Version);
            writer.Digest(rotten.Recorded);
            writer.Digest(rotten.Actual);
        }
    }

    private static ScrubPart ReadPart(ref FrameReader reader)
    {
        var next = reader.Natural() - 1;
        var entries = reader.LongNatural();
        var bytes = reader.LongNatural();
        var drifted = reader.Natural();
        var rotten = new RottenEntry[reader.Count(5 + 16 + 32)];
        for (var i = 0; i < rotten.Length; i++)
            rotten[i] = new RottenEntry(reader.Key(), reader.Version(), reader.Digest(), reader.Digest());
        return new ScrubPart(next, entries, bytes, rotten, drifted);
    }
}
