using Miroir.Core;

namespace Miroir.Stores.Tests.Conformance;

/// <summary>
/// What a store should hold and say, in the plainest form: a dictionary for each shard and a number for each barrier.
/// Incarnations are the real store's: the reference remembers them to hold it to them.
/// </summary>
internal sealed class ReferenceStore
{
    public sealed class Contents(HashRange range, long migration, Guid incarnation, bool isFilling = false)
    {
        public bool IsFilling { get; set; } = isFilling;
        public DocumentVersion Floor { get; set; } = DocumentVersion.Zero;
        public HashRange Range { get; } = range;
        public long Migration { get; } = migration;
        public Guid Incarnation { get; } = incarnation;
        public Dictionary<string, Document> Documents { get; } = [];
        public ReferenceLog Log { get; } = new();
    }

    private readonly Dictionary<ShardId, long> barriers = [];
    private readonly HashSet<(ShardId, long)> told = [];

    public Dictionary<ShardId, Contents> Stores { get; } = [];

    /// <summary>What answers for its data.</summary>
    public Contents? Serving(ShardId store) =>
        Stores.TryGetValue(store, out var contents) && !contents.IsFilling ? contents : null;

    /// <summary>From scratch.</summary>
    public static RangeDigest DigestOf(Contents contents, HashRange range) =>
        contents
            .Documents.Values.Where(document => range.Contains(document.Key))
            .Aggregate(RangeDigest.Zero, (sum, document) => sum + RangeDigest.OfEntry(document.Entry));

    /// <summary>Every incarnation ever seen: none may come back.</summary>
    public HashSet<Guid> Spent { get; } = [];

    public long Barrier(ShardId shard) => barriers.GetValueOrDefault(shard);

    /// <summary>Was the route of the standing barrier's epoch told?</summary>
    public bool WasTold(ShardId shard) => told.Contains((shard, Barrier(shard)));

    public void Tell(RouteStamp stamp) => told.Add((stamp.Shard, stamp.Epoch));

    public bool Admits(RouteStamp stamp)
    {
        if (stamp.Epoch < Barrier(stamp.Shard))
        {
            return false;
        }

        barriers[stamp.Shard] = stamp.Epoch;
        return true;
    }

    public static string NameOf(Key key) => Convert.ToHexString(key.Span);

    /// <summary>In the order of every store: unsigned hash, then bytes.</summary>
    public static IEnumerable<Document> InOrder(IEnumerable<Document> documents) =>
        documents
            .OrderBy(document => document.Key.Hash)
            .ThenBy(document => NameOf(document.Key), StringComparer.Ordinal);

    /// <summary>What a scan of the range behind a key must give in all.</summary>
    public Document[] Slice(ShardId store, HashRange range, Key? after) =>
        InOrder(Stores[store].Documents.Values)
            .Where(document => document.Key.Hash >= range.Lo && (range.Hi == 0 || document.Key.Hash < range.Hi))
            .Where(document => after is null || IsBehind(document.Key, after))
            .ToArray();

    private static bool IsBehind(Key key, Key after) =>
        key.Hash > after.Hash || (key.Hash == after.Hash && string.CompareOrdinal(NameOf(key), NameOf(after)) > 0);
}
