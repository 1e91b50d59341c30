using System.Globalization;
using System.Text;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Nodes;

namespace Miroir.Runtime.Coordination;

/// <summary>What came of a commit of the catalog.</summary>
public enum CommitOutcome
{
    Committed,

    /// <summary>Certainly not written, after several tries; it may be tried again.</summary>
    NotCommitted,

    /// <summary>Somebody else wrote what only the leader writes: this coordinator leads no more.</summary>
    Deposed,
}

/// <summary>
/// The leader's copy of the metadata: what routers are shown, kept equal to the store by compare-and-set. Every write
/// carries the leader's term, so that a deposed leader can change nothing.
/// </summary>
public sealed class Catalog
{
    private const int MaxRememberedChanges = 20_000;
    private const int MaxCommitAttempts = 5;
    private const int MaxWaitingCommits = 4_096;

    private readonly IMetadataStore _store;
    private readonly Bulkhead _gate = new(1, MaxWaitingCommits);
    private readonly Dictionary<string, long> _revisions = new(StringComparer.Ordinal);
    private readonly Dictionary<string, byte[]> _records = new(StringComparer.Ordinal);
    private readonly List<(long Revision, CatalogWrite Write)> _changes = [];
    private readonly object _sync = new();
    private long _oldestRemembered;
    private Signal _changed = new();
    private volatile RoutingTable _table = RoutingTable.Empty;

    public Catalog(IMetadataStore store) => _store = store;

    /// <summary>Grows with each coordinator that leads.</summary>
    public long Term { get; private set; }

    public bool IsDeposed { get; private set; }

    public RoutingTable Table => _table;

    /// <summary>
    /// Leads no more, by its own choice: something that only the leader does can't be done any more. Whoever runs this
    /// process starts another.
    /// </summary>
    public void StepDown() => IsDeposed = true;

    /// <summary>Reads everything, and takes the lead: from here on an older leader's writes fail.</summary>
    public async Task TakeLeadAsync(CancellationToken cancel)
    {
        for (var attempt = 0; attempt < 10; attempt++)
        {
            var entries = await _store.Read("", cancel);
            var leader = entries.FirstOrDefault(e => e.Key == CatalogKeys.Leader);
            var previous = leader.Value is { } bytes
                ? long.Parse(Encoding.UTF8.GetString(bytes), CultureInfo.InvariantCulture)
                : 0;
            var term = previous + 1;
            var result = await _store.Commit(
                [new MetadataGuard(CatalogKeys.Leader, leader.ModRevision)],
                [
                    new MetadataWrite(
                        CatalogKeys.Leader,
                        Encoding.UTF8.GetBytes(term.ToString(CultureInfo.InvariantCulture))
                    ),
                ],
                cancel
            );

            if (result is not MetadataResult.Committed committed)
                // Conflict: another took it at the same moment. Unknown: perhaps it is ours; the next term surely is.
                continue;

            // Read again: what the older leader wrote between the first read and the new term is the truth.
            entries = await _store.Read("", cancel);
            Load(entries, committed.Revision);
            Term = term;
            return;
        }

        throw new InvalidOperationException(
            "the lead could not be taken: another coordinator takes it again and again. Run one coordinator only."
        );
    }

    private void Load(MetadataEntry[] entries, long revision)
    {
        _records.Clear();
        _revisions.Clear();
        List<IndexInfo> indexes = [];
        List<Route> routes = [];
        List<NodeInfo> nodes = [];
        List<RouterInfo> routers = [];
        foreach (var entry in entries)
        {
            _revisions[entry.Key] = entry.ModRevision;
            if (entry.Value is not { } value)
                continue;
            if (entry.Key.StartsWith(CatalogKeys.Indexes, StringComparison.Ordinal))
                indexes.Add(Codec.indexOfBytes(value));
            else if (entry.Key.StartsWith(CatalogKeys.Routes, StringComparison.Ordinal))
                routes.Add(Codec.routeOfBytes(value));
            else if (entry.Key.StartsWith(CatalogKeys.Nodes, StringComparison.Ordinal))
                nodes.Add(Codec.nodeOfBytes(value));
            else if (entry.Key.StartsWith(CatalogKeys.Routers, StringComparison.Ordinal))
                routers.Add(Codec.routerOfBytes(value));
            else if (!entry.Key.StartsWith(CatalogKeys.Journals, StringComparison.Ordinal))
                _records[entry.Key] = value;
        }

        _oldestRemembered = revision;
        _table = RoutingTable.Empty.Apply(
            new TableUpdate(revision, true, [.. indexes], [], [.. routes], [], [.. nodes], [], [.. routers], [])
        );
    }

    /// <summary>A record that is not part of the table; null where there is none.</summary>
    public byte[]? Record(string key)
    {
        lock (_sync)
            return _records.GetValueOrDefault(key);
    }

    /// <summary>Records that are not part of the table, by prefix, in order of their keys.</summary>
    public IReadOnlyList<KeyValuePair<string, byte[]>> RecordsOf(string prefix)
    {
        lock (_sync)
            return
            [
                .. _records
                    .Where(r => r.Key.StartsWith(prefix, StringComparison.Ordinal))
                    .OrderBy(r => r.Key, StringComparer.Ordinal),
            ];
    }

    /// <summary>A journal as stored, in order.</summary>
    public async Task<IReadOnlyList<byte[]>> JournalAsync(long migration, CancellationToken cancel)
    {
        var entries = await _store.Read(CatalogKeys.Journal(migration), cancel);
        return [.. entries.OrderBy(e => e.Key, StringComparer.Ordinal).Select(e => e.Value!)];
    }

    /// <summary>Writes all of it or nothing, where the metadata still hold what this catalog knows.</summary>
    public async Task<CommitOutcome> CommitAsync(IReadOnlyList<CatalogWrite> writes, CancellationToken cancel)
    {
        if (!await _gate.Enter(cancel))
            throw new InvalidOperationException(
                $"{MaxWaitingCommits} commits wait for the metadata store already: it is too slow, or away"
            );
        try
        {
            // What certainly was not written is tried again here, so that no caller takes it for a lost lead.
            var outcome = CommitOutcome.NotCommitted;
            for (var attempt = 0; outcome == CommitOutcome.NotCommitted && attempt < MaxCommitAttempts; attempt++)
                outcome = IsDeposed ? CommitOutcome.Deposed : await CommitOnceAsync(writes, cancel);
            return outcome;
        }
        finally
        {
            _gate.Leave();
        }
    }

    private async Task<CommitOutcome> CommitOnceAsync(IReadOnlyList<CatalogWrite> writes, CancellationToken cancel)
    {
        List<MetadataGuard> guards = [];
        if (!Mutants.leaderTermNotChecked())
            guards.Add(new(CatalogKeys.Leader, RevisionOf(CatalogKeys.Leader)));
        if (!Mutants.keyRevisionsNotChecked())
            guards.AddRange(writes.Select(w => new MetadataGuard(w.Key, RevisionOf(w.Key))));
        var result = await _store.Commit(guards, [.. writes.Select(w => new MetadataWrite(w.Key, w.Value))], cancel);

        switch (result)
        {
            case MetadataResult.Committed committed:
                Adopt(writes, committed.Revision);
                return CommitOutcome.Committed;
            case MetadataResult.MetadataUnknown when Mutants.unknownCommitTakenForFailure():
                return CommitOutcome.NotCommitted;
            case MetadataResult.MetadataUnknown:
                return await InspectAsync(writes, cancel);
            default:
                IsDeposed = true;
                return CommitOutcome.Deposed;
        }
    }

    /// <summary>After a commit that was not answered: what the store holds now is what happened.</summary>
    private async Task<CommitOutcome> InspectAsync(IReadOnlyList<CatalogWrite> writes, CancellationToken cancel)
    {
        var first = writes[0];
        var found = (await _store.Read(first.Key, cancel)).FirstOrDefault(e => e.Key == first.Key);
        if (found.ModRevision == RevisionOf(first.Key))
            return CommitOutcome.NotCommitted;

        // One transaction: what holds for its first key holds for all of them.
        var isOurs = found.Value is { } value
            ? first.Value is { } wanted && value.AsSpan().SequenceEqual(wanted)
            : first.Value is null;
        if (!isOurs)
        {
            IsDeposed = true;
            return CommitOutcome.Deposed;
        }

        var revision = found.ModRevision;
        if (revision == 0)
        {
            // A deletion leaves no revision of its own: the other keys, or the whole store, tell it.
            var all = await _store.Read("", cancel);
            revision = all.Max(e => e.ModRevision);
        }

        Adopt(writes, revision);
        return CommitOutcome.Committed;
    }

    private long RevisionOf(string key) => _revisions.GetValueOrDefault(key);

    private void Adopt(IReadOnlyList<CatalogWrite> writes, long revision)
    {
        foreach (var write in writes)
        {
            if (write.Value is null)
                _revisions.Remove(write.Key);
            else
                _revisions[write.Key] = revision;
        }

        var shown = writes.Where(w => w.IsInTable).ToList();
        Signal? changed = null;
        lock (_sync)
        {
            foreach (var write in writes.Where(w => !w.IsInTable && !w.IsJournal))
            {
                if (write.Value is null)
                    _records.Remove(write.Key);
                else
                    _records[write.Key] = write.Value;
            }

            if (shown.Count > 0)
            {
                foreach (var write in shown)
                    _changes.Add((revision, write));
                if (_changes.Count > MaxRememberedChanges)
                {
                    _oldestRemembered = _changes[MaxRememberedChanges / 2].Revision;
                    _changes.RemoveAll(c => c.Revision <= _oldestRemembered);
                }

                _table = _table.Apply(Update(shown, revision));
                changed = _changed;
                _changed = new();
            }
        }

        changed?.Set();
    }

    private static TableUpdate Update(IReadOnlyList<CatalogWrite> writes, long revision) =>
        new(
            revision,
            false,
            [.. writes.Select(w => w.Index).OfType<IndexInfo>()],
            [.. writes.Select(w => w.RemovedIndex).OfType<string>()],
            [.. writes.Select(w => w.Route).OfType<Route>()],
            [.. writes.Where(w => w.RemovedRoute is not null).Select(w => w.RemovedRoute!.Value)],
            [.. writes.Select(w => w.Node).OfType<NodeInfo>()],
            [.. writes.Select(w => w.RemovedNode).OfType<string>()],
            [.. writes.Select(w => w.Router).OfType<RouterInfo>()],
            []
        );

    private TableUpdate Full()
    {
        var table = _table;
        return new(table.Revision, true, table.Indexes, [], table.Routes, [], table.Nodes, [], table.Routers, []);
    }

    /// <summary>What has changed behind a revision; waits for a change at most as long as <paramref name="limit"/> lives.</summary>
    public async Task<TableUpdate> WatchAsync(long sinceRevision, CancellationToken limit, CancellationToken cancel)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit, cancel);
        while (true)
        {
            Signal changed;
            lock (_sync)
            {
                // A revision from before this leader's time, or from a store that was put back: tell everything.
                if (sinceRevision < _oldestRemembered || sinceRevision > _table.Revision)
                    return Full();
                if (sinceRevision < _table.Revision)
                    return Newest(sinceRevision);
                changed = _changed;
            }

            if (!await changed.Arrives(both.Token))
            {
                cancel.ThrowIfCancellationRequested();
                return Update([], sinceRevision);
            }
        }
    }

    private TableUpdate Newest(long sinceRevision)
    {
        // The last write of each key is the one that counts.
        Dictionary<string, CatalogWrite> last = new(StringComparer.Ordinal);
        foreach (var (revision, write) in _changes)
        {
            if (revision > sinceRevision)
                last[write.Key] = write;
        }

        return Update([.. last.Values], _table.Revision);
    }
}
