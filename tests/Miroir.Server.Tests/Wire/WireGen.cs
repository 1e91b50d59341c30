using FsCheck;
using FsCheck.Fluent;
using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Server.Wire;

namespace Miroir.Server.Tests.Wire;

/// <summary>Any message that a process may send.</summary>
internal static partial class WireGen
{
    private static readonly Gen<long> Natural = Gen.Choose(0, int.MaxValue)
        .Select(n => (long)n)
        .Or(Gen.Elements(0L, 1L, long.MaxValue));

    private static readonly Gen<int> SmallNatural = Gen.Choose(0, 70_000).Or(Gen.Elements(0, int.MaxValue));

    private static readonly Gen<ulong> Hash = ArbMap
        .Default.GeneratorFor<ulong>()
        .Or(Gen.Elements(0UL, ulong.MaxValue));

    private static readonly Gen<Guid> Id = ArbMap.Default.GeneratorFor<Guid>();

    private static readonly Gen<bool> Flag = Gen.Elements(true, false);

    private static readonly Gen<string> Name = Gen.Elements(
        "",
        "n1",
        "packages",
        "größe",
        "日本語 🚀",
        new string('x', 512)
    );

    private static readonly Gen<string> Message = Name.Or(Gen.Constant("disk full: \"/data\"\n\u0000"));

    private static readonly Gen<Key> Key = Gen.OneOf(
        Gen.Choose(0, 1000).Select(n => Core.Key.Of($"k{n}")),
        Gen.Elements("ü", "libstdc++6", "\u0000", new string('k', 512)).Select(Core.Key.Of)
    );

    private static readonly Gen<Key?> OptionalKey = Key.Select(k => (Key?)k).Or(Gen.Constant((Key?)null));

    private static readonly Gen<ShardId> Shard =
        from index in Name
        from generation in SmallNatural
        from shard in SmallNatural
        select new ShardId(index, generation, shard);

    private static readonly Gen<RouteStamp> Stamp =
        from shard in Shard
        from epoch in Natural
        select new RouteStamp(shard, epoch);

    private static readonly Gen<HashRange> Range =
        from a in Hash
        from b in Hash
        select new HashRange(Math.Min(a, b), Math.Max(a, b) + 1);

    private static readonly Gen<DocumentVersion> Version =
        from term in Natural
        from clock in Natural
        select new DocumentVersion(term, clock);

    private static readonly Gen<Digest> Digest = from a in Hash from b in Hash select new Digest(a, b);

    private static readonly Gen<Entry> Entry =
        from key in Key
        from version in Version
        from isTombstone in Flag
        from digest in Digest
        from id in Id
        from origin in Gen.Elements(Enum.GetValues<Origin>())
        select new Entry(key, version, isTombstone, digest, id, origin);

    private static readonly Gen<ReadOnlyMemory<byte>> Body = ArbMap
        .Default.GeneratorFor<byte[]>()
        .Or(Gen.Constant(new byte[100_000]))
        .Select(bytes => (ReadOnlyMemory<byte>)bytes);

    private static readonly Gen<Document> Document =
        from entry in Entry
        from body in Body
        select new Document(entry, body);

    private static readonly Gen<Refusal> Refusal =
        from code in Gen.Elements(Enum.GetValues<RefusalCode>())
        from message in Message
        select new Refusal(code, message);

    private static readonly Gen<TargetShard> Target =
        from shard in Shard
        from range in Range
        from nodes in Name.ArrayOf()
        select new TargetShard(shard, range, nodes);

    public static readonly Gen<Route> Route =
        from shard in Shard
        from range in Range
        from epoch in Natural
        from stage in Gen.Elements(Stage.Owned, Stage.Copying, Stage.Joint, Stage.Switched, Stage.Retired)
        from owners in Name.ArrayOf()
        from targets in Target.ArrayOf()
        from router in Name
        from incarnation in Natural
        from term in Natural
        from fences in Stamp.ArrayOf()
        from migration in Natural
        select new Route(
            shard,
            range,
            epoch,
            stage,
            owners,
            targets,
            new Writer(router, incarnation, term),
            fences,
            migration
        );

    private static readonly Gen<FSharpOption<Route>> OptionalRoute = Route
        .Select(FSharpOption<Route>.Some)
        .Or(Gen.Constant(FSharpOption<Route>.None));

    public static readonly Gen<PutCommand> PutCommand =
        from stamp in Stamp
        from store in Shard
        from document in Document
        select new PutCommand(stamp, store, document);

    public static readonly Gen<PutReply> PutReply = Gen.OneOf(
        Flag.Select(Core.PutReply.NewApplied),
        Version.Select(Core.PutReply.NewSuperseded),
        Stale(Core.PutReply.NewStaleEpoch),
        Gen.Constant(Core.PutReply.NotServing),
        Refusal.Select(Core.PutReply.NewRefused)
    );

    public static readonly Gen<ReadCommand> ReadCommand =
        from stamp in Stamp
        from store in Shard
        from key in Key
        select new ReadCommand(stamp, store, key);

    public static readonly Gen<ReadReply> ReadReply = Gen.OneOf(
        Document.Select(Core.ReadReply.NewFound),
        Gen.Constant(Core.ReadReply.Absent),
        Stale(Core.ReadReply.NewReadStaleEpoch),
        Gen.Constant(Core.ReadReply.ReadNotServing),
        Refusal.Select(Core.ReadReply.NewReadRefused)
    );

    public static readonly Gen<BarrierCommand> BarrierCommand =
        from stamp in Stamp
        from store in Shard
        from route in OptionalRoute
        select new BarrierCommand(stamp, store, route);

    public static readonly Gen<BarrierReply> BarrierReply = Gen.OneOf(
        Id.Select(Core.BarrierReply.NewConfirmed),
        Gen.Constant(Core.BarrierReply.ConfirmedNotServing),
        Natural.Select(Core.BarrierReply.NewBarrierAbove),
        Refusal.Select(Core.BarrierReply.NewBarrierRefused)
    );

    public static readonly Gen<MakeCommand> MakeCommand =
        from stamp in Stamp
        from store in Shard
        from range in Range
        from migration in Natural
        from attempt in SmallNatural
        select new MakeCommand(stamp, store, range, migration, attempt);

    public static readonly Gen<MakeReply> MakeReply = Gen.OneOf(
        Id.Select(Core.MakeReply.NewMade),
        Natural.Select(Core.MakeReply.NewMakeStaleEpoch),
        Refusal.Select(Core.MakeReply.NewMakeRefused)
    );

    public static readonly Gen<DropCommand> DropCommand =
        from stamp in Stamp
        from store in Shard
        from incarnation in Id
        from migration in Natural
        select new DropCommand(stamp, store, incarnation, migration);

    public static readonly Gen<DropReply> DropReply = Gen.OneOf(
        Gen.Elements(Core.DropReply.Dropped, Core.DropReply.AlreadyGone, Core.DropReply.NotTheSame),
        Natural.Select(Core.DropReply.NewDropStaleEpoch),
        Refusal.Select(Core.DropReply.NewDropRefused)
    );

    public static readonly Gen<ScanCommand> ScanCommand =
        from stamp in Stamp
        from store in Shard
        from range in Range
        from after in OptionalKey
        from maxEntries in SmallNatural
        from maxBytes in SmallNatural
        from withBodies in Flag
        select new ScanCommand(stamp, store, range, after, maxEntries, maxBytes, withBodies);

    private static readonly Gen<ScanPage> Page =
        from documents in Document.ArrayOf()
        from withBodies in Flag
        from isLast in Flag
        select new ScanPage(
            documents.Select(d => d.Entry).ToArray(),
            withBodies ? documents.Select(d => d.Body).ToArray() : [],
            isLast
        );

    public static readonly Gen<ScanReply> ScanReply = Gen.OneOf(
        Page.Select(Core.ScanReply.NewPage),
        Stale(Core.ScanReply.NewScanStaleEpoch),
        Gen.Constant(Core.ScanReply.ScanNotServing),
        Refusal.Select(Core.ScanReply.NewScanRefused)
    );

    private static readonly Gen<SourceReplica> Source =
        from node in Name
        from address in Name
        from store in Shard
        from incarnation in Id
        select new SourceReplica(node, address, store, incarnation);

    public static readonly Gen<ReconcileCommand> ReconcileCommand =
        from stamp in Stamp
        from store in Shard
        from range in Range
        from sources in Source.ArrayOf()
        from mode in Gen.Elements(Enum.GetValues<ReconcileMode>())
        from after in OptionalKey
        from rate in SmallNatural
        from migration in Natural
        from attempt in SmallNatural
        select new ReconcileCommand(stamp, store, range, sources, mode, after, rate, migration, attempt);

    private static readonly Gen<ReconcileProgress> Progress =
        from position in OptionalKey
        from counts in Natural.ArrayOf(4)
        from digest in Digest
        from watermark in Version
        from incarnation in Id
        from isComplete in Flag
        select new ReconcileProgress(
            position,
            counts[0],
            counts[1],
            counts[2],
            counts[3],
            digest,
            watermark,
            incarnation,
            isComplete
        );

    public static readonly Gen<ReconcileReply> ReconcileReply = Gen.OneOf(
        Progress.Select(Core.ReconcileReply.NewProgress),
        Natural.Select(Core.ReconcileReply.NewReconcileStaleEpoch),
        Gen.Constant(Core.ReconcileReply.ReconcileNotServing),
        from node in Name
        from message in Message
        select Core.ReconcileReply.NewSourceFailed(node, message),
        Refusal.Select(Core.ReconcileReply.NewReconcileRefused)
    );

    private static readonly Gen<Condition> Condition = Gen.OneOf(
        Gen.Elements(Core.Condition.Always, Core.Condition.IfAbsent, Core.Condition.IfPresent),
        Version.Select(Core.Condition.NewIfVersion)
    );

    public static readonly Gen<PassedWrite> WriteCommand =
        from index in Name
        from key in Key
        from intent in Gen.Elements(Enum.GetValues<WriteIntent>())
        from body in Body
        from condition in Condition
        from id in Id
        from minRevision in Natural
        select new PassedWrite(new WriteCommand(index, key, intent, body, condition, id), minRevision);

    public static readonly Gen<PassedInspection> PassedInspection =
        from passed in WriteCommand
        from issued in Version
        from checkedBase in Version
            .Select(FSharpValueOption<DocumentVersion>.NewValueSome)
            .Or(Gen.Constant(FSharpValueOption<DocumentVersion>.ValueNone))
        from wasLive in Flag
        select new PassedInspection(
            new InspectCommand(passed.Command, issued, checkedBase, wasLive),
            passed.MinRevision
        );

    public static readonly Gen<WriteOutcome> WriteOutcome = Gen.OneOf(
        from version in Version
        from wasLive in Flag
        select Core.WriteOutcome.NewWritten(version, wasLive),
        Version.Select(Core.WriteOutcome.NewConditionFailed),
        Message.Select(Core.WriteOutcome.NewUnknown),
        Refusal.Select(Core.WriteOutcome.NewRejected)
    );

    public static readonly Gen<PassedRead> PassedRead =
        from index in Name
        from key in Key
        from minRevision in Natural
        select new PassedRead(index, key, minRevision);

    public static readonly Gen<ReadOutcome> ReadOutcome = Gen.OneOf(
        Document.Select(Core.ReadOutcome.NewValue),
        Version.Select(Core.ReadOutcome.NewNothing),
        Message.Select(Core.ReadOutcome.NewUnavailable)
    );

    private static Gen<T> Stale<T>(Func<long, FSharpOption<Route>, T> make) =>
        from epoch in Natural
        from route in OptionalRoute
        select make(epoch, route);

    private static Gen<T> Or<T>(this Gen<T> gen, Gen<T> other) => Gen.OneOf(gen, other);
}
