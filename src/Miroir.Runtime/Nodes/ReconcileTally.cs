using Miroir.Core;

namespace Miroir.Runtime.Nodes;

/// <summary>What a target took of a batch; the rest of it was dominated there already.</summary>
/// <param name="Documents">Tombstones included.</param>
/// <param name="Bytes">Of bodies.</param>
/// <param name="Tombstones">How many of the documents.</param>
internal readonly record struct Taken(long Documents, long Bytes, long Tombstones)
{
    public Taken With(Document document) =>
        new(Documents + 1, Bytes + document.Body.Length, Tombstones + (document.IsTombstone ? 1 : 0));
}

/// <summary>What a reconcile has done so far. One task counts; another may look at what was published last.</summary>
internal sealed class ReconcileTally(Key? after)
{
    private volatile ReconcileProgress latest = new(
        after,
        0,
        0,
        0,
        0,
        Digest.Zero,
        DocumentVersion.Zero,
        Guid.Empty,
        false
    );

    private Key? position = after;
    private long compared;
    private long copied;
    private long copiedBytes;
    private long copiedTombstones;
    private Digest digest = Digest.Zero;
    private DocumentVersion watermark = DocumentVersion.Zero;

    public Guid Incarnation { get; set; }

    /// <summary>What is copied now will be seen in the merge once more: it is copied, but not compared, and moves nothing.</summary>
    public bool IsBeforeMerge { get; set; }

    public ReconcileProgress Latest => latest;

    /// <summary>An entry of the merge was compared, or copied unseen.</summary>
    public void Compare(Entry best)
    {
        if (IsBeforeMerge)
        {
            return;
        }

        compared++;
        digest += Digest.OfEntry(best.Key, best.Version, best.IsTombstone, best.Digest);
        watermark = best.Version.CompareTo(watermark) > 0 ? best.Version : watermark;
    }

    /// <summary>The target took documents that it did not have.</summary>
    public void Copy(Taken taken)
    {
        copied += taken.Documents;
        copiedBytes += taken.Bytes;
        copiedTombstones += taken.Tombstones;
    }

    /// <summary>Everything up to this key is dominated, durably.</summary>
    public void Advance(Key key) => position = IsBeforeMerge ? position : key;

    public void Publish() => latest = Progress(false);

    /// <summary>The last progress of all. It is not for whoever looks meanwhile: it comes once, at the end.</summary>
    public ReconcileProgress Complete() => Progress(true);

    private ReconcileProgress Progress(bool isComplete) =>
        new(position, compared, copied, copiedBytes, copiedTombstones, digest, watermark, Incarnation, isComplete);
}
