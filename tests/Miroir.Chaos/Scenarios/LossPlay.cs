using Miroir.Chaos.Demo;
using Miroir.Oracle;
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
        if (scenario is { AntiEntropy: true, Delta: false })
            await WaitForAntiEntropyAsync();
        await run.UntilAsync("the migration has ended", view => view.FinishedAtUnixMs != 0);
        await run.FinishAsync();
        return _count with { Lost = run.Lost };
    }

    /// <summary>
    /// The source stays for as long as nothing certifies the targets. Then anti-entropy repairs and certifies them, the
    /// migration ends by itself, and eventual reads miss nothing any more.
    /// </summary>
    private async Task WaitForAntiEntropyAsync()
    {
        await Task.Delay(TimeSpan.FromMilliseconds(RetainMs) + KeptFor);
        var views = await run.World.ViewsAsync();
        _count = _count with { IsSourceKept = views is [var view] && view.Shards.All(HasSwitched) };
        var newest = Newest();
        await run.World.LetAntiEntropyRepairAsync();
        await run.UntilAsync("anti-entropy has certified every target", view => view.FinishedAtUnixMs != 0);
        _count = _count with { MissingAfterPass = await MissingAsync(newest, true) };
    }

    /// <summary>The newest entry of each document that any store has.</summary>
    private List<DumpEntry> Newest() =>
        [
            .. FinalCheck
                .Dump(run.World.Cluster, run.World.Indexes[0].Uid)
                .GroupBy(entry => entry.Key, StringComparer.Ordinal)
                .Select(entries => entries.MaxBy(entry => (entry.Version.Term, entry.Version.Clock))!),
        ];

    private async Task ReadAllAsync()
    {
        var newest = Newest();
        // Eventual reads first: they put nothing back.
        var missingEventual = await MissingAsync(newest, true);
        var missingConfirmed = readsConfirmed ? await MissingAsync(newest, false) : -1;
        _count = _count with
        {
            Documents = newest.Count(entry => !entry.IsTombstone),
            MissingEventual = missingEventual,
            MissingConfirmed = missingConfirmed,
        };
    }

    private async Task<long> MissingAsync(IEnumerable<DumpEntry> newest, bool isEventual)
    {
        var client = run.World.Indexes[0].Client;
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
