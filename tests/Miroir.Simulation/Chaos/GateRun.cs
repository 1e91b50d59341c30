using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;
using Miroir.Simulation.Scenario;

namespace Miroir.Simulation.Chaos;

/// <summary>
/// What the configuration, the API and the core say to each way to have anti-entropy and the delta pass: the one unsafe
/// way is refused by all three of them, the others are taken, with a warning where there is one to give.
/// </summary>
internal sealed class GateRun(ChaosScenario scenario, SimWorld world)
{
    private const string Unsafe = "UnsafeCutoverNoAntiEntropy";

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
        foreach (var antiEntropy in (bool[])[true, false])
        {
            foreach (var skips in (bool[])[true, false])
            {
                var isSafe = antiEntropy || !skips;
                Expect("configuration", antiEntropy, skips, isSafe, Configured(antiEntropy, skips));
                Expect("core", antiEntropy, skips, isSafe, Planned(antiEntropy, skips));
                if (antiEntropy == scenario.AntiEntropy)
                {
                    await AskAsync(skips, isSafe);
                }
            }
        }
        await run.FinishAsync();
    }

    /// <summary>"" or the code of the refusal.</summary>
    private static string Configured(bool antiEntropy, bool skips)
    {
        var text = $"""
            [migration]
            skip_delta_pass = {Toml(skips)}
            anti_entropy_enabled = {Toml(antiEntropy)}
            """;
        var parsed = Config.parse(
            FuncConvert.FromFunc<string, TimeZoneInfo?>(TimeZoneInfo.FindSystemTimeZoneById),
            "miroir.toml",
            text
        );
        return parsed.IsOk ? "" : parsed.ErrorValue.First().Code;
    }

    private static string Toml(bool value) => value ? "true" : "false";

    private string Planned(bool antiEntropy, bool skips)
    {
        var table = Final.Table(world.Cluster);
        var limits = Limits.Configured(1_000, 0, skips, antiEntropy);
        var plan = Planning.compute(1, table.Indexes[0], table.Routes, table.Nodes, 7, limits);
        return plan.IsOk ? "" : plan.ErrorValue.Code;
    }

    private async Task AskAsync(bool skips, bool isSafe)
    {
        var request = new StartReshardRequest(world.Indexes[0].Uid, 7, 0, true, skips);
        var reply = await world.Operator.Ask("try", (admin, cancel) => admin.StartReshard(request, cancel));
        if (reply is null)
        {
            world.Findings.Add("failed", "the coordinator did not answer");
            return;
        }
        Expect("API", scenario.AntiEntropy, skips, isSafe, reply.IsOk ? "" : reply.Code);
        var isWarned = reply.IsOk && reply.Value.Warnings.Length > 0;
        var isToBeWarned = isSafe && (skips || !scenario.AntiEntropy);
        if (isWarned != isToBeWarned)
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
        if (code != (isSafe ? "" : Unsafe))
        {
            world.Findings.Add(
                "failed",
                $"{where}: anti-entropy {antiEntropy}, delta pass skipped {skips}: answered '{code}'"
            );
        }
    }
}
