using Miroir.Core;

namespace Miroir.Stores.Memory;

/// <summary>One store's documents, ordered as every store orders them: by unsigned hash, then by key bytes.</summary>
internal sealed class MemoryShard(
    ShardId store,
    HashRange range,
    long migration,
    int attempt,
    Guid incarnation,
    bool isFilling = false
)
{
    private readonly Dictionary<Key, Slot> byKey = [];
    private readonly SortedSet<Slot> ordered = new(SlotOrder.Instance);
    private long documents;
    private long tombstones;
    private long bytes;

    public HashRange Range { get; } = range;
    public long Migration { get; } = migration;
    public Guid Incarnation { get; } = incarnation;

    public StoreStatus Status =>
        new(
            store,
            Range,
            Incarnation,
            Migration,
            attempt,
            documents,
            tombstones,
            bytes,
            0,
            IsFilling ? StoreHealth.Filling : StoreHealth.Serving
        );

    /// <summary>It answers nothing, and takes only what it is filled with.</summary>
    public bool IsFilling { get; set; } = isFilling;

    public MemoryLog Log { get; private init; } = new();

    /// <summary>That of its disk in which it was opened last; 0: never since it was made.</summary>
    public long Session { get; set; }

    public MemoryShard Copy()
    {
        var copy = new MemoryShard(store, Range, Migration, attempt, Incarnation, IsFilling)
        {
            Floor = Floor,
            Log = Log.Copy(),
            Session = Session,
        };
        foreach (var document in Documents)
            copy.Store(document);
        return copy;
    }

    /// <summary>Tombstones below it may have been purged.</summary>
    public DocumentVersion Floor { get; private set; } = DocumentVersion.Zero;

    /// <summary>Computed from the documents each time: what stores that keep digests are compared with.</summary>
    public RangeDigest DigestOf(HashRange asked) =>
        Documents
            .Where(document => asked.Contains(document.Key))
            .Aggregate(RangeDigest.Zero, (sum, document) => sum + RangeDigest.OfEntry(document.Entry));

    public HealReply Heal(Document document, Digest wrong)
    {
        if (!byKey.TryGetValue(document.Key, out var slot))
        {
            return HealReply.NewNothingToHeal(DocumentVersion.Zero);
        }

        var stored = slot.Document!;
        var isWrong =
            stored.Entry.Digest.Equals(wrong) && !stored.Entry.Digest.Equals(document.Entry.Digest)
            || stored.IsTombstone != stored.Entry.Digest.Equals(Digest.Tombstone)
            || !Digest.OfBody(stored.Body.Span).Equals(stored.Entry.Digest);
        var isAskedFor = stored.Version.Equals(document.Version) && isWrong || Mutants.healOverwritesNewer();
        if (!isAskedFor)
        {
            return HealReply.NewNothingToHeal(stored.Version);
        }

        Count(stored, -1);
        Count(document, 1);
        slot.Document = document;
        return HealReply.Healed;
    }

    /// <summary>The store as a disk that flips bits would have it: another body under the same digest.</summary>
    public void Rot(Key key, ReadOnlyMemory<byte> body)
    {
        var slot = byKey[key];
        Count(slot.Document!, -1);
        slot.Document = new Document(slot.Document!.Entry, body);
        Count(slot.Document, 1);
    }

    public ScrubPart Scrub(ScrubCommand command)
    {
        long entries = 0;
        long read = 0;
        var rotten = new List<RottenEntry>();
        foreach (var leaf in ordered.Select(slot => slot.Document!).GroupBy(d => DigestGrid.leafOf(d.Key.Hash)))
        {
            if (leaf.Key < command.FromLeaf)
            {
                continue;
            }

            if (read >= command.MaxBytes && entries > 0)
            {
                return new ScrubPart(leaf.Key, entries, read, [.. rotten], 0);
            }

            foreach (var document in leaf)
            {
                entries++;
                read += document.Body.Length;
                var actual = Digest.OfBody(document.Body.Span);
                if (!actual.Equals(document.Entry.Digest) && !Mutants.bodiesNotScrubbed())
                {
                    rotten.Add(new RottenEntry(document.Key, document.Version, document.Entry.Digest, actual));
                }
            }
        }

        return new ScrubPart(-1, entries, read, [.. rotten], 0);
    }

    public long Purge(DocumentVersion below)
    {
        Slot[] purged =
        [
            .. ordered.Where(slot => slot.Document!.IsTombstone && slot.Document.Version.CompareTo(below) < 0),
        ];
        foreach (var slot in purged)
        {
            Count(slot.Document!, -1);
            ordered.Remove(slot);
            byKey.Remove(slot.Document!.Key);
        }

        Floor = below.CompareTo(Floor) > 0 ? below : Floor;
        return purged.Length;
    }

    public IEnumerable<Document> Documents => ordered.Select(slot => slot.Document!);

    public Document? Find(Key key) => byKey.TryGetValue(key, out var slot) ? slot.Document : null;

    public PutReply Put(Document document, ChangeRetention retention)
    {
        var reply = Store(document);
        if (document.Entry.Origin != Origin.Migration && !(reply is PutReply.Superseded && Mutants.logOnlyAtApplied()))
        {
            Log.Add(Change.Of(document.Entry));
        }

        Log.Trim(retention);

        return reply;
    }

    private PutReply Store(Document document)
    {
        if (!byKey.TryGetValue(document.Key, out var slot))
        {
            slot = new Slot(document.Key.Hash, document.Key.Bytes) { Document = document };
            byKey.Add(document.Key, slot);
            ordered.Add(slot);
            Count(document, 1);
            return PutReply.NewApplied(false);
        }

        var stored = slot.Document!;
        if (document.Version.CompareTo(stored.Version) <= 0 && !Mutants.olderOverwrites())
        {
            return PutReply.NewSuperseded(stored.Version);
        }

        Count(stored, -1);
        Count(document, 1);
        slot.Document = document;
        return PutReply.NewApplied(!stored.IsTombstone);
    }

    public ScanPage Page(ScanCommand command)
    {
        var entries = new List<Entry>();
        var bodies = new List<ReadOnlyMemory<byte>>();
        long bodyBytes = 0;
        foreach (var document in From(command.Range.Lo, command.After))
        {
            if (document.Key.Hash > command.Range.Last)
            {
                break;
            }

            var isFull =
                entries.Count == command.MaxEntries
                || (command.WithBodies && entries.Count > 0 && bodyBytes + document.Body.Length > command.MaxBytes);
            if (isFull)
            {
                return new ScanPage([.. entries], [.. bodies], false);
            }

            entries.Add(document.Entry);
            if (command.WithBodies)
            {
                bodies.Add(document.Body);
                bodyBytes += document.Body.Length;
            }
        }

        return new ScanPage([.. entries], [.. bodies], true);
    }

    public ScanPage Page(RangesCommand command)
    {
        var entries = new List<Entry>();
        for (var i = command.First; i < command.Ranges.Length; i++)
        {
            foreach (var document in From(command.Ranges[i].Lo, command.After))
            {
                if (document.Key.Hash > command.Ranges[i].Last)
                {
                    break;
                }

                if (entries.Count == command.MaxEntries)
                {
                    return new ScanPage([.. entries], [], false);
                }

                entries.Add(document.Entry);
            }
        }

        return new ScanPage([.. entries], [], true);
    }

    private IEnumerable<Document> From(ulong lo, Key? after)
    {
        // An empty key sorts below every real one of its hash.
        var start =
            after is null || after.Hash < lo
                ? new Slot(lo, ReadOnlyMemory<byte>.Empty)
                : new Slot(after.Hash, after.Bytes);
        if (ordered.Max is not { } max || SlotOrder.Instance.Compare(start, max) > 0)
        {
            yield break;
        }

        foreach (var slot in ordered.GetViewBetween(start, max))
        {
            if (SlotOrder.Instance.Compare(slot, start) > 0)
            {
                yield return slot.Document!;
            }
        }
    }

    private void Count(Document document, int sign)
    {
        if (document.IsTombstone)
        {
            tombstones += sign;
        }
        else
        {
            documents += sign;
        }

        bytes += sign * (document.Key.Bytes.Length + document.Body.Length);
    }

    /// <summary>A place in the order; without a document it is only a bound to search from.</summary>
    private sealed class Slot(ulong hash, ReadOnlyMemory<byte> key)
    {
        public ulong Hash { get; } = hash;
        public ReadOnlyMemory<byte> Key { get; } = key;
        public Document? Document { get; set; }
    }

    private sealed class SlotOrder : IComparer<Slot>
    {
        public static SlotOrder Instance { get; } = new();

        public int Compare(Slot? x, Slot? y)
        {
            var byHash = x!.Hash.CompareTo(y!.Hash);
            return byHash != 0 ? byHash : x.Key.Span.SequenceCompareTo(y.Key.Span);
        }
    }
}
