using Miroir.Chaos.Demo;
using Miroir.Oracle;

namespace Miroir.Chaos.Entropy;

/// <summary>What anti-entropy is held to with real processes, one step after the other; each says what it saw.</summary>
internal sealed class EntropyDrill(EntropyWorld world, EntropyDrillOptions options, Action<string> tell)
{
    private readonly DrillReport _report = new(tell);

    /// <summary>What was not as it has to be.</summary>
    public async Task<IReadOnlyList<string>> RunAsync()
    {
        await world.StartAsync();
        _report.Tell(
            $"{options.Documents:N0} documents loaded, {EntropyWorld.Copies} copies, {EntropyWorld.Shards} shards"
        );
        var key = await new UnderWrites(world, options, _report).RunAsync();
        var disks = new FailingDisks(world, _report);
        await disks.FlippedBodyAsync(key);
        await disks.FlippedDigestAsync(key);
        await disks.OldCopyAsync(key);
        await disks.LostAsync();
        await new AwayReplica(world, _report).RunAsync();
        await JudgeAsync();
        return _report.Wrong;
    }

    private async Task JudgeAsync()
    {
        var judged = await FinalCheck.JudgeAsync(world.Cluster, world.Client, EntropyWorld.Index, world.History);
        var wrong = Enum.GetValues<DocumentClass>()
            .Where(each => each != DocumentClass.Fine && judged.Verdict.Count(each) > 0)
            .Select(each => $"{judged.Verdict.Count(each)} {each}".ToLowerInvariant())
            .ToList();
        _report.Tell(
            $"{judged.Operations:N0} operations on {judged.Keys:N0} documents checked against every copy: {(wrong.Count == 0 ? "0 lost, 0 stale, 0 resurrected" : string.Join(", ", wrong))}"
        );
        _report.Blame(judged.Verdict.Examples);
        _report.Demand(wrong.Count == 0, string.Join(", ", wrong));
    }
}
