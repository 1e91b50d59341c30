using System.Text;
using Microsoft.FSharp.Core;
using Miroir.Core;

namespace Miroir.Stores.Tests.Conformance;

/// <summary>
/// The small world that a store is tried in: few keys, shards and versions, so that operations meet. Everything is
/// named by a small number, which is what generators draw and shrinkers print.
/// </summary>
internal static class StoreUniverse
{
    private static readonly HashRange LowHalf = Layout.range(2, 0);
    private static readonly HashRange HighHalf = Layout.range(2, 1);

    /// <summary>Both halves of generation 1, and generation 2 with one shard of everything.</summary>
    public static readonly (ShardId Id, HashRange Range)[] Shards =
    [
        (new ShardId("books", 1, 0), LowHalf),
        (new ShardId("books", 1, 1), HighHalf),
        (new ShardId("books", 2, 0), HashRange.Full),
    ];

    /// <summary>Keys of which some differ only in case, accents or a trailing space, in hash order on both sides of 2^63.</summary>
    public static readonly Key[] Keys = new[]
    {
        "a",
        "A",
        "b",
        "é",
        "e\u0301",
        "Z",
        "z",
        "10",
        "9",
        "a ",
        "ß",
        "ss",
        "\u0001",
        "日本",
        "key-0",
        "key-1",
    }
        .Select(Key.Of)
        .Order()
        .ToArray();

    public static readonly HashRange[] Ranges =
    [
        HashRange.Full,
        LowHalf,
        HighHalf,
        new HashRange(0, 1),
        new HashRange(ulong.MaxValue, 0),
        new HashRange(Keys[3].Hash, Keys[11].Hash),
        new HashRange(Keys[5].Hash, Keys[5].Hash + 1),
        new HashRange(Keys[9].Hash + 1, 0),
    ];

    /// <summary>What ranges of digests begin and end at: ends of shards and leaves, and the keys themselves.</summary>
    public static readonly ulong[] Bounds = Keys.SelectMany(key =>
            new[] { key.Hash, key.Hash + 1, DigestGrid.rangeOf(DigestGrid.leafOf(key.Hash)).Lo }
        )
        .Concat([0UL, 1UL, 1UL << 63, ulong.MaxValue])
        .Distinct()
        .Order()
        .ToArray();

    /// <summary>A range between two bounds; the same one twice: everything from it on.</summary>
    public static HashRange Between(int from, int to)
    {
        var (lo, hi) = (Math.Min(from, to), Math.Max(from, to));
        return new HashRange(Bounds[lo], lo == hi ? 0 : Bounds[hi]);
    }

    /// <summary>Ordered ranges that share nothing: from a bound to the next, and a gap to the one behind.</summary>
    public static HashRange[] Apart(int[] bounds) =>
        [
            .. bounds
                .Select(bound => Bounds[bound])
                .Distinct()
                .Order()
                .Chunk(2)
                .Select(pair => new HashRange(pair[0], pair.Length == 2 ? pair[1] : 0)),
        ];

    public static ShardId Shard(int i) => Shards[i % Shards.Length].Id;

    public static Key KeyAt(int i) => Keys[i % Keys.Length];

    public static HashRange RangeAt(int i) => Ranges[i % Ranges.Length];

    public static RouteStamp Stamp(int shard, int epoch) => new(Shard(shard), epoch);

    /// <summary>What a key has at a version: always the same, and a tombstone at every third.</summary>
    public static Document DocumentAt(int key, int version)
    {
        var at = VersionAt(version);
        var operation = new Guid(key, (short)version, 0, new byte[8]);
        if (version % 3 == 2)
        {
            return Document.Tombstone(KeyAt(key), at, operation, Origin.Client);
        }

        var body = Encoding.UTF8.GetBytes($$"""{"v":"{{at}}","pad":"{{new string('x', 7 * version)}}"}""");
        return Document.Live(KeyAt(key), at, body, operation, (Origin)(version % 4));
    }

    public static DocumentVersion VersionAt(int version) => new(1 + (version / 4), 1 + (version % 4));

    /// <summary>The same version with another content, as a repair brings it.</summary>
    public static Document HealedAt(int key, int version) =>
        Document.Live(
            KeyAt(key),
            VersionAt(version),
            Encoding.UTF8.GetBytes($$"""{"healed":{{version}}}"""),
            new Guid(key, (short)version, 1, new byte[8]),
            Origin.AntiEntropy
        );

    public static Route RouteAt(int shard, int epoch) =>
        new(
            Shard(shard),
            Shards[shard % Shards.Length].Range,
            epoch,
            Stage.Owned,
            ["n1", "n2"],
            [],
            new Writer("r1", 1, epoch),
            [],
            0
        );

    public static FSharpOption<Route> Told(int shard, int epoch) => FSharpOption<Route>.Some(RouteAt(shard, epoch));

    /// <summary>All there is of a document, as text: what two stores must agree on.</summary>
    public static string Describe(Document document) =>
        $"{Describe(document.Entry)} {Convert.ToHexString(document.Body.Span)}";

    public static string Describe(Change change) => $"{change} {change.OperationId}";

    public static string Describe(Entry entry) =>
        $"{Convert.ToHexString(entry.Key.Span)} {entry.Version} {entry.IsTombstone} {entry.Digest} {entry.OperationId} {entry.Origin}";
}
