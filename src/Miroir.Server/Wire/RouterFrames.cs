using Microsoft.FSharp.Core;
using Miroir.Core;

namespace Miroir.Server.Wire;

/// <summary>A write passed on to its shard's writer, which needs a table of at least this revision.</summary>
internal sealed record PassedWrite(WriteCommand Command, long MinRevision);

/// <summary>A read passed on to the writer of its key's shard.</summary>
internal sealed record PassedRead(string Index, Key Key, long MinRevision);

/// <summary>A put of an ended term, handed to the writer of its key.</summary>
internal sealed record PassedInspection(InspectCommand Inspected, long MinRevision);

/// <summary>What routers pass on to each other. Case numbers are frozen: append only.</summary>
internal static class RouterFrames
{
    public static readonly FrameCodec<PassedWrite> WriteCommand = new(
        FrameKind.WriteCommand,
        (writer, passed) =>
        {
            writer.Int64(passed.MinRevision);
            WriteWrite(writer, passed.Command);
        },
        (ref reader) =>
        {
            var minRevision = reader.LongNatural();
            return new PassedWrite(ReadWrite(ref reader), minRevision);
        }
    );

    public static readonly FrameCodec<PassedInspection> InspectCommand = new(
        FrameKind.InspectCommand,
        (writer, passed) =>
        {
            writer.Int64(passed.MinRevision);
            WriteWrite(writer, passed.Inspected.Command);
            writer.Version(passed.Inspected.Issued);
            writer.Flag(passed.Inspected.CheckedBase.IsSome);
            if (passed.Inspected.CheckedBase.IsSome)
                writer.Version(passed.Inspected.CheckedBase.Value);
            writer.Flag(passed.Inspected.WasLive);
        },
        (ref reader) =>
        {
            var minRevision = reader.LongNatural();
            var command = ReadWrite(ref reader);
            var issued = reader.Version();
            var checkedBase = reader.Flag()
                ? FSharpValueOption<DocumentVersion>.NewValueSome(reader.Version())
                : FSharpValueOption<DocumentVersion>.ValueNone;
            return new PassedInspection(new InspectCommand(command, issued, checkedBase, reader.Flag()), minRevision);
        }
    );

    public static readonly FrameCodec<WriteOutcome> WriteOutcome = Union.Codec(
        FrameKind.WriteOutcome,
        Union.Case<WriteOutcome, WriteOutcome.Written>(
            1,
            (writer, reply) =>
            {
                writer.Version(reply.Version);
                writer.Flag(reply.WasLive);
            },
            (ref reader) => Core.WriteOutcome.NewWritten(reader.Version(), reader.Flag())
        ),
        Union.Case<WriteOutcome, WriteOutcome.ConditionFailed>(
            2,
            (writer, reply) => writer.Version(reply.Found),
            (ref reader) => Core.WriteOutcome.NewConditionFailed(reader.Version())
        ),
        Union.Case<WriteOutcome, WriteOutcome.Unknown>(
            3,
            (writer, reply) => writer.Message(reply.Why),
            (ref reader) => Core.WriteOutcome.NewUnknown(reader.Message())
        ),
        Union.Refused<WriteOutcome, WriteOutcome.Rejected>(4, reply => reply.Item, Core.WriteOutcome.NewRejected)
    );

    public static readonly FrameCodec<PassedRead> ReadCommand = new(
        FrameKind.WriterReadCommand,
        (writer, passed) =>
        {
            writer.Int64(passed.MinRevision);
            writer.Name(passed.Index);
            writer.Key(passed.Key);
        },
        (ref reader) =>
        {
            var minRevision = reader.LongNatural();
            return new PassedRead(reader.Name(), reader.Key(), minRevision);
        }
    );

    public static readonly FrameCodec<ReadOutcome> ReadOutcome = Union.Codec(
        FrameKind.ReadOutcome,
        Union.Case<ReadOutcome, ReadOutcome.Value>(
            1,
            (writer, reply) => writer.Document(reply.Item),
            (ref reader) => Core.ReadOutcome.NewValue(reader.Document())
        ),
        Union.Case<ReadOutcome, ReadOutcome.Nothing>(
            2,
            (writer, reply) => writer.Version(reply.Version),
            (ref reader) => Core.ReadOutcome.NewNothing(reader.Version())
        ),
        Union.Case<ReadOutcome, ReadOutcome.Unavailable>(
            3,
            (writer, reply) => writer.Message(reply.Why),
            (ref reader) => Core.ReadOutcome.NewUnavailable(reader.Message())
        )
    );

    private static void WriteWrite(FrameWriter writer, WriteCommand command)
    {
        writer.Name(command.Index);
        writer.Key(command.Key);
        writer.Byte((byte)command.Intent);
        writer.Bytes(command.Body.Span);
        WriteCondition(writer, command.Condition);
        writer.Guid(command.OperationId);
    }

    private static WriteCommand ReadWrite(ref FrameReader reader)
    {
        var index = reader.Name();
        var key = reader.Key();
        var intent = reader.Byte() switch
        {
            0 => WriteIntent.Replace,
            1 => WriteIntent.Merge,
            2 => WriteIntent.Delete,
            var other => throw Union.NoCase(other),
        };
        return new WriteCommand(index, key, intent, reader.Body(), ReadCondition(ref reader), reader.Guid());
    }

    private static void WriteCondition(FrameWriter writer, Condition condition)
    {
        if (condition.IsAlways)
            writer.Byte(1);
        else if (condition.IsIfAbsent)
            writer.Byte(3);
        else if (condition.IsIfPresent)
            writer.Byte(4);
        else
        {
            writer.Byte(2);
            writer.Version(condition.Item);
        }
    }

    private static Condition ReadCondition(ref FrameReader reader) =>
        reader.Byte() switch
        {
            1 => Condition.Always,
            2 => Condition.NewIfVersion(reader.Version()),
            3 => Condition.IfAbsent,
            4 => Condition.IfPresent,
            var other => throw Union.NoCase(other),
        };
}
