using Miroir.Chaos.Processes;
using Miroir.Ports;
using Miroir.Simulation.Chaos;

namespace Miroir.Chaos.Scenarios;

/// <summary>
/// What a coordinator's configuration, its API and the core say to each way to have anti-entropy and the delta pass.
/// </summary>
internal sealed class GatePlay(ChaosScenario scenario, ScenarioRun run, string folder)
{
    public async Task PlayAsync()
    {
        await run.LoadAsync();
        await run.World.AddNewNodeAsync();
        var table = await run.World.TableAsync();
        foreach (var (antiEntropy, skips) in Gates.Combinations)
        {
            var isSafe = Gates.IsSafe(antiEntropy, skips);
            Expect("configuration", antiEntropy, skips, isSafe, await ConfiguredAsync(antiEntropy, skips));
            Expect("core", antiEntropy, skips, isSafe, Gates.Planned(table, antiEntropy, skips));
            if (antiEntropy == scenario.AntiEntropy)
                await AskAsync(skips, isSafe);
        }
        await run.FinishAsync();
    }

    /// <summary>Starts a coordinator that is configured so: "", or the code with which it refused to.</summary>
    private async Task<string> ConfiguredAsync(bool antiEntropy, bool skips)
    {
        var name = $"configured-{(antiEntropy ? "with" : "without")}-{(skips ? "skip" : "delta")}";
        await using var cluster = new Cluster(Path.Combine(folder, name), 0, "");
        try
        {
            await cluster.StartCoordinatorAsync(Gates.Toml(antiEntropy, skips));
            return "";
        }
        catch (InvalidOperationException)
        {
            var log = await File.ReadAllTextAsync(cluster.Processes[0].LogFile);
            return log.Contains(Gates.Refusal, StringComparison.Ordinal) ? Gates.Refusal : log;
        }
    }

    private async Task AskAsync(bool skips, bool isSafe)
    {
        var request = new StartReshardRequest(run.World.Indexes[0].Uid, Gates.NewShards, 0, true, skips);
        var answer = await run.World.Admin.StartReshard(request, CancellationToken.None);
        var code =
            answer.IsOk ? ""
            : answer.ErrorValue is Scripting.ClientError.Refused refused ? refused.Code
            : answer.ErrorValue.Message;
        Expect("API", scenario.AntiEntropy, skips, isSafe, code);
        var isWarned = answer.IsOk && answer.ResultValue.Warnings.Length > 0;
        if (isWarned)
            run.World.Count("warnings given");
        if (isWarned != Gates.IsWarned(scenario.AntiEntropy, skips))
            run.World.Complaints.Add(
                $"a warning was {(isWarned ? "" : "not ")}given with anti-entropy {scenario.AntiEntropy} and the delta pass skipped {skips}"
            );
    }

    private void Expect(string where, bool antiEntropy, bool skips, bool isSafe, string code)
    {
        run.World.Count(code == "" ? $"taken by {where}" : $"refused by {where}");
        if (code != (isSafe ? "" : Gates.Refusal))
            run.World.Complaints.Add(
                $"{where}: anti-entropy {antiEntropy}, delta pass skipped {skips}: answered '{code}'"
            );
    }
}
