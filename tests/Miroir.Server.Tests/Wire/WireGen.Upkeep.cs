using FsCheck;
using FsCheck.Fluent;
using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Server.Wire;

namespace Miroir.Server.Tests.Wire;

/// <summary>Messages of anti-entropy, of repairs and of the change feed.</summary>
internal static partial class WireGen
{
    private static readonly Gen<RangeDigest> RangeDigest =
        from sum in Digest
        from entries in Natural
        select new RangeDigest(sum, entries);

    public static readonly Gen<DigestCommand> DigestCommand =
        from stamp in Stamp
        from store in Shard
        from ranges in Range.ArrayOf()
        select new DigestCommand(stamp, store, ranges);

    private static readonly Gen<RangeDigests> RangeDigests =
        from incarnation in Id
        from floor in Version
        from digests in RangeDigest.ArrayOf()
        select new RangeDigests(incarnation, floor, digests);

    public static readonly Gen<DigestReply> DigestReply = Gen.OneOf(
        RangeDigests.Select(Core.DigestReply.NewDigests),
        Stale(Core.DigestReply.NewDigestStaleEpoch),
        Gen.Constant(Core.DigestReply.DigestNotServing),
        Refusal.Select(Core.DigestReply.NewDigestRefused)
    );

    public static readonly Gen<RangesCommand> RangesCommand =
        from stamp in Stamp
        from store in Shard
        from ranges in Range.ArrayOf()
        from after in OptionalKey
        from maxEntries in SmallNatural
        select new RangesCommand(stamp, store, ranges, after, maxEntries);

    public static readonly Gen<HealCommand> HealCommand =
        from stamp in Stamp
        from store in Shard
        from document in Document
        from wrong in Digest
        select new HealCommand(stamp, store, document, wrong);

    public static readonly Gen<HealReply> HealReply = Gen.OneOf(
        Gen.Elements(Core.HealReply.Healed, Core.HealReply.HealNotServing),
        Version.Select(Core.HealReply.NewNothingToHeal),
        Stale(Core.HealReply.NewHealStaleEpoch),
        Refusal.Select(Core.HealReply.NewHealRefused)
    );

    public static readonly Gen<ScrubCommand> ScrubCommand =
        from stamp in Stamp
        from store in Shard
        from leaf in SmallNatural
        from maxBytes in Natural
        select new ScrubCommand(stamp, store, leaf, maxBytes);

    private static readonly Gen<RottenEntry> Rotten =
        from key in Key
        from version in Version
        from recorded in Digest
        from actual in Digest
        select new RottenEntry(key, version, recorded, actual);

    private static readonly Gen<ScrubPart> ScrubPart =
        from next in Gen.Choose(-1, 65_535)
        from entries in Natural
        from bytes in Natural
        from rotten in Rotten.ArrayOf()
        from drifted in SmallNatural
        select new ScrubPart(next, entries, bytes, rotten, drifted);

    public static readonly Gen<ScrubReply> ScrubReply = Gen.OneOf(
        ScrubPart.Select(Core.ScrubReply.NewScrubbed),
        Stale(Core.ScrubReply.NewScrubStaleEpoch),
        Gen.Constant(Core.ScrubReply.ScrubNotServing),
        Refusal.Select(Core.ScrubReply.NewScrubRefused)
    );

    public static readonly Gen<PurgeCommand> PurgeCommand =
        from stamp in Stamp
        from store in Shard
        from incarnation in Id
        from below in Version
        select new PurgeCommand(stamp, store, incarnation, below);

    public static readonly Gen<PurgeReply> PurgeReply = Gen.OneOf(
        Natural.Select(Core.PurgeReply.NewPurged),
        Stale(Core.PurgeReply.NewPurgeStaleEpoch),
        Gen.Constant(Core.PurgeReply.PurgeNotServing),
        Refusal.Select(Core.PurgeReply.NewPurgeRefused)
    );

    private static readonly Gen<RepairKey> RepairKey =
        from key in Key
        from keep in Digest
            .Select(FSharpValueOption<Digest>.NewValueSome)
            .Or(Gen.Constant(FSharpValueOption<Digest>.ValueNone))
        select new RepairKey(key, keep);

    public static readonly Gen<PassedRepair> PassedRepair =
        from index in Name
        from keys in RepairKey.ArrayOf()
        from minRevision in Natural
        select new PassedRepair(new RepairCommand(index, keys), minRevision);

    public static readonly Gen<RepairOutcome> RepairOutcome = Gen.OneOf(
        from version in Version
        from changed in SmallNatural
        select Core.RepairOutcome.NewRepaired(version, changed),
        Message.Select(Core.RepairOutcome.NewNotRepaired)
    );

    private static readonly Gen<Change> Change =
        from position in Version
        from key in Key
        from version in Version
        from isDelete in Flag
        from operationId in Id
        select new Change(position, key, version, isDelete, operationId);

    public static readonly Gen<ChangesCommand> ChangesCommand =
        from stamp in Stamp
        from store in Shard
        from range in Range
        from after in Version
        from through in Version
        from maxChanges in SmallNatural
        select new ChangesCommand(stamp, store, range, after, through, maxChanges);

    private static readonly Gen<ChangesPage> ChangesPage =
        from changes in Change.ArrayOf()
        from isLast in Flag
        from floor in Version
        select new ChangesPage(changes, isLast, floor);

    public static readonly Gen<ChangesReply> ChangesReply = Gen.OneOf(
        ChangesPage.Select(Core.ChangesReply.NewChanges),
        Stale(Core.ChangesReply.NewChangesStaleEpoch),
        Gen.Constant(Core.ChangesReply.ChangesNotServing),
        Refusal.Select(Core.ChangesReply.NewChangesRefused)
    );

    public static readonly Gen<LogChangesCommand> LogChangesCommand =
        from stamp in Stamp
        from store in Shard
        from changes in Change.ArrayOf()
        from floor in Version
        from range in Range
        select new LogChangesCommand(stamp, store, changes, floor, range);

    public static readonly Gen<LogChangesReply> LogChangesReply = Gen.OneOf(
        Gen.Elements(Core.LogChangesReply.Logged, Core.LogChangesReply.LogNotServing),
        Stale(Core.LogChangesReply.NewLogStaleEpoch),
        Refusal.Select(Core.LogChangesReply.NewLogRefused)
    );

    public static readonly Gen<PassedBound> PassedBound =
        from shard in Shard
        from minRevision in Natural
        select new PassedBound(shard, minRevision);

    public static readonly Gen<FeedBound> FeedBound = Gen.OneOf(
        from epoch in Natural
        from settled in Version
        from newest in Version
        select Core.FeedBound.NewBound(epoch, settled, newest),
        Gen.Constant(Core.FeedBound.NotTheWriter)
    );
}
