using Miroir.Core;

namespace Miroir.Stores.Tests.Conformance;

/// <summary>A change log in the plainest form.</summary>
internal sealed class ReferenceLog
{
    private readonly Dictionary<(DocumentVersion Position, string Key), Change> changes = [];

    public DocumentVersion Floor { get; private set; } = DocumentVersion.Zero;

    /// <summary>The lowest positions go where there are more than that many.</summary>
    public void Add(Change change, long maxChanges)
    {
        if (change.Position.CompareTo(Floor) > 0)
        {
            changes.TryAdd((change.Position, ReferenceStore.NameOf(change.Key)), change);
        }

        while (changes.Count > maxChanges)
        {
            Raise(changes.Keys.Min(at => at.Position));
        }
    }

    public void Raise(DocumentVersion floor)
    {
        if (floor.CompareTo(Floor) <= 0)
        {
            return;
        }

        Floor = floor;
        foreach (var gone in changes.Keys.Where(at => at.Position.CompareTo(floor) <= 0).ToArray())
        {
            changes.Remove(gone);
        }
    }

    /// <summary>What pages behind one position, up to another, must give in all.</summary>
    public Change[] Slice(HashRange range, DocumentVersion after, DocumentVersion through) =>
        changes
            .Values.Where(change => change.Position.CompareTo(after) > 0 && change.Position.CompareTo(through) <= 0)
            .Where(change => range.Contains(change.Key))
            .OrderBy(change => change.Position)
            .ThenBy(change => change.Key.Hash)
            .ThenBy(change => ReferenceStore.NameOf(change.Key), StringComparer.Ordinal)
            .ToArray();
}
