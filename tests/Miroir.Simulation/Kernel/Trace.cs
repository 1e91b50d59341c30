using System.Globalization;
using System.Runtime.InteropServices;
using Miroir.Core;

namespace Miroir.Simulation.Kernel;

/// <summary>
/// What happened, in order: a running hash of all of it, and, where a story is wanted, the lines that a person reads.
/// </summary>
public sealed class Trace(bool keepsStory)
{
    private readonly List<string> _story = [];
    private readonly ulong[] _block = new ulong[5];

    /// <summary>Whether lines are kept; making them costs more than running.</summary>
    public bool KeepsStory => keepsStory;

    /// <summary>Two runs with the same hash did the same.</summary>
    public ulong Hash { get; private set; }

    public long Events { get; private set; }

    public IReadOnlyList<string> Story => _story;

    /// <summary>An event in numbers: what kind, when, and two things that tell it from others.</summary>
    public void Add(long kind, long atTicks, long first, long second)
    {
        _block[0] = Hash;
        _block[1] = (ulong)kind;
        _block[2] = (ulong)atTicks;
        _block[3] = (ulong)first;
        _block[4] = (ulong)second;
        Hash = XxHash64.hash(0, MemoryMarshal.AsBytes(_block.AsSpan()));
        Events++;
    }

    /// <summary>A line of the story, and part of the hash.</summary>
    public void Tell(long atTicks, string who, string what)
    {
        Add(-1, atTicks, HashOf(who), HashOf(what));
        Note(atTicks, who, what);
    }

    /// <summary>A line of the story that is no part of the hash: what else is hashed tells it already.</summary>
    public void Note(long atTicks, string who, string what)
    {
        if (keepsStory)
        {
            var seconds = (atTicks / (double)TimeSpan.TicksPerSecond).ToString("0.0000", CultureInfo.InvariantCulture);
            _story.Add($"{seconds, 10}  {who, -11} {what}");
        }
    }

    private static long HashOf(string text) => (long)XxHash64.hash(0, MemoryMarshal.AsBytes(text.AsSpan()));
}
