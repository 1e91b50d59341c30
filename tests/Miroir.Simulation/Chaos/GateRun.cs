using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Simulation.Scenario;

namespace Miroir.Simulation.Chaos;

/// <summary>
/// What the configuration, the API and the core say to each way to have anti-entropy and the delta pass: the one unsafe
/// way is refused by all three of them, the others are taken, with a warning where there is one to give.
/// </summary>
internal sealed class GateRun(ChaosScenario scenario, SimWorld world)
{
    public static SeedResult Run(ChaosScenario scenario, long seed, bool keepsStory) =>
        SimWorld.Play(
            seed,
            keepsStory,
            kernel => ChaosRun.Settings(scenario, kernel),
            world => new GateRun(scenario, world).PlayAsync(),
            ChaosRun.Salt(scenario)
        );

    private async Task PlayAsync()
    {
        var run = new ChaosRun(scenario, world);
        await run.LoadAsync();
        var table = Final.Table(world.Cluster);
        foreach (var (antiEntropy, skips) in Gates.Combinations)
        {
            var isSafe = Gates.IsSafe(antiEntropy, skips);
            Expect("configuration", antiEntropy, skips, isSafe, Configured(antiEntropy, skips));
            Expect("core", antiEntropy, skips, isSafe, Gates.Planned(table, antiEntropy, skips));
            if (antiEntropy == scenario.AntiEntropy)
            {
                await AskAsync(skips, isSafe);
            }
        }
        await run.FinishAsync();
    }

    /// <summary>"" or the code of the refusal.</summary>
    private static string Configured(bool antiEntropy, bool skips)
    {
        var parsed = Config.parse(
            FuncConvert.FromFunc<string, TimeZoneInfo?>(TimeZoneInfo.FindSystemTimeZoneById),
            "miroir.toml",
            Gates.Toml(antiEntropy, skips)
        );
        return parsed.IsOk ? "" : parsed.ErrorValue.First().Code;
    }

    private async Task AskAsync(bool skips, bool isSafe)
    {
        var request = new StartReshardRequest(world.Indexes[0].Uid, Gates.NewShards, 0, true, skips);
        var reply = await world.Operator.Ask("try", (admin, cancel) => admin.StartReshard(request, cancel));
        if (reply is null)
        {
            world.Findings.Add("failed", "the coordinator did not answer");
            return;
        }
        Expect("API", scenario.AntiEntropy, skips, isSafe, reply.IsOk ? "" : reply.Code);
        var isWarned = reply.IsOk && reply.Value.Warnings.Length > 0;
        if (isWarned != Gates.IsWarned(scenario.AntiEntropy, skips))
        {
            world.Findings.Add(
                "failed",
                $"a warning was {(isWarned ? "" : "not ")}given with anti-entropy {scenario.AntiEntropy} and the delta pass skipped {skips}"
            );
        }
    }

    private void Expect(string where, bool antiEntropy, bool skips, bool isSafe, string code)
    {
        world.Network.Count(code == "" ? $"taken by {where}" : $"refused by {where}");
        if (code != (isSafe ? "" : Gates.Refusal))
        {
            world.Findings.Add(
                "failed",
                $"{where}: anti-entropy {antiEntropy}, delta pass skipped {skips}: answered '{code}'"
            );
        }
    }
}
