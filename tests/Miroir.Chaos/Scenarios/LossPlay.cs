using Miroir.Chaos.Demo;
using Miroir.Oracle;
using Miroir.Scripting;
using Miroir.Simulation.Chaos;

namespace Miroir.Chaos.Scenarios;

/// <summary>A cutover that stops in Switched, where all documents are read, before it goes on to its end.</summary>
internal sealed class LossPlay(ChaosScenario scenario, ScenarioRun run, bool readsConfirmed)
{
    private const int Readers = 16;

    // Longer than it takes to read everything.
    private const int RetainMs = 8_000;
    private static readonly TimeSpan KeptFor = TimeSpan.FromSeconds(5);

    private LossCount _count = new(0, 0, -1, 0, false);

    public static ChaosScenario Retaining(ChaosScenario scenario) => scenario with { RetainSourceMs = RetainMs };

    private bool WaitsForAntiEntropy => scenario is { AntiEntropy: true, Delta: false };

    private static bool HasSwitched(Miroir.Ports.ShardMoveView shard) => shard.Stage == "Switched";

    /// <summary>Confirmed reads put back what they find: what is lost at the end can be told only where there were none.</summary>
    public async Task<LossCount> PlayAsync()
    {
        await run.PrepareAsync();
        await run.CutOverAsync();
        await run.UntilAsync("every shard has switched", view => view.Shards.All(HasSwitched), run.World.CutoverAsync);
        await run.QuietenAsync();
        await ReadAllAsync();
        if (await run.World.ViewsAsync() is not [var seen] || !seen.Shards.All(HasSwitched))
            throw new InvalidOperationException($"reading everything took longer than {RetainMs} ms");
        if (WaitsForAntiEntropy)
            await WaitAsync();
        else
            await run.UntilAsync("the migration has ended", view => view.FinishedAtUnixMs != 0);
        await run.FinishAsync();
        return _count with { Lost = run.Lost };
    }

    /// <summary>Nothing certifies the targets: the source stays, and the migration goes back to it.</summary>
    private async Task WaitAsync()
    {
        await Task.Delay(TimeSpan.FromMilliseconds(RetainMs) + KeptFor);
        var views = await run.World.ViewsAsync();
        _count = _count with { IsSourceKept = views is [var view] && view.Shards.All(HasSwitched) };
        var newest = Selector.NewLatestOf(run.World.Indexes[0].Uid);
        await run.World.InsistAsync("revert", () => run.World.Admin.Revert(newest, null, false, default));
        await run.UntilAsync("the migration has gone back", view => view.FinishedAtUnixMs != 0);
    }

    private async Task ReadAllAsync()
    {
        var index = run.World.Indexes[0];
        var newest = FinalCheck
            .Dump(run.World.Cluster, index.Uid)
            .GroupBy(entry => entry.Key, StringComparer.Ordinal)
            .Select(entries => entries.MaxBy(entry => (entry.Version.Term, entry.Version.Clock))!)
            .ToList();
        // Eventual reads first: they put nothing back.
        var missingEventual = await MissingAsync(index.Client, newest, true);
        var missingConfirmed = readsConfirmed ? await MissingAsync(index.Client, newest, false) : -1;
        _count = _count with
        {
            Documents = newest.Count(entry => !entry.IsTombstone),
            MissingEventual = missingEventual,
            MissingConfirmed = missingConfirmed,
        };
    }

    private async Task<long> MissingAsync(DocumentClient client, IEnumerable<DumpEntry> newest, bool isEventual)
    {
        var router = run.World.Routers[0];
        var missing = 0L;
        await Parallel.ForEachAsync(
            newest,
            new ParallelOptions { MaxDegreeOfParallelism = Readers },
            async (entry, _) =>
            {
                var wanted = entry.IsTombstone ? "" : $"{entry.Version.Term}.{entry.Version.Clock}";
                if (await client.VersionAsync(router, entry.Key, isEventual) != wanted)
                    Interlocked.Increment(ref missing);
            }
        );
        return missing;
    }
}
