using Miroir.Core;

namespace Miroir.Server.Wire;

/// <summary>What a node answers with a stream. Case numbers are frozen: append only.</summary>
internal static class ScanFrames
{
    public static readonly FrameCodec<ScanCommand> ScanCommand = new(
        FrameKind.ScanCommand,
        (writer, command) =>
        {
            writer.Stamp(command.Stamp);
            writer.Shard(command.Store);
            writer.Range(command.Range);
            writer.OptionalKey(command.After);
            writer.Int32(command.MaxEntries);
            writer.Int32(command.MaxBytes);
            writer.Flag(command.WithBodies);
        },
        (ref reader) =>
            new ScanCommand(
                reader.Stamp(),
                reader.Shard(),
                reader.Range(),
                reader.OptionalKey(),
                reader.Natural(),
                reader.Natural(),
                reader.Flag()
            )
    );

    public static readonly FrameCodec<ScanReply> ScanReply = Union.Codec(
        FrameKind.ScanReply,
        Union.Case<ScanReply, ScanReply.Page>(
            1,
            (writer, reply) => WritePage(writer, reply.Item),
            (ref reader) => Core.ScanReply.NewPage(ReadPage(ref reader))
        ),
        Union.Stale<ScanReply, ScanReply.ScanStaleEpoch>(
            2,
            reply => (reply.Epoch, reply.Route),
            Core.ScanReply.NewScanStaleEpoch
        ),
        Union.Case(3, Core.ScanReply.ScanNotServing),
        Union.Refused<ScanReply, ScanReply.ScanRefused>(4, reply => reply.Item, Core.ScanReply.NewScanRefused)
    );

    private static void WritePage(FrameWriter writer, ScanPage page)
    {
        var withBodies = page.Bodies.Length > 0;
        if (withBodies && page.Bodies.Length != page.Entries.Length)
            throw new ArgumentException($"{page.Bodies.Length} bodies for {page.Entries.Length} entries");
        writer.Flag(page.IsLast);
        writer.Flag(withBodies);
        writer.Int32(page.Entries.Length);
        for (var i = 0; i < page.Entries.Length; i++)
        {
            writer.Entry(page.Entries[i]);
            if (withBodies)
                writer.Bytes(page.Bodies[i].Span);
        }
    }

    private static ScanPage ReadPage(ref FrameReader reader)
    {
        var isLast = reader.Flag();
        var withBodies = reader.Flag();
        var count = reader.Count(Fields.LeastEntryBytes + (withBodies ? 4 : 0));
        var entries = new Entry[count];
        var bodies = withBodies ? new ReadOnlyMemory<byte>[count] : [];
        // One array for the whole page: its documents travel together.
        var own = withBodies ? reader.CopyOfRest() : [];
        for (var i = 0; i < count; i++)
        {
            entries[i] = reader.Entry();
            if (!withBodies)
                continue;
            var length = reader.Bytes(FrameLayout.MaxFrameBytes).Length;
            bodies[i] = own.AsMemory(own.Length - reader.Remaining - length, length);
        }
        return new ScanPage(entries, bodies, isLast);
    }
}
