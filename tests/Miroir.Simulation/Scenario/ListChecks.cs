using Miroir.Oracle;

namespace Miroir.Simulation.Scenario;

/// <summary>
/// Lists of a whole index, held to more than that somebody wrote what they show: a document that was left alone from
/// before a list began until it ended, and whose last write is known, is in it just as it was written.
/// </summary>
public sealed class ListChecks
{
    private readonly List<HistoryEntry[]> _lists = [];

    /// <param name="list">One read for each document that there may be, all of them begun and ended together.</param>
    public void Add(HistoryEntry[] list) => _lists.Add(list);

    public void Judge(History history, Findings findings)
    {
        var writes = history
            .Entries()
            .Where(entry => entry.Operation.IsWrite)
            .GroupBy(entry => entry.Operation.Key, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.ToArray(), StringComparer.Ordinal);
        foreach (var read in _lists.SelectMany(list => list).Where(read => read.Outcome == Outcome.Ok))
        {
            if (!writes.TryGetValue(read.Operation.Key, out var mine) || Settled(mine, read) is not { } last)
            {
                continue;
            }
            var wanted = last.Operation.Fields;
            var seen = read.Reply!.Document;
            var isAsWritten = wanted is null ? seen is null : seen is not null && wanted.SameAs(seen);
            if (!isAsWritten)
            {
                findings.Add(
                    seen is null ? "lost"
                        : wanted is null ? "resurrected"
                        : "stale",
                    $"a list shows \"{read.Operation.Key}\" as {seen?.ToString() ?? "absent"}: {read}\n  though it was left alone since {last}"
                );
            }
        }
    }

    /// <summary>The replacement or deletion that alone decides what the read must see; null where none does.</summary>
    private static HistoryEntry? Settled(HistoryEntry[] writes, HistoryEntry read)
    {
        HistoryEntry? last = null;
        foreach (var write in writes)
        {
            if (write.Outcome is Outcome.Failed or Outcome.ConditionFailed || write.InvokedAt > read.CompletedAt)
            {
                continue;
            }
            if (write.Outcome != Outcome.Ok || write.CompletedAt > read.InvokedAt)
            {
                return null;
            }
            if (last is null || write.InvokedAt > last.InvokedAt)
            {
                last = write;
            }
        }
        if (last is null or { Operation.Kind: OperationKind.Merge })
        {
            return null;
        }
        var isAlone = writes.All(other =>
            ReferenceEquals(other, last)
            || other.Outcome != Outcome.Ok
            || other.CompletedAt < last.InvokedAt
            || other.InvokedAt > read.CompletedAt
        );
        return isAlone ? last : null;
    }
}
