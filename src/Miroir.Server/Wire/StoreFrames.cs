using Miroir.Core;

namespace Miroir.Server.Wire;

/// <summary>The making and dropping of stores. Case numbers are frozen: append only.</summary>
internal static class StoreFrames
{
    public static readonly FrameCodec<MakeCommand> MakeCommand = new(
        FrameKind.MakeCommand,
        (writer, command) =>
        {
            writer.Stamp(command.Stamp);
            writer.Shard(command.Store);
            writer.Range(command.Range);
            writer.Int64(command.Migration);
            writer.Int32(command.Attempt);
        },
        (ref reader) =>
            new MakeCommand(reader.Stamp(), reader.Shard(), reader.Range(), reader.LongNatural(), reader.Natural())
    );

    public static readonly FrameCodec<MakeReply> MakeReply = Union.Codec(
        FrameKind.MakeReply,
        Union.Case<MakeReply, MakeReply.Made>(
            1,
            (writer, reply) => writer.Guid(reply.Incarnation),
            (ref reader) => Core.MakeReply.NewMade(reader.Guid())
        ),
        Union.Case<MakeReply, MakeReply.MakeStaleEpoch>(
            2,
            (writer, reply) => writer.Int64(reply.Epoch),
            (ref reader) => Core.MakeReply.NewMakeStaleEpoch(reader.LongNatural())
        ),
        Union.Refused<MakeReply, MakeReply.MakeRefused>(3, reply => reply.Item, Core.MakeReply.NewMakeRefused)
    );

    public static readonly FrameCodec<DropCommand> DropCommand = new(
        FrameKind.DropCommand,
        (writer, command) =>
        {
            writer.Stamp(command.Stamp);
            writer.Shard(command.Store);
            writer.Guid(command.Incarnation);
            writer.Int64(command.Migration);
        },
        (ref reader) => new DropCommand(reader.Stamp(), reader.Shard(), reader.Guid(), reader.LongNatural())
    );

    public static readonly FrameCodec<DropReply> DropReply = Union.Codec(
        FrameKind.DropReply,
        Union.Case(1, Core.DropReply.Dropped),
        Union.Case(2, Core.DropReply.AlreadyGone),
        Union.Case<DropReply, DropReply.DropStaleEpoch>(
            3,
            (writer, reply) => writer.Int64(reply.Epoch),
            (ref reader) => Core.DropReply.NewDropStaleEpoch(reader.LongNatural())
        ),
        Union.Case(4, Core.DropReply.NotTheSame),
        Union.Refused<DropReply, DropReply.DropRefused>(5, reply => reply.Item, Core.DropReply.NewDropRefused)
    );
}
