using Miroir.Simulation.Scenario;
using NUnit.Framework;

namespace Miroir.Simulation.Chaos;

/// <summary>The named scenarios at a small size; `dotnet fsi build.fsx simulate --scenarios` runs them larger.</summary>
[NonParallelizable]
public sealed class ChaosScenarioTests
{
    private const int Size = 300;

    public static IEnumerable<TestCaseData> Cases =>
        from scenario in ChaosScenarios.All
        where scenario.Mutant == "" || Mutant.AreThere
        from seed in (long[])[1, 2, 3]
        select new TestCaseData(scenario, seed).SetArgDisplayNames(scenario.FullName, $"seed {seed}");

    [TestCaseSource(nameof(Cases))]
    public void NothingIsWrongAfter(ChaosScenario scenario, long seed)
    {
        using var mutant = Mutant.Activate(scenario.Mutant);
        var result = ChaosPlays.Run(scenario.AtMost(Size), seed, keepsStory: false);
        Assert.That(
            result.Violations,
            Is.Empty,
            $"replay it with: dotnet fsi build.fsx simulate --scenario {scenario.Name} --size {Size} --seed {seed}"
        );
    }

#if MUTANTS
    [Test]
    public void WithoutTheDeltaPassAScenarioFindsLoss()
    {
        using var mutant = Mutant.Activate("delta-pass-left-out");
        var result = ChaosRun.Run(ChaosScenarios.Named("partial_shard_failure").AtMost(Size), 1, keepsStory: false);
        Assert.That(result.Wrong.Keys, Has.Some.AnyOf("lost", "stale", "resurrected"));
    }
#endif
}
