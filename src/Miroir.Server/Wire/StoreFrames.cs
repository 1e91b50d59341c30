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

    public static readonly FrameCodec<MakeReply> MakeReply = new(
        FrameKind.MakeReply,
        (writer, reply) =>
        {
            switch (reply)
            {
                case MakeReply.Made made:
                    writer.Byte(1);
                    writer.Guid(made.Incarnation);
                    break;
                case MakeReply.MakeStaleEpoch stale:
                    writer.Byte(2);
                    writer.Int64(stale.Epoch);
                    break;
                case MakeReply.MakeRefused refused:
                    writer.Byte(3);
                    writer.Refusal(refused.Item);
                    break;
                default:
                    throw NodeFrames.Unknown(reply);
            }
        },
        (ref reader) =>
            reader.Byte() switch
            {
                1 => Core.MakeReply.NewMade(reader.Guid()),
                2 => Core.MakeReply.NewMakeStaleEpoch(reader.LongNatural()),
                3 => Core.MakeReply.NewMakeRefused(reader.Refusal()),
                var other => throw NodeFrames.NoCase(other),
            }
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

    public static readonly FrameCodec<DropReply> DropReply = new(
        FrameKind.DropReply,
        (writer, reply) =>
        {
            switch (reply)
            {
                case { IsDropped: true }:
                    writer.Byte(1);
                    break;
                case { IsAlreadyGone: true }:
                    writer.Byte(2);
                    break;
                case DropReply.DropStaleEpoch stale:
                    writer.Byte(3);
                    writer.Int64(stale.Epoch);
                    break;
                case { IsNotTheSame: true }:
                    writer.Byte(4);
                    break;
                case DropReply.DropRefused refused:
                    writer.Byte(5);
                    writer.Refusal(refused.Item);
                    break;
                default:
                    throw NodeFrames.Unknown(reply);
            }
        },
        (ref reader) =>
            reader.Byte() switch
            {
                1 => Core.DropReply.Dropped,
                2 => Core.DropReply.AlreadyGone,
                3 => Core.DropReply.NewDropStaleEpoch(reader.LongNatural()),
                4 => Core.DropReply.NotTheSame,
                5 => Core.DropReply.NewDropRefused(reader.Refusal()),
                var other => throw NodeFrames.NoCase(other),
            }
    );
}
