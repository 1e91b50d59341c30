using Miroir.Core;

namespace Miroir.Stores.Tests.Conformance;

/// <summary>A change log in the plainest form.</summary>
internal sealed class ReferenceLog
{
    private readonly Dictionary<(DocumentVersion Position, string Key), Change> changes = [];

    private readonly List<(HashRange Range, DocumentVersion Floor)> floors = [];

    /// <summary>The highest floor of any part of a range.</summary>
    public DocumentVersion FloorOf(HashRange range) =>
        floors
            .Where(floor => floor.Range.Intersect(range).IsValueSome)
            .Select(floor => floor.Floor)
            .Append(DocumentVersion.Zero)
            .Max();

    /// <summary>The lowest positions go where there are more than that many.</summary>
    public void Add(Change change, long maxChanges)
    {
        if (!floors.Any(floor => IsGone(change, floor.Range, floor.Floor)))
        {
            changes.TryAdd((change.Position, ReferenceStore.NameOf(change.Key)), change);
        }

        while (changes.Count > maxChanges)
        {
            Raise(HashRange.Full, changes.Keys.Min(at => at.Position));
        }
    }

    public void Raise(HashRange range, DocumentVersion floor)
    {
        floors.Add((range, floor));
        foreach (var (at, _) in changes.Where(change => IsGone(change.Value, range, floor)).ToArray())
        {
            changes.Remove(at);
        }
    }

    /// <summary>What pages behind one position, up to another, must give in all.</summary>
    public Change[] Slice(HashRange range, DocumentVersion after, DocumentVersion through) =>
        changes
            .Values.Where(change => change.Position.CompareTo(after) > 0 && change.Position.CompareTo(through) <= 0)
            // A page is above the highest floor of its range.
            .Where(change => change.Position.CompareTo(FloorOf(range)) > 0)
            .Where(change => range.Contains(change.Key))
            .OrderBy(change => change.Position)
            .ThenBy(change => change.Key.Hash)
            .ThenBy(change => ReferenceStore.NameOf(change.Key), StringComparer.Ordinal)
            .ToArray();

    private static bool IsGone(Change change, HashRange range, DocumentVersion floor) =>
        range.Contains(change.Key) && change.Position.CompareTo(floor) <= 0;
}
