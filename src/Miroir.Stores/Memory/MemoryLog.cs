using Miroir.Core;

namespace Miroir.Stores.Memory;

/// <summary>One store's change log, in order of positions, then of keys as stores order them.</summary>
internal sealed class MemoryLog
{
    private readonly SortedSet<Change> changes = new(ByPosition.Instance);

    // Nothing at these positions or below is in it.
    private FeedFloors floors = FeedFloors.None;

    public MemoryLog Copy()
    {
        var copy = new MemoryLog { floors = floors };
        copy.changes.UnionWith(changes);
        return copy;
    }

    public void Add(Change change)
    {
        if (change.Position.CompareTo(floors.At(change.Key.Hash)) > 0)
        {
            changes.Add(change);
        }
    }

    public void Add(LogChangesCommand command, HashRange store, ChangeRetention retention)
    {
        Raise(command.FloorIn(store), command.Floor);
        foreach (var change in command.Changes)
        {
            Add(change);
        }

        Trim(retention);
    }

    public void Trim(ChangeRetention retention)
    {
        var oldestClock = retention.OldestClock();
        while (changes.Min is { } first && (changes.Count > retention.MaxChanges || first.Position.Clock < oldestClock))
        {
            Raise(HashRange.Full, first.Position);
        }
    }

    public ChangesPage Page(ChangesCommand command)
    {
        var floor = floors.Over(command.Range);
        var after = floor.CompareTo(command.After) > 0 ? floor : command.After;
        var page = new List<Change>();
        foreach (var change in changes)
        {
            if (change.Position.CompareTo(after) <= 0 || !command.Range.Contains(change.Key))
            {
                continue;
            }

            if (change.Position.CompareTo(command.Through) > 0)
            {
                break;
            }

            if (page.Count >= command.MaxChanges && !change.Position.Equals(page[^1].Position))
            {
                return new ChangesPage([.. page], false, floor);
            }

            page.Add(change);
        }

        return new ChangesPage([.. page], true, floor);
    }

    private void Raise(HashRange range, DocumentVersion floor)
    {
        var raised = floors.Raise(range, floor);
        if (!ReferenceEquals(raised, floors))
        {
            floors = raised;
            changes.RemoveWhere(change => range.Contains(change.Key) && change.Position.CompareTo(floor) <= 0);
        }
    }

    private sealed class ByPosition : IComparer<Change>
    {
        public static ByPosition Instance { get; } = new();

        public int Compare(Change? x, Change? y)
        {
            var byPosition = x!.Position.CompareTo(y!.Position);
            return byPosition != 0 ? byPosition : x.Key.CompareTo(y.Key);
        }
    }
}
