using Microsoft.FSharp.Core;
using Miroir.Core;

namespace Miroir.Server.Wire;

/// <summary>A repair for the writer of its keys' shards, which needs a table of at least this revision.</summary>
internal sealed record PassedRepair(RepairCommand Command, long MinRevision);

/// <summary>Repairs by a shard's writer. Case numbers are frozen: append only.</summary>
internal static class RepairFrames
{
    public static readonly FrameCodec<PassedRepair> RepairCommand = new(
        FrameKind.RepairCommand,
        (writer, passed) =>
        {
            writer.Int64(passed.MinRevision);
            writer.Name(passed.Command.Index);
            writer.Int32(passed.Command.Keys.Length);
            foreach (var key in passed.Command.Keys)
            {
                writer.Key(key.Key);
                writer.Flag(key.Keep.IsSome);
                if (key.Keep.IsSome)
                    writer.Digest(key.Keep.Value);
            }
        },
        (ref reader) =>
        {
            var revision = reader.LongNatural();
            var index = reader.Name();
            var keys = new RepairKey[reader.Count(6)];
            for (var i = 0; i < keys.Length; i++)
            {
                var key = reader.Key();
                keys[i] = new RepairKey(
                    key,
                    reader.Flag()
                        ? FSharpValueOption<Digest>.NewValueSome(reader.Digest())
                        : FSharpValueOption<Digest>.ValueNone
                );
            }
            return new PassedRepair(new RepairCommand(index, keys), revision);
        }
    );

    public static readonly FrameCodec<RepairOutcome> RepairOutcome = Union.Codec(
        FrameKind.RepairOutcome,
        Union.Case<RepairOutcome, RepairOutcome.Repaired>(
            1,
            (writer, outcome) =>
            {
                writer.Version(outcome.Version);
                writer.Int32(outcome.Changed);
            },
            (ref reader) => Core.RepairOutcome.NewRepaired(reader.Version(), reader.Natural())
        ),
        Union.Case<RepairOutcome, RepairOutcome.NotRepaired>(
            2,
            (writer, outcome) => writer.Message(outcome.Why),
            (ref reader) => Core.RepairOutcome.NewNotRepaired(reader.Message())
        )
    );
}
