using Miroir.Core;
using Miroir.Stores.Tests.Conformance;

namespace Miroir.Stores.Tests.Crash;

/// <summary>What the change log of a store has to hold, and what it may. Positions are never given twice.</summary>
internal sealed class LogExpectation
{
    /// <summary>Changes that are kept; no floor is given but by there being more.</summary>
    public const int MaxChanges = 25;

    public sealed class Expected(Change change)
    {
        public Change Change => change;

        /// <summary>It was acknowledged.</summary>
        public bool IsCertain { get; set; }
    }

    private readonly Dictionary<DocumentVersion, Expected> _byPosition = [];

    public Expected Begin(Change change) => _byPosition[change.Position] = new Expected(change);

    public void Clear() => _byPosition.Clear();

    /// <summary>What is wrong with the log found, or null.</summary>
    public string? WrongIn(ChangesPage found)
    {
        var there = found.Changes.ToDictionary(change => change.Position);
        foreach (var (position, expected) in _byPosition)
        {
            if (expected.IsCertain && position.CompareTo(found.Floor) > 0 && !there.ContainsKey(position))
                return $"the change at {position} is lost: it was acknowledged, and the floor is {found.Floor}";
        }

        foreach (var change in found.Changes)
        {
            if (!_byPosition.TryGetValue(change.Position, out var expected))
                return $"the log has a change at {change.Position}, which nobody made in this incarnation";
            if (StoreUniverse.Describe(expected.Change) != StoreUniverse.Describe(change))
                return $"the change at {change.Position} is {change}, and was {expected.Change}";
        }

        // The lowest went for those that came: as many are left as are kept.
        return found.Floor.IsZero
            ? found.Changes.Length <= MaxChanges
                ? null
                : $"the log has {found.Changes.Length} changes"
            : found.Changes.Length == MaxChanges
                ? null
                : $"the log has {found.Changes.Length} changes above its floor {found.Floor}";
    }
}
