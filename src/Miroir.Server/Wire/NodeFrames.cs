using Miroir.Core;

namespace Miroir.Server.Wire;

/// <summary>What is put to a node and answered once. Case numbers are frozen: append only.</summary>
internal static class NodeFrames
{
    public static readonly FrameCodec<PutCommand> PutCommand = new(
        FrameKind.PutCommand,
        (writer, command) =>
        {
            writer.Stamp(command.Stamp);
            writer.Shard(command.Store);
            writer.Document(command.Document);
        },
        (ref reader) => new PutCommand(reader.Stamp(), reader.Shard(), reader.Document())
    );

    public static readonly FrameCodec<PutReply> PutReply = new(
        FrameKind.PutReply,
        (writer, reply) =>
        {
            switch (reply)
            {
                case PutReply.Applied applied:
                    writer.Byte(1);
                    writer.Flag(applied.PreviousWasLive);
                    break;
                case PutReply.Superseded superseded:
                    writer.Byte(2);
                    writer.Version(superseded.Stored);
                    break;
                case PutReply.StaleEpoch stale:
                    writer.Byte(3);
                    writer.Int64(stale.Epoch);
                    writer.OptionalRoute(stale.Route);
                    break;
                case { IsNotServing: true }:
                    writer.Byte(4);
                    break;
                case PutReply.Refused refused:
                    writer.Byte(5);
                    writer.Refusal(refused.Item);
                    break;
                default:
                    throw Unknown(reply);
            }
        },
        (ref reader) =>
            reader.Byte() switch
            {
                1 => Core.PutReply.NewApplied(reader.Flag()),
                2 => Core.PutReply.NewSuperseded(reader.Version()),
                3 => Core.PutReply.NewStaleEpoch(reader.LongNatural(), reader.OptionalRoute()),
                4 => Core.PutReply.NotServing,
                5 => Core.PutReply.NewRefused(reader.Refusal()),
                var other => throw NoCase(other),
            }
    );

    public static readonly FrameCodec<ReadCommand> ReadCommand = new(
        FrameKind.ReadCommand,
        (writer, command) =>
        {
            writer.Stamp(command.Stamp);
            writer.Shard(command.Store);
            writer.Key(command.Key);
        },
        (ref reader) => new ReadCommand(reader.Stamp(), reader.Shard(), reader.Key())
    );

    public static readonly FrameCodec<ReadReply> ReadReply = new(
        FrameKind.ReadReply,
        (writer, reply) =>
        {
            switch (reply)
            {
                case ReadReply.Found found:
                    writer.Byte(1);
                    writer.Document(found.Item);
                    break;
                case { IsAbsent: true }:
                    writer.Byte(2);
                    break;
                case ReadReply.ReadStaleEpoch stale:
                    writer.Byte(3);
                    writer.Int64(stale.Epoch);
                    writer.OptionalRoute(stale.Route);
                    break;
                case { IsReadNotServing: true }:
                    writer.Byte(4);
                    break;
                case ReadReply.ReadRefused refused:
                    writer.Byte(5);
                    writer.Refusal(refused.Item);
                    break;
                default:
                    throw Unknown(reply);
            }
        },
        (ref reader) =>
            reader.Byte() switch
            {
                1 => Core.ReadReply.NewFound(reader.Document()),
                2 => Core.ReadReply.Absent,
                3 => Core.ReadReply.NewReadStaleEpoch(reader.LongNatural(), reader.OptionalRoute()),
                4 => Core.ReadReply.ReadNotServing,
                5 => Core.ReadReply.NewReadRefused(reader.Refusal()),
                var other => throw NoCase(other),
            }
    );

    public static readonly FrameCodec<BarrierCommand> BarrierCommand = new(
        FrameKind.BarrierCommand,
        (writer, command) =>
        {
            writer.Stamp(command.Stamp);
            writer.Shard(command.Store);
            writer.OptionalRoute(command.Route);
        },
        (ref reader) => new BarrierCommand(reader.Stamp(), reader.Shard(), reader.OptionalRoute())
    );

    public static readonly FrameCodec<BarrierReply> BarrierReply = new(
        FrameKind.BarrierReply,
        (writer, reply) =>
        {
            switch (reply)
            {
                case BarrierReply.Confirmed confirmed:
                    writer.Byte(1);
                    writer.Guid(confirmed.Incarnation);
                    break;
                case { IsConfirmedNotServing: true }:
                    writer.Byte(2);
                    break;
                case BarrierReply.BarrierAbove above:
                    writer.Byte(3);
                    writer.Int64(above.Epoch);
                    break;
                case BarrierReply.BarrierRefused refused:
                    writer.Byte(4);
                    writer.Refusal(refused.Item);
                    break;
                default:
                    throw Unknown(reply);
            }
        },
        (ref reader) =>
            reader.Byte() switch
            {
                1 => Core.BarrierReply.NewConfirmed(reader.Guid()),
                2 => Core.BarrierReply.ConfirmedNotServing,
                3 => Core.BarrierReply.NewBarrierAbove(reader.LongNatural()),
                4 => Core.BarrierReply.NewBarrierRefused(reader.Refusal()),
                var other => throw NoCase(other),
            }
    );

    internal static WireException NoCase(byte number) => FrameReader.Bad($"no case has the number {number} here");

    internal static ArgumentException Unknown(object value) => new($"{value.GetType().Name} has no number on the wire");
}
