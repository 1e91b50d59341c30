using System.Text.Json;
using Miroir.Chaos.Demo;
using Miroir.Oracle;
using Miroir.Ports;
using Miroir.Simulation.Chaos;

namespace Miroir.Chaos.Scenarios;

/// <summary>One scenario with real processes: load, migrate under writes, cut over, judge.</summary>
internal sealed class ScenarioRun : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan WritingLimit = TimeSpan.FromMinutes(30);

    private readonly ChaosScenario _scenario;
    private readonly ScenarioEvents _events;
    private readonly CancellationToken _cancel;
    private Task _boundary = Task.CompletedTask;
    private long[][] _refusedBeforeCutover = [];
    private bool _areWriting;

    public ScenarioRun(ChaosScenario scenario, string folder, bool isFull, CancellationToken cancel)
    {
        _scenario = scenario;
        _cancel = cancel;
        World = new ScenarioWorld(scenario, folder, diesAtEach: isFull);
        _events = new ScenarioEvents(scenario, World);
    }

    public ScenarioWorld World { get; }

    public long Operations => World.Indexes.Sum(index => (long)index.History.Count);

    public long Acknowledged => World.Indexes.Sum(index => index.Workload.AcknowledgedWrites);

    /// <summary>Documents by what they are in the end.</summary>
    public SortedDictionary<string, long> Verdict { get; } = new(StringComparer.Ordinal);

    public async Task PlayAsync()
    {
        await PrepareAsync();
        _refusedBeforeCutover = await RefusedAsync();
        await CutOverAsync();
        // A shard that fell back waits until cutover is said again.
        await UntilAsync("the migration has ended", view => view.FinishedAtUnixMs != 0, World.CutoverAsync);
        await FinishAsync();
        JudgePhases();
        await JudgeFailuresAsync();
        _events.Judge();
    }

    /// <summary>Up to the moment when everything is copied, and so much was written that only a delta pass would find.</summary>
    public async Task PrepareAsync()
    {
        await LoadAsync();
        await World.AddNewNodeAsync();
        await World.RefuseAsync(_scenario.Failing);
        _events.Begin();
        foreach (var index in World.Indexes)
            await World.StartReshardAsync(index.Uid);
        await UntilAsync("every shard is copied", view => view.ReadyForCutover);
        // From here on, what the new node refuses is copied by nothing but the delta pass.
        var before = World.Indexes.ToDictionary(index => index.Uid, index => index.Workload.AcknowledgedWrites);
        var until = World.Clock.Elapsed + WritingLimit;
        while (World.Indexes.Any(index => index.Workload.AcknowledgedWrites - before[index.Uid] < _scenario.Writes))
        {
            if (World.Clock.Elapsed > until)
                throw new InvalidOperationException($"{_scenario.Writes} documents were not written in time");
            await Task.Delay(20, _cancel);
        }
    }

    /// <summary>A cluster with its documents, and clients that go on writing.</summary>
    public async Task LoadAsync()
    {
        await World.StartAsync();
        foreach (var index in World.Indexes)
            index.Workload.Start();
        _areWriting = true;
    }

    public async Task CutOverAsync()
    {
        await World.RefuseAsync(_scenario.FailingAtBoundary ?? _scenario.Failing);
        await _events.BeforeCutoverAsync();
        _boundary = Task.WhenAll(World.Indexes.Select(i => i.Workload.BurstAsync(_scenario.BoundaryWrites)));
        await World.CutoverAsync();
    }

    /// <summary>Clients stop, and are answered.</summary>
    public async Task QuietenAsync()
    {
        await _boundary;
        if (_areWriting)
            await Task.WhenAll(World.Indexes.Select(index => index.Workload.StopAsync()));
        _areWriting = false;
    }

    /// <summary>Everything heals, everybody stops, and what is there is held against what clients were told.</summary>
    public async Task FinishAsync()
    {
        await _events.AfterwardsAsync();
        await QuietenAsync();
        foreach (var index in World.Indexes)
            await JudgeAsync(index);
        if (World.Indexes.Sum(index => index.Client.Unknown) is > 0 and var unknown)
            World.Count("outcomes unknown to their client", unknown);
        if (World.Indexes.Sum(index => index.Client.Refused) is > 0 and var refused)
            World.Count("requests refused, and sent again", refused);
        var faults = await World.FaultsOfAsync(ScenarioWorld.NewNode);
        if (faults.Refused.Values.Sum() is > 0 and var puts)
            World.Count("puts refused on the new node", puts);
    }

    private async Task JudgeAsync(ScenarioIndex index)
    {
        var judged = await FinalCheck.JudgeAsync(World.Cluster, index.Client, index.Uid, index.History);
        foreach (var each in Enum.GetValues<DocumentClass>())
        {
            var name = each.ToString().ToLowerInvariant();
            Verdict[name] = Verdict.GetValueOrDefault(name) + judged.Verdict.Count(each);
        }
        Verdict["leftover"] = Verdict.GetValueOrDefault("leftover") + judged.Verdict.LeftoverTombstones;
        // With a seeded fault, loss is what is to be found.
        if (_scenario.Mutant == "")
            World.Complaints.AddRange(judged.Verdict.Examples);
    }

    public long Lost =>
        Verdict.GetValueOrDefault("lost")
        + Verdict.GetValueOrDefault("stale")
        + Verdict.GetValueOrDefault("resurrected");

    public bool IsVerdictFine => Verdict.All(v => v.Key == "fine" || v.Value == 0);

    /// <summary>Phases that the migrations passed, in the order in which they were first passed.</summary>
    public IReadOnlyList<string> Phases =>
        [.. World.Seen.Values.SelectMany(view => view.Timeline.Select(step => step.Phase)).Distinct()];

    private void JudgePhases()
    {
        if (World.Seen.Count != _scenario.Indexes)
            World.Complaints.Add($"{World.Seen.Count} migrations were seen, {_scenario.Indexes} were started");
        if (
            _scenario.Indexes > 1
            && World.Seen.Values.Max(v => v.StartedAtUnixMs) >= World.Seen.Values.Min(v => v.FinishedAtUnixMs)
        )
            World.Complaints.Add("the migrations ran one after the other");
        foreach (var view in World.Seen.Values)
        {
            var missed = ChaosScenarios.Phases.Except(view.Timeline.Select(step => step.Phase)).ToList();
            if (missed.Count > 0)
                World.Complaints.Add(
                    $"migration {view.Id} ended {view.Status}, and did not pass {string.Join(", ", missed)}"
                );
        }
    }

    /// <summary>Puts refused so far on the new node, by index and shard.</summary>
    private async Task<long[][]> RefusedAsync()
    {
        var faults = await World.FaultsOfAsync(ScenarioWorld.NewNode);
        long Of(ScenarioIndex index, int shard) =>
            faults
                .Refused.Where(r =>
                    r.Key.StartsWith($"{index.Uid}/", StringComparison.Ordinal)
                    && r.Key.EndsWith($"-{shard}", StringComparison.Ordinal)
                )
                .Sum(r => r.Value);
        return [.. World.Indexes.Select(i => Enumerable.Range(0, _scenario.Shards).Select(s => Of(i, s)).ToArray())];
    }

    private async Task JudgeFailuresAsync()
    {
        if (_scenario.Failing.All(rate => rate == 0))
            return;
        var all = await RefusedAsync();
        for (var i = 0; i < all.Length; i++)
        {
            if (all[i].Sum() == 0)
                World.Complaints.Add($"no put into {World.Indexes[i].Uid} was refused");
            // In Joint a put is tried again until it is taken: how often it is refused there says how long that was. And
            // a copy that begins again at each new leader puts, and is refused, as often as leaders die.
            if (_scenario.Event != ChaosEvent.CoordinatorDies)
                foreach (var complaint in FailureSpread.Complaints(_scenario, _refusedBeforeCutover[i]))
                    World.Complaints.Add($"{World.Indexes[i].Uid}: {complaint}");
        }
    }

    public async Task UntilAsync(string what, Func<MigrationView, bool> isSo, Func<Task>? meanwhile = null)
    {
        var until = World.Clock.Elapsed + Patience;
        while (World.Clock.Elapsed < until)
        {
            await Task.Delay(20, _cancel);
            await _events.MeanwhileAsync();
            if (meanwhile is not null)
                await meanwhile();
            if (await World.ViewsAsync() is { } views && views.Length == _scenario.Indexes && views.All(isSo))
                return;
        }
        throw new InvalidOperationException(
            $"it did not come about within {Patience.TotalMinutes} minutes that {what}: {JsonSerializer.Serialize(World.Seen.Values)}"
        );
    }

    public async ValueTask DisposeAsync()
    {
        await _events.DisposeAsync();
        if (_areWriting)
            await Task.WhenAll(World.Indexes.Select(index => index.Workload.StopAsync()));
        await World.DisposeAsync();
    }
}
