using Miroir.Core;

namespace Miroir.Stores.Memory;

/// <summary>One store's change log, in order of positions, then of keys as stores order them.</summary>
internal sealed class MemoryLog
{
    private readonly SortedSet<Change> changes = new(ByPosition.Instance);

    /// <summary>Nothing at this position or below is in it.</summary>
    public DocumentVersion Floor { get; private set; } = DocumentVersion.Zero;

    public MemoryLog Copy()
    {
        var copy = new MemoryLog { Floor = Floor };
        copy.changes.UnionWith(changes);
        return copy;
    }

    public void Add(Change change)
    {
        if (change.Position.CompareTo(Floor) > 0)
        {
            changes.Add(change);
        }
    }

    public void Add(LogChangesCommand command, ChangeRetention retention)
    {
        Raise(command.Floor);
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
            Raise(first.Position);
        }
    }

    public ChangesPage Page(ChangesCommand command)
    {
        var page = new List<Change>();
        foreach (var change in changes)
        {
            if (change.Position.CompareTo(command.After) <= 0 || !command.Range.Contains(change.Key))
            {
                continue;
            }

            if (change.Position.CompareTo(command.Through) > 0)
            {
                break;
            }

            if (page.Count >= command.MaxChanges && !change.Position.Equals(page[^1].Position))
            {
                return new ChangesPage([.. page], false, Floor);
            }

            page.Add(change);
        }

        return new ChangesPage([.. page], true, Floor);
    }

    private void Raise(DocumentVersion floor)
    {
        if (floor.CompareTo(Floor) > 0)
        {
            Floor = floor;
            changes.RemoveWhere(change => change.Position.CompareTo(floor) <= 0);
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
