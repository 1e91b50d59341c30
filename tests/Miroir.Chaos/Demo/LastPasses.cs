using Microsoft.FSharp.Core;
using Miroir.Chaos.Processes;
using Miroir.Ports;
using Miroir.Scripting;

namespace Miroir.Chaos.Demo;

/// <summary>
/// Anti-entropy once all is over: a pass that repairs what a write quorum had left behind on a single replica, and one
/// that has to find nothing any more. Where there is one copy of each document, its bodies are held against their digests.
/// </summary>
internal static class LastPasses
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    /// <exception cref="InvalidOperationException">A pass was refused, or did not end in time.</exception>
    public static async Task<(PassView Run, PassView Verify)> RunAsync(
        Uri coordinator,
        string index,
        CancellationToken cancel
    )
    {
        using var admin = new MiroirClient(coordinator, FSharpOption<string>.None, TimeSpan.FromSeconds(15));
        async Task<PassView> OfAsync(string kind)
        {
            var allShards = FSharpOption<Tuple<int, int>>.None;
            var request = AntiEntropy.request(kind, index, allShards);
            var begun = (await admin.StartPass(request, cancel)).Demand(kind);
            var seeNothing = FuncConvert.FromAction((PassView _) => { });
            var followed = AntiEntropy.follow(admin, begun.Id, AntiEntropy.pollInterval, Limit, seeNothing, cancel);
            return (await followed).Demand(kind);
        }

        return (await OfAsync("run"), await OfAsync("verify"));
    }

    public static string Tell(PassView run, PassView verify)
    {
        var copies = verify.Shards.Select(shard => shard.Copies).DefaultIfEmpty().Min();
        return $"{run.Divergences.Divergences:N0} documents differed, {run.Repaired:N0} repaired; then "
            + $"{verify.Divergences.Divergences:N0} of {verify.Shards.Sum(shard => shard.Entries):N0} entries in {verify.Shards.Length} shards, "
            + (copies > 1 ? $"{copies} copies of each" : "held against their digests");
    }

    /// <summary>What a pass that is to be clean fell short of; "" where it was.</summary>
    public static string Complaint(PassView verify)
    {
        if (AntiEntropy.isClean(verify))
            return "";
        var problem = verify.Shards.Select(shard => shard.Problem).FirstOrDefault(text => text != "", "");
        return $"the last pass of anti-entropy is {verify.Status}, {verify.Divergences.Divergences} documents differ, {AntiEntropy.notCompared(verify)} shards were not compared whole {problem}".TrimEnd();
    }
}
