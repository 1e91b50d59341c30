using Miroir.Core;

namespace Miroir.Runtime.Feed;

/// <summary>A part of an index's hash space that one route serves, in one round of its change feed.</summary>
internal sealed class FeedPart(Route route, HashRange range, DocumentVersion position)
{
    private readonly DocumentVersion _start = position;

    public Route Route => route;

    public HashRange Range => range;

    /// <summary>The reader has everything up to here once it has <see cref="Changes"/>.</summary>
    public DocumentVersion Position { get; private set; } = position;

    /// <summary>Nothing up to here is still to come.</summary>
    public DocumentVersion Through { get; set; }

    public List<Change> Changes { get; } = [];

    /// <summary>By change; empty where none were asked for.</summary>
    public List<ReadOnlyMemory<byte>?> Bodies { get; } = [];

    public bool IsDone { get; private set; }

    /// <summary>Why it can't go on now; "" where it can.</summary>
    public string Trouble { get; private set; } = "";

    public bool IsOpen => !IsDone && Trouble == "";

    public void Fail(string why) => Trouble = why;

    /// <summary>Nothing more is there up to <see cref="Through"/>.</summary>
    public void Finish()
    {
        Position = Through;
        IsDone = true;
    }

    public void Take(FeedCut cut)
    {
        Changes.AddRange(cut.Changes);
        // No progress: what is retained begins above the bound.
        IsDone = cut.Reached.Equals(Through) || cut.Reached.Equals(Position);
        Position = cut.Reached;
    }

    /// <summary>Leaves away the changes behind so many; those of one position stay or go together.</summary>
    public void Cut(int count)
    {
        while (count > 0 && count < Changes.Count && Changes[count].Position.Equals(Changes[count - 1].Position))
        {
            count--;
        }
        if (count >= Changes.Count)
        {
            return;
        }
        Position = count == 0 ? _start : Changes[count - 1].Position;
        IsDone = false;
        Changes.RemoveRange(count, Changes.Count - count);
        if (Bodies.Count > count)
        {
            Bodies.RemoveRange(count, Bodies.Count - count);
        }
    }
}
