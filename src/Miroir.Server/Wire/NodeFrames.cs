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

    public static readonly FrameCodec<PutReply> PutReply = Union.Codec(
        FrameKind.PutReply,
        Union.Case<PutReply, PutReply.Applied>(
            1,
            (writer, reply) => writer.Flag(reply.PreviousWasLive),
            (ref reader) => Core.PutReply.NewApplied(reader.Flag())
        ),
        Union.Case<PutReply, PutReply.Superseded>(
            2,
            (writer, reply) => writer.Version(reply.Stored),
            (ref reader) => Core.PutReply.NewSuperseded(reader.Version())
        ),
        Union.Stale<PutReply, PutReply.StaleEpoch>(3, reply => (reply.Epoch, reply.Route), Core.PutReply.NewStaleEpoch),
        Union.Case(4, Core.PutReply.NotServing),
        Union.Refused<PutReply, PutReply.Refused>(5, reply => reply.Item, Core.PutReply.NewRefused)
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

    public static readonly FrameCodec<ReadReply> ReadReply = Union.Codec(
        FrameKind.ReadReply,
        Union.Case<ReadReply, ReadReply.Found>(
            1,
            (writer, reply) => writer.Document(reply.Item),
            (ref reader) => Core.ReadReply.NewFound(reader.Document())
        ),
        Union.Case(2, Core.ReadReply.Absent),
        Union.Stale<ReadReply, ReadReply.ReadStaleEpoch>(
            3,
            reply => (reply.Epoch, reply.Route),
            Core.ReadReply.NewReadStaleEpoch
        ),
        Union.Case(4, Core.ReadReply.ReadNotServing),
        Union.Refused<ReadReply, ReadReply.ReadRefused>(5, reply => reply.Item, Core.ReadReply.NewReadRefused)
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

    public static readonly FrameCodec<BarrierReply> BarrierReply = Union.Codec(
        FrameKind.BarrierReply,
        Union.Case<BarrierReply, BarrierReply.Confirmed>(
            1,
            (writer, reply) => writer.Guid(reply.Incarnation),
            (ref reader) => Core.BarrierReply.NewConfirmed(reader.Guid())
        ),
        Union.Case(2, Core.BarrierReply.ConfirmedNotServing),
        Union.Case<BarrierReply, BarrierReply.BarrierAbove>(
            3,
            (writer, reply) => writer.Int64(reply.Epoch),
            (ref reader) => Core.BarrierReply.NewBarrierAbove(reader.LongNatural())
        ),
        Union.Refused<BarrierReply, BarrierReply.BarrierRefused>(
            4,
            reply => reply.Item,
            Core.BarrierReply.NewBarrierRefused
        )
    );
}
