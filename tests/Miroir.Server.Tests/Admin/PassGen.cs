using FsCheck;
using FsCheck.Fluent;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Server.Tests.Admin;

/// <summary>Any pass that anti-entropy may tell of.</summary>
internal static class PassGen
{
    private static readonly Gen<long> Count = Gen.Choose(0, int.MaxValue)
        .Select(n => (long)n)
        .Or(Gen.Elements(-1L, 0L, 1L, long.MaxValue));

    private static readonly Gen<int> Small = Gen.Choose(0, 65_535);

    private static readonly Gen<string> Text = Gen.Elements(
        "",
        "packages",
        "größe",
        "日本語 🚀",
        "disk full: \"/data\"\n\u0000",
        new string('x', 512)
    );

    private static readonly Gen<DivergenceCounts> Counts =
        from missing in Count
        from stale in Count
        from tombstones in Count
        from corrupt in Count
        from inFlight in Count
        from hot in Count
        select new DivergenceCounts(missing, stale, tombstones, corrupt, inFlight, hot);

    public static readonly Gen<DivergenceView> Document =
        from key in Text.Where(t => t != "")
        from generation in Gen.Choose(1, 9)
        from shard in Small
        from kind in Gen.Elements(PlannedDocument.kinds)
        from clock in Count
        from keep in Gen.Elements("", "00112233445566778899aabbccddeeff")
        from lacking in Text.ArrayOf()
        from outcome in Text
        select new DivergenceView(key, generation, shard, kind, $"3.{Math.Max(0, clock)}", keep, lacking, outcome);

    private static readonly Gen<ShardPassView> Shard =
        from shard in Small
        from state in Gen.Elements("InSync", "Divergent", "Repaired", "Failed")
        from entries in Count
        from counts in Counts
        from bytes in Count
        from problem in Text
        from isCertified in Gen.Elements(true, false)
        select new ShardPassView(
            1,
            shard,
            3,
            state,
            entries,
            entries,
            counts,
            bytes,
            bytes,
            bytes,
            bytes,
            bytes,
            bytes,
            problem,
            isCertified,
            "00ff"
        );

    public static readonly Gen<PassView> Pass =
        from id in Gen.Choose(1, int.MaxValue)
        from index in Text
        from kind in Gen.Elements("verify", "run", "dry-run", "apply", "scheduled", "migration", "scrub")
        from status in Gen.Elements("Running", "Done", "Failed")
        from time in Count
        from shards in Shard.ArrayOf()
        from documents in Document.ArrayOf()
        from counts in Counts
        select new PassView(
            id,
            index,
            kind,
            status,
            index,
            time,
            time,
            shards.Length,
            time,
            shards,
            documents,
            counts,
            time,
            time
        );

    public static readonly Gen<AntiEntropyView> State =
        from enabled in Gen.Elements(true, false)
        from schedule in Text
        from running in Pass.ArrayOf()
        from last in Pass.ArrayOf()
        from counts in Counts
        from number in Count
        select new AntiEntropyView(enabled, schedule, !enabled, number, running, last, counts, number, number);
}
