using Miroir.Core;

namespace Miroir.Server.Wire;

/// <summary>What a target is asked to pull, and how far it is. Case numbers are frozen: append only.</summary>
internal static class ReconcileFrames
{
    public static readonly FrameCodec<ReconcileCommand> ReconcileCommand = new(
        FrameKind.ReconcileCommand,
        (writer, command) =>
        {
            writer.Stamp(command.Stamp);
            writer.Shard(command.Store);
            writer.Range(command.Range);
            writer.Int32(command.Sources.Length);
            foreach (var source in command.Sources)
            {
                writer.Name(source.Node);
                writer.Name(source.Address);
                writer.Shard(source.Store);
                writer.Guid(source.Incarnation);
            }
            writer.Byte((byte)command.Mode);
            writer.OptionalKey(command.After);
            writer.Int32(command.DocumentsPerSecond);
            writer.Int64(command.Migration);
            writer.Int32(command.Attempt);
        },
        ReadCommand
    );

    public static readonly FrameCodec<ReconcileReply> ReconcileReply = Union.Codec(
        FrameKind.ReconcileReply,
        Union.Case<ReconcileReply, ReconcileReply.Progress>(
            1,
            (writer, reply) => WriteProgress(writer, reply.Item),
            (ref reader) => Core.ReconcileReply.NewProgress(ReadProgress(ref reader))
        ),
        Union.Case<ReconcileReply, ReconcileReply.ReconcileStaleEpoch>(
            2,
            (writer, reply) => writer.Int64(reply.Epoch),
            (ref reader) => Core.ReconcileReply.NewReconcileStaleEpoch(reader.LongNatural())
        ),
        Union.Case(3, Core.ReconcileReply.ReconcileNotServing),
        Union.Case<ReconcileReply, ReconcileReply.SourceFailed>(
            4,
            (writer, reply) =>
            {
                writer.Name(reply.Node);
                writer.Message(reply.Message);
            },
            (ref reader) => Core.ReconcileReply.NewSourceFailed(reader.Name(), reader.Message())
        ),
        Union.Refused<ReconcileReply, ReconcileReply.ReconcileRefused>(
            5,
            reply => reply.Item,
            Core.ReconcileReply.NewReconcileRefused
        )
    );

    private static ReconcileCommand ReadCommand(ref FrameReader reader)
    {
        var stamp = reader.Stamp();
        var store = reader.Shard();
        var range = reader.Range();
        var sources = new SourceReplica[reader.Count(30)];
        for (var i = 0; i < sources.Length; i++)
            sources[i] = new SourceReplica(reader.Name(), reader.Name(), reader.Shard(), reader.Guid());
        var mode = reader.Byte() switch
        {
            0 => ReconcileMode.Copy,
            1 => ReconcileMode.Delta,
            2 => ReconcileMode.Rebuild,
            3 => ReconcileMode.ChangeLog,
            var other => throw Union.NoCase(other),
        };
        return new ReconcileCommand(
            stamp,
            store,
            range,
            sources,
            mode,
            reader.OptionalKey(),
            reader.Natural(),
            reader.LongNatural(),
            reader.Natural()
        );
    }

    private static void WriteProgress(FrameWriter writer, ReconcileProgress progress)
    {
        writer.OptionalKey(progress.Position);
        writer.Int64(progress.Compared);
        writer.Int64(progress.Copied);
        writer.Int64(progress.CopiedBytes);
        writer.Int64(progress.CopiedTombstones);
        writer.Digest(progress.MergeDigest);
        writer.Version(progress.Watermark);
        writer.Guid(progress.Incarnation);
        writer.Flag(progress.IsComplete);
    }

    private static ReconcileProgress ReadProgress(ref FrameReader reader) =>
        new(
            reader.OptionalKey(),
            reader.LongNatural(),
            reader.LongNatural(),
            reader.LongNatural(),
            reader.LongNatural(),
            reader.Digest(),
            reader.Version(),
            reader.Guid(),
            reader.Flag()
        );
}
