using Miroir.Core;

namespace Miroir.Server.Wire;

/// <summary>A write passed on to its shard's writer, which needs a table of at least this revision.</summary>
internal sealed record PassedWrite(WriteCommand Command, long MinRevision);

/// <summary>A read passed on to the writer of its key's shard.</summary>
internal sealed record PassedRead(string Index, Key Key, long MinRevision);

/// <summary>What routers pass on to each other. Case numbers are frozen: append only.</summary>
internal static class RouterFrames
{
    public static readonly FrameCodec<PassedWrite> WriteCommand = new(
        FrameKind.WriteCommand,
        (writer, passed) =>
        {
            var command = passed.Command;
            writer.Int64(passed.MinRevision);
            writer.Name(command.Index);
            writer.Key(command.Key);
            writer.Byte((byte)command.Intent);
            writer.Bytes(command.Body.Span);
            WriteCondition(writer, command.Condition);
            writer.Guid(command.OperationId);
        },
        (ref reader) =>
        {
            var minRevision = reader.LongNatural();
            var index = reader.Name();
            var key = reader.Key();
            var intent = reader.Byte() switch
            {
                0 => WriteIntent.Replace,
                1 => WriteIntent.Merge,
                2 => WriteIntent.Delete,
                var other => throw NodeFrames.NoCase(other),
            };
            var command = new WriteCommand(index, key, intent, reader.Body(), ReadCondition(ref reader), reader.Guid());
            return new PassedWrite(command, minRevision);
        }
    );

    public static readonly FrameCodec<WriteOutcome> WriteOutcome = new(
        FrameKind.WriteOutcome,
        (writer, outcome) =>
        {
            switch (outcome)
            {
                case WriteOutcome.Written written:
                    writer.Byte(1);
                    writer.Version(written.Version);
                    writer.Flag(written.WasLive);
                    break;
                case WriteOutcome.ConditionFailed failed:
                    writer.Byte(2);
                    writer.Version(failed.Found);
                    break;
                case WriteOutcome.Unknown unknown:
                    writer.Byte(3);
                    writer.Message(unknown.Why);
                    break;
                case WriteOutcome.Rejected rejected:
                    writer.Byte(4);
                    writer.Refusal(rejected.Item);
                    break;
                default:
                    throw NodeFrames.Unknown(outcome);
            }
        },
        (ref reader) =>
            reader.Byte() switch
            {
                1 => Core.WriteOutcome.NewWritten(reader.Version(), reader.Flag()),
                2 => Core.WriteOutcome.NewConditionFailed(reader.Version()),
                3 => Core.WriteOutcome.NewUnknown(reader.Message()),
                4 => Core.WriteOutcome.NewRejected(reader.Refusal()),
                var other => throw NodeFrames.NoCase(other),
            }
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

    public static readonly FrameCodec<ReadOutcome> ReadOutcome = new(
        FrameKind.ReadOutcome,
        (writer, outcome) =>
        {
            switch (outcome)
            {
                case ReadOutcome.Value value:
                    writer.Byte(1);
                    writer.Document(value.Item);
                    break;
                case ReadOutcome.Nothing nothing:
                    writer.Byte(2);
                    writer.Version(nothing.Version);
                    break;
                case ReadOutcome.Unavailable unavailable:
                    writer.Byte(3);
                    writer.Message(unavailable.Why);
                    break;
                default:
                    throw NodeFrames.Unknown(outcome);
            }
        },
        (ref reader) =>
            reader.Byte() switch
            {
                1 => Core.ReadOutcome.NewValue(reader.Document()),
                2 => Core.ReadOutcome.NewNothing(reader.Version()),
                3 => Core.ReadOutcome.NewUnavailable(reader.Message()),
                var other => throw NodeFrames.NoCase(other),
            }
    );

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
            var other => throw NodeFrames.NoCase(other),
        };
}
