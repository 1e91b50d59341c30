using Miroir.Oracle;

namespace Miroir.Chaos.Entropy;

/// <summary>Deletions while a replica is away: nothing is purged before it has heard of them, and none comes back.</summary>
internal sealed class AwayReplica(EntropyWorld world, DrillReport report)
{
    private const int Documents = 200;

    public async Task RunAsync()
    {
        await world.WriteAsync("away", Documents);
        await world.PassAsync("run");
        await world.StopNodeAsync("n3");
        await world.DeleteAsync("away", Documents);
        var away = await world.PassAsync("run");
        var kept = away.Shards.Sum(shard => shard.Purged);
        await world.StartNodeAsync("n3");
        var back = await world.PassAsync("run");
        var purged = back.Shards.Sum(shard => shard.Purged);
        var left = await world.TombstonesAsync();
        var alive = await world.AliveAsync("away", Documents);
        report.Tell(
            $"{Documents} documents deleted with a replica away: {kept} tombstones purged meanwhile; {back.Repaired} repaired once it was back, {purged} purged then, {left} left, {alive} documents came back"
        );
        report.Demand(
            kept == 0 && back.Repaired == Documents && purged >= Documents && left == 0,
            "tombstones went before every replica had them, or did not go"
        );
        report.Demand(alive == 0, "deleted documents came back with a replica that had been away");
    }
}
