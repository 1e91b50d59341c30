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

    public static readonly FrameCodec<ReconcileReply> ReconcileReply = new(
        FrameKind.ReconcileReply,
        (writer, reply) =>
        {
            switch (reply)
            {
                case ReconcileReply.Progress progress:
                    writer.Byte(1);
                    WriteProgress(writer, progress.Item);
                    break;
                case ReconcileReply.ReconcileStaleEpoch stale:
                    writer.Byte(2);
                    writer.Int64(stale.Epoch);
                    break;
                case { IsReconcileNotServing: true }:
                    writer.Byte(3);
                    break;
                case ReconcileReply.SourceFailed failed:
                    writer.Byte(4);
                    writer.Name(failed.Node);
                    writer.Message(failed.Message);
                    break;
                case ReconcileReply.ReconcileRefused refused:
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
                1 => Core.ReconcileReply.NewProgress(ReadProgress(ref reader)),
                2 => Core.ReconcileReply.NewReconcileStaleEpoch(reader.LongNatural()),
                3 => Core.ReconcileReply.ReconcileNotServing,
                4 => Core.ReconcileReply.NewSourceFailed(reader.Name(), reader.Message()),
                5 => Core.ReconcileReply.NewReconcileRefused(reader.Refusal()),
                var other => throw NodeFrames.NoCase(other),
            }
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
            var other => throw NodeFrames.NoCase(other),
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
