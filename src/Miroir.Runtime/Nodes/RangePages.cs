using Miroir.Core;

namespace Miroir.Runtime.Nodes;

/// <summary>Pages over several ranges of one store, made of the pages of each.</summary>
internal sealed class RangePages(RangesCommand command)
{
    private readonly List<Entry> _gathered = [];
    private Key? _after = command.After;
    private int _range;

    /// <summary>What a command without ranges is answered.</summary>
    public static ScanPage Empty { get; } = new([], [], true);

    /// <summary>What to read of the store next; null: nothing more.</summary>
    public ScanCommand? Next
    {
        get
        {
            while (_range < command.Ranges.Length && _after is { } key && key.Hash > command.Ranges[_range].Last)
                _range++;
            return _range == command.Ranges.Length
                ? null
                : new ScanCommand(
                    command.Stamp,
                    command.Store,
                    command.Ranges[_range],
                    _after,
                    Math.Max(1, command.MaxEntries - _gathered.Count),
                    1,
                    false
                );
        }
    }

    /// <summary>Takes one page of the store; answers what is to be sent now, if anything.</summary>
    public ScanPage? Take(ScanPage page)
    {
        _gathered.AddRange(page.Entries);
        if (page.Entries.Length > 0)
            _after = page.Entries[^1].Key;
        if (page.IsLast)
            _range++;
        var isOver = _range == command.Ranges.Length;
        if (!isOver && _gathered.Count < command.MaxEntries)
            return null;
        var sent = new ScanPage([.. _gathered], [], isOver);
        _gathered.Clear();
        return sent;
    }
}
