using Miroir.Core;

namespace Miroir.Server.Wire;

/// <summary>A shard whose feed's bound is asked for at its writer, which needs a table of at least this revision.</summary>
internal sealed record PassedBound(ShardId Shard, long MinRevision);

/// <summary>What the change feed asks of nodes and of writers. Case numbers are frozen: append only.</summary>
internal static class FeedFrames
{
    public static readonly FrameCodec<ChangesCommand> ChangesCommand = new(
        FrameKind.ChangesCommand,
        (writer, command) =>
        {
            writer.Stamp(command.Stamp);
            writer.Shard(command.Store);
            writer.Range(command.Range);
            writer.Version(command.After);
            writer.Version(command.Through);
            writer.Int32(command.MaxChanges);
        },
        (ref reader) =>
            new ChangesCommand(
                reader.Stamp(),
                reader.Shard(),
                reader.Range(),
                reader.Version(),
                reader.Version(),
                reader.Natural()
            )
    );

    public static readonly FrameCodec<ChangesReply> ChangesReply = Union.Codec(
        FrameKind.ChangesReply,
        Union.Case<ChangesReply, ChangesReply.Changes>(
            1,
            (writer, reply) =>
            {
                writer.Changes(reply.Item.Changes);
                writer.Flag(reply.Item.IsLast);
                writer.Version(reply.Item.Floor);
            },
            (ref reader) =>
                Core.ChangesReply.NewChanges(new ChangesPage(reader.Changes(), reader.Flag(), reader.Version()))
        ),
        Union.Stale<ChangesReply, ChangesReply.ChangesStaleEpoch>(
            2,
            reply => (reply.Epoch, reply.Route),
            Core.ChangesReply.NewChangesStaleEpoch
        ),
        Union.Case(3, Core.ChangesReply.ChangesNotServing),
        Union.Refused<ChangesReply, ChangesReply.ChangesRefused>(
            4,
            reply => reply.Item,
            Core.ChangesReply.NewChangesRefused
        )
    );

    public static readonly FrameCodec<LogChangesCommand> LogChangesCommand = new(
        FrameKind.LogChangesCommand,
        (writer, command) =>
        {
            writer.Stamp(command.Stamp);
            writer.Shard(command.Store);
            writer.Changes(command.Changes);
            writer.Version(command.Floor);
            writer.Range(command.FloorRange);
        },
        (ref reader) =>
            new LogChangesCommand(reader.Stamp(), reader.Shard(), reader.Changes(), reader.Version(), reader.Range())
    );

    public static readonly FrameCodec<LogChangesReply> LogChangesReply = Union.Codec(
        FrameKind.LogChangesReply,
        Union.Case(1, Core.LogChangesReply.Logged),
        Union.Stale<LogChangesReply, LogChangesReply.LogStaleEpoch>(
            2,
            reply => (reply.Epoch, reply.Route),
            Core.LogChangesReply.NewLogStaleEpoch
        ),
        Union.Case(3, Core.LogChangesReply.LogNotServing),
        Union.Refused<LogChangesReply, LogChangesReply.LogRefused>(
            4,
            reply => reply.Item,
            Core.LogChangesReply.NewLogRefused
        )
    );

    public static readonly FrameCodec<PassedBound> FeedBoundCommand = new(
        FrameKind.FeedBoundCommand,
        (writer, passed) =>
        {
            writer.Int64(passed.MinRevision);
            writer.Shard(passed.Shard);
        },
        (ref reader) =>
        {
            var revision = reader.LongNatural();
            return new PassedBound(reader.Shard(), revision);
        }
    );

    public static readonly FrameCodec<FeedBound> FeedBound = Union.Codec(
        FrameKind.FeedBound,
        Union.Case<FeedBound, FeedBound.Bound>(
            1,
            (writer, bound) =>
            {
                writer.Int64(bound.Epoch);
                writer.Version(bound.Settled);
                writer.Version(bound.Newest);
            },
            (ref reader) => Core.FeedBound.NewBound(reader.LongNatural(), reader.Version(), reader.Version())
        ),
        Union.Case(2, Core.FeedBound.NotTheWriter)
    );

    /// <summary>The least bytes that a change takes: what bounds a count of them.</summary>
    private const int LeastChangeBytes = 16 + 4 + 1 + 16 + 1 + 16;

    private static void Changes(this FrameWriter writer, Change[] changes)
    {
        writer.Int32(changes.Length);
        foreach (var change in changes)
        {
            writer.Version(change.Position);
            writer.Key(change.Key);
            writer.Version(change.Version);
            writer.Flag(change.IsDelete);
            writer.Guid(change.OperationId);
        }
    }

    private static Change[] Changes(this ref FrameReader reader)
    {
        var changes = new Change[reader.Count(LeastChangeBytes)];
        for (var i = 0; i < changes.Length; i++)
            changes[i] = new Change(reader.Version(), reader.Key(), reader.Version(), reader.Flag(), reader.Guid());
        return changes;
    }
}
