using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>Has the writers of differing documents make their replicas equal, in bounded batches.</summary>
internal sealed class Repairer(EntropyWorld world, string index, CancellationToken cancel)
{
    private const int Tries = 3;
    private const int PauseMs = 200;

    /// <summary>"" where all replicas that answered are equal now, else why not; in the order of the keys.</summary>
    public async Task<string[]> RepairAsync(IReadOnlyList<RepairKey> keys)
    {
        var outcomes = new string[keys.Count];
        int[] open = [.. Enumerable.Range(0, keys.Count)];
        for (var attempt = 1; open.Length > 0 && attempt <= Tries; attempt++)
        {
            if (attempt > 1)
                await Task.Delay(TimeSpan.FromMilliseconds(PauseMs * attempt), world.Time, cancel);
            var table = world.Table;
            foreach (var group in open.GroupBy(i => WriterOf(table, keys[i].Key), StringComparer.Ordinal))
            {
                foreach (var part in group.Chunk(world.Options.RepairKeys))
                {
                    var told = await AskAsync(group.Key, table.Revision, [.. part.Select(i => keys[i])]);
                    for (var i = 0; i < part.Length; i++)
                        outcomes[part[i]] = told[i];
                }
            }

            open = [.. open.Where(i => outcomes[i] != "")];
        }

        return outcomes;
    }

    private string WriterOf(RoutingTable table, Key key) =>
        table.Resolve(index, key.Hash) is { IsValueSome: true, Value: var route } ? route.Writer.Router : "";

    private async Task<string[]> AskAsync(string writer, long revision, RepairKey[] keys)
    {
        string why;
        try
        {
            if (world.Router(writer) is not { } router)
                why = "the document's shard has no writer that could be asked";
            else
            {
                var outcomes = await world.AskAsync(
                    writer,
                    limit => router.Repair(new RepairCommand(index, keys), revision, limit),
                    cancel
                );
                if (outcomes.Length == keys.Length)
                    return Array.ConvertAll(
                        outcomes,
                        outcome => outcome is RepairOutcome.NotRepaired not ? not.Why : ""
                    );
                why = $"router {writer} sent {outcomes.Length} outcomes for {keys.Length} keys";
            }
        }
        catch (UnreachableException e)
        {
            why = $"the writer gave no answer: {e.Message}";
        }

        return [.. Enumerable.Repeat(why, keys.Length)];
    }
}
