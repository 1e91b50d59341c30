namespace Miroir.Simulation.Chaos;

/// <summary>Whether failures hit each shard about as often as its rate asks for.</summary>
public static class FailureSpread
{
    // Fewer than these failures on a shard tell nothing of how even they are.
    private const double EnoughToCompare = 20;

    /// <param name="refused">Puts that the new node refused, by shard.</param>
    public static IEnumerable<string> Complaints(ChaosScenario scenario, IReadOnlyList<long> refused)
    {
        double Rate(int shard) => scenario.Failing[shard % scenario.Failing.Count];
        var total = Enumerable.Range(0, refused.Count).Sum(Rate);
        for (var shard = 0; shard < refused.Count; shard++)
        {
            // By the rates alone; each shard has about as many documents as the others.
            var expected = total == 0 ? 0 : refused.Sum() * Rate(shard) / total;
            var isOff =
                Rate(shard) == 0 ? refused[shard] > 0
                : refused[shard] == 0 ? expected >= 10
                : expected >= EnoughToCompare && (refused[shard] < expected / 2.5 || refused[shard] > expected * 2.5);
            if (isOff)
            {
                yield return $"shard {shard} refused {refused[shard]} puts, where {expected:0.0} were to be expected of {string.Join(", ", refused)}";
            }
        }
    }
}
