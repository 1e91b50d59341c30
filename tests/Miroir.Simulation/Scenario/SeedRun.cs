using Miroir.Core.Cutover;
using Miroir.Runtime.Coordination;
using Miroir.Simulation.Kernel;
using Miroir.Simulation.Network;

namespace Miroir.Simulation.Scenario;

/// <summary>One seed: everything about the cluster, its clients, its migrations and its disasters is drawn from it.</summary>
public static class SeedRun
{
    public static SeedResult Run(long seed, bool keepsStory) => SimWorld.Play(seed, keepsStory, Draw, PlayAsync);

    private static WorldSettings Draw(SimKernel kernel)
    {
        var limits = new Limits(
            0,
            kernel.Between(1, 5),
            kernel.Between(1, 4),
            kernel.Between(1, 4),
            kernel.Pick([300, 2_000, 20_000]),
            kernel.Pick([0, 0, 500, 3_000]),
            50,
            2_000,
            kernel.Pick([2, 12]),
            // Nothing is left for an operator to reclaim: what stays behind at the end is a fault.
            1_000_000,
            true,
            false,
            true
        );
        var options = new CoordinatorOptions { MigrationLimits = limits, ProgressEveryMs = 50 };
        return new WorldSettings(FaultProfile.Draw(kernel), options, ["n1", "n2", "n3"]);
    }

    private static async Task PlayAsync(SimWorld world)
    {
        var kernel = world.Kernel;
        world.StartAll(["n1", "n2", "n3", "n4"]);
        string[] uids = kernel.Chance(0.3) ? ["docs", "more"] : ["docs"];
        foreach (var uid in uids)
        {
            world.Follow(await world.CreateIndexAsync(uid, kernel.Between(1, 5), kernel.Pick([1, 2, 2, 3, 3])));
        }

        var habits = ClientHabits.Draw(kernel);
        foreach (var index in world.Indexes)
        {
            await world.Client(index, habits).LoadAsync([.. habits.Hot, .. habits.Cold]);
        }
        if (kernel.Chance(0.5))
        {
            await world.Operator.AddNodeAsync("n4");
        }

        world.Disasters.Begin();
        var areOver = false;
        List<SimClient> clients =
        [
            .. Enumerable.Range(0, kernel.Between(3, 9)).Select(_ => world.Client(kernel.Pick(world.Indexes), habits)),
        ];
        foreach (var client in clients)
        {
            world.Spawn(client, () => areOver);
        }
        var end = kernel.Now + kernel.Duration(3_000, 15_000).Ticks;
        if (kernel.Chance(0.5))
        {
            await world.Operator.AddNodeAsync("n4");
        }
        await Task.WhenAll(world.Indexes.Select(index => world.Operator.MeddleAsync(index, () => kernel.Now > end)));
        world.Disasters.Heal();
        await world.Operator.Rest(kernel.Duration(0, 2_000).TotalMilliseconds);
        areOver = true;
        await world.FinishAsync(clients);
    }
}
