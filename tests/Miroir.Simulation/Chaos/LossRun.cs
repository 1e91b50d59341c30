using Miroir.Oracle;
using Miroir.Ports;
using Miroir.Simulation.Scenario;

namespace Miroir.Simulation.Chaos;

/// <summary>A cutover that stops in Switched, where all documents are read, before it goes on to its end.</summary>
public sealed class LossRun
{
    private const int Readers = 8;
    private const double KeptForMs = 30_000;

    // Longer than it takes to read everything.
    private const int RetainMs = 60_000;

    private readonly ChaosScenario _scenario;
    private readonly SimWorld _world;
    private readonly bool _readsConfirmed;
    private LossCount _count = new(0, 0, -1, 0, false);

    private LossRun(ChaosScenario scenario, SimWorld world, bool readsConfirmed)
    {
        _scenario = scenario;
        _world = world;
        _readsConfirmed = readsConfirmed;
    }

    /// <param name="readsConfirmed">
    /// Confirmed reads put back what they find: what is lost at the end can be told only where there were none.
    /// </param>
    public static (SeedResult Result, LossCount Count) Run(
        ChaosScenario scenario,
        long seed,
        bool keepsStory,
        bool readsConfirmed
    )
    {
        LossRun? run = null;
        var played = scenario with { RetainSourceMs = RetainMs };
        var result = SimWorld.Play(
            seed,
            keepsStory,
            kernel => ChaosRun.Settings(played, kernel),
            world => (run = new LossRun(played, world, readsConfirmed)).PlayAsync(),
            ChaosRun.Salt(scenario)
        );
        return (result, run!._count);
    }

    private bool WaitsForAntiEntropy => _scenario is { AntiEntropy: true, Delta: false };

    private async Task PlayAsync()
    {
        var run = new ChaosRun(_scenario, _world);
        await run.PrepareAsync();
        await run.CutOverAsync();
        static bool HasSwitched(ShardMoveView shard) => shard.Stage == "Switched";
        await run.UntilAsync(
            "every shard has switched",
            view => view.Shards.All(HasSwitched),
            _world.Operator.CutoverAsync
        );
        await run.QuietenAsync();
        await _world.Operator.Rest(2_000);
        await ReadAllAsync();
        if (WaitsForAntiEntropy)
        {
            await _world.Operator.Rest(RetainMs + KeptForMs);
            var views = await _world.Operator.ViewsAsync();
            _count = _count with { IsSourceKept = views is [var view] && view.Shards.All(HasSwitched) };
            await PassAsync();
        }
        await run.UntilAsync("the migration has ended", view => view.FinishedAtUnixMs != 0);
        await run.FinishAsync();
        _count = _count with { Lost = _world.WrongDocuments };
    }

    /// <summary>Anti-entropy, at last: it repairs the targets and certifies them, and only then does the source go.</summary>
    private async Task PassAsync()
    {
        var index = _world.Indexes[0];
        var newest = Final.Newest(index.Uid, _world.Cluster);
        if (await _world.Operator.PassAsync(index.Uid, "run") is not { Status: "Done" } pass)
        {
            _world.Findings.Add("wedged", "the pass of anti-entropy did not end");
            return;
        }
        foreach (var shard in pass.Shards.Where(shard => shard.Problem != ""))
        {
            _world.Findings.Add("wedged", $"shard {shard.Shard} was not compared: {shard.Problem}");
        }
        _count = _count with { MissingAfterPass = await MissingAsync(index, newest, Consistency.Eventual) };
    }

    private async Task ReadAllAsync()
    {
        var index = _world.Indexes[0];
        var newest = Final.Newest(index.Uid, _world.Cluster);
        // Eventual reads first: they put nothing back.
        var missingEventual = await MissingAsync(index, newest, Consistency.Eventual);
        var missingConfirmed = _readsConfirmed ? await MissingAsync(index, newest, Consistency.Confirmed) : -1;
        _count = _count with
        {
            Documents = newest.Values.Count(entry => !entry.IsTombstone),
            MissingEventual = missingEventual,
            MissingConfirmed = missingConfirmed,
        };
    }

    private async Task<long> MissingAsync(
        SimIndex index,
        IReadOnlyDictionary<string, DumpEntry> newest,
        Consistency consistency
    )
    {
        async Task<long> OfChunkAsync(string[] keys)
        {
            var reader = _world.Client(index, ClientHabits.Patient);
            var missing = 0L;
            foreach (var key in keys)
            {
                var entry = newest[key];
                var wanted = entry.IsTombstone ? null : $"{entry.Version.Term}.{entry.Version.Clock}";
                var reply = await reader.ReadAsync(key, consistency);
                if (reply is null || reply.Version != wanted)
                {
                    missing++;
                }
            }
            return missing;
        }

        var keys = newest.Keys.Order(StringComparer.Ordinal).ToArray();
        var chunks = keys.Chunk(Math.Max(1, (keys.Length + Readers - 1) / Readers));
        return (await Task.WhenAll(chunks.Select(OfChunkAsync))).Sum();
    }
}
