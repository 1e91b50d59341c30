using Miroir.Core;

namespace Miroir.Stores.Tests.Crash;

/// <summary>What a node's directory has to hold, and what it may, after the notes up to some step.</summary>
internal sealed class NodeExpectation
{
    public NodeExpectation(ReadOnlySpan<DiskEvent> events, IReadOnlySet<int> neverStored)
    {
        Shards = [.. Enumerable.Range(0, NodeScript.Shards).Select(_ => new ShardExpectation())];
        var shardOf = new Dictionary<int, (ShardExpectation Shard, Key Key, DocumentVersion Version)>();
        var logged = new Dictionary<int, LogExpectation.Expected>();
        foreach (var step in events)
        {
            switch ((step as DiskEvent.Note)?.What)
            {
                case NodeNote.Opened opened:
                    NodeId = opened.NodeId;
                    break;
                case NodeNote.MakeBegun making:
                    Shards[making.Shard].BeginMake(making.Epoch);
                    break;
                case NodeNote.Made made:
                    Shards[made.Shard].Made(made.Incarnation);
                    break;
                case NodeNote.DropBegun dropping:
                    Shards[dropping.Shard].MayBeGone = true;
                    break;
                case NodeNote.Dropped dropped:
                    Shards[dropped.Shard].Dropped();
                    break;
                case NodeNote.PutBegun put:
                    if (!neverStored.Contains(put.Number))
                        Shards[put.Shard].Possible.Add(put.Document);
                    shardOf[put.Number] = (Shards[put.Shard], put.Document.Key, put.Document.Version);
                    if (put.Document.Entry.Origin != Origin.Migration && !neverStored.Contains(put.Number))
                        logged[put.Number] = Shards[put.Shard].Log.Begin(Change.Of(put.Document.Entry));
                    break;
                case NodeNote.PutDone { IsStored: true } done:
                    var (shard, key, version) = shardOf[done.Number];
                    shard.Has(key, version);
                    if (logged.TryGetValue(done.Number, out var change))
                        change.IsCertain = true;
                    break;
                case NodeNote.LogBegun log:
                    logged[log.Number] = Shards[log.Shard].Log.Begin(log.Change);
                    break;
                case NodeNote.LogDone { IsLogged: true } done:
                    logged[done.Number].IsCertain = true;
                    break;
                case NodeNote.Seen seen:
                    Shards[seen.Shard].Has(seen.Key, seen.Version);
                    break;
                case NodeNote.RaiseBegun raising:
                    Shards[raising.Shard].BeginRaise(raising.Epoch);
                    break;
                case NodeNote.Raised raised:
                    Shards[raised.Shard].Raised(raised.Epoch, raised.RouteEpoch);
                    break;
            }
        }
    }

    /// <summary>Null: nobody was told yet.</summary>
    public Guid? NodeId { get; }

    public ShardExpectation[] Shards { get; }

    /// <summary>The puts that were answered, by the end of the log, with anything but stored.</summary>
    public static HashSet<int> NeverStored(IEnumerable<DiskEvent> events) =>
        [
            .. events
                .OfType<DiskEvent.Note>()
                .Select(note => note.What)
                .OfType<NodeNote.PutDone>()
                .Where(done => !done.IsStored)
                .Select(done => done.Number),
        ];
}

/// <summary>The same for one shard: its store, and its barrier, which outlives it.</summary>
internal sealed class ShardExpectation
{
    private readonly Dictionary<Key, DocumentVersion> _floors = [];

    /// <summary>No store may be there unless one may.</summary>
    public bool MayBeThere { get; private set; }

    public bool MayBeGone { get; set; } = true;

    /// <summary>What two answers say that can't both be true; null: nothing.</summary>
    public string? Contradiction { get; private set; }

    /// <summary>Null: whatever is there was never told of.</summary>
    public Guid? Incarnation { get; private set; }

    /// <summary>Every document that was ever put to this incarnation, but for those that were refused.</summary>
    public List<Document> Possible { get; } = [];

    public LogExpectation Log { get; } = new();

    public long LowestEpoch { get; private set; }

    public long HighestEpoch { get; private set; }

    public long LowestRouteEpoch { get; private set; }

    public void BeginMake(long epoch)
    {
        MayBeThere = true;
        BeginRaise(epoch);
    }

    public void Made(Guid incarnation)
    {
        if (Incarnation is { } known && known != incarnation)
            Contradiction ??= $"its store answered as incarnation {known}, and then as {incarnation}";
        (MayBeThere, MayBeGone, Incarnation) = (true, false, incarnation);
    }

    public void Dropped()
    {
        if (!MayBeGone)
            Contradiction ??= $"its store of incarnation {Incarnation} was gone at an opening, and nobody dropped it";
        (MayBeThere, MayBeGone, Incarnation) = (false, true, null);
        Possible.Clear();
        Log.Clear();
        _floors.Clear();
    }

    public void Has(Key key, DocumentVersion version)
    {
        if (!_floors.TryGetValue(key, out var floor) || version.CompareTo(floor) > 0)
            _floors[key] = version;
    }

    public void BeginRaise(long epoch) => HighestEpoch = Math.Max(HighestEpoch, epoch);

    public void Raised(long epoch, long routeEpoch)
    {
        LowestEpoch = Math.Max(LowestEpoch, epoch);
        LowestRouteEpoch = Math.Max(LowestRouteEpoch, routeEpoch);
    }

    /// <summary>What is wrong with the documents found, or null.</summary>
    public string? WrongIn(IReadOnlyList<Document> found)
    {
        var byKey = found.ToDictionary(document => document.Key);
        foreach (var (key, floor) in _floors)
        {
            if (!byKey.TryGetValue(key, out var document))
                return $"key {key} is lost: version {floor} was acknowledged";
            if (document.Version.CompareTo(floor) < 0)
                return $"key {key} is stale: {document.Version}, where {floor} was acknowledged";
        }

        foreach (var document in found)
        {
            var put = Possible.Find(put => put.Key.Equals(document.Key) && put.Version.Equals(document.Version));
            if (put is null)
                return $"key {document.Key} has version {document.Version}, which nobody put into this incarnation";
            if (Conformance.StoreUniverse.Describe(put) != Conformance.StoreUniverse.Describe(document))
                return $"key {document.Key} at version {document.Version} is not what was put";
        }

        return null;
    }
}
