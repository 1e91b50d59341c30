using Miroir.Ports;
using Miroir.Simulation.Cluster;
using Miroir.Simulation.Kernel;
using Miroir.Simulation.Network;

namespace Miroir.Simulation.Scenario;

/// <summary>Who gives the orders: makes the index, starts migrations, cuts over, aborts, thinks better of it.</summary>
public sealed class SimOperator(SimKernel kernel, SimNetwork network, SimProcess process)
{
    private readonly SimCoordinator _coordinator = new(network, process);

    /// <summary>The newest view of each migration.</summary>
    public SortedDictionary<long, MigrationView> Seen { get; } = [];

    public Task Rest(double ms) => Task.Delay(TimeSpan.FromMilliseconds(ms), process.Time);

    /// <summary>Null where no answer came.</summary>
    public async Task<T?> Ask<T>(string what, Func<IAdmin, CancellationToken, Task<T>> ask)
        where T : class
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(3), process.Time);
        try
        {
            return await _coordinator.Admin(what, ask, limit.Token);
        }
        catch (Exception e) when (e is UnreachableException or OperationCanceledException)
        {
            return null;
        }
    }

    public async Task CreateIndexAsync(SimIndex index)
    {
        while (true)
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(15), process.Time);
            try
            {
                var request = new CreateIndexRequest(index.Uid, "id", index.Shards, index.Replication);
                var created = await _coordinator.CreateIndex(request, limit.Token);
                if (created.IsOk || created.Code == "index_already_exists")
                {
                    return;
                }
            }
            catch (Exception e) when (e is UnreachableException or OperationCanceledException)
            {
                // Again.
            }
            await Rest(100);
        }
    }

    /// <param name="weight">How much it takes, compared with the others, which have 1.</param>
    public async Task AddNodeAsync(string name, double weight = 1)
    {
        await Order(
            $"add {name}",
            (admin, cancel) => admin.AddNode(new AddNodeRequest(name, SimCluster.Address(name), "", weight, 0), cancel)
        );
    }

    /// <summary>Starts the migration of an index onto the nodes that there are, until it has been started.</summary>
    public async Task StartReshardAsync(SimIndex index)
    {
        var request = new StartReshardRequest(index.Uid, 0, 0, false, false);
        while (true)
        {
            await Order($"reshard {index.Uid}", (admin, cancel) => admin.StartReshard(request, cancel));
            if (await ViewsAsync() is { } views && views.Any(view => view.Index == index.Uid))
            {
                return;
            }
            await Rest(100);
        }
    }

    /// <summary>Says cutover to every migration that waits for it.</summary>
    public async Task CutoverAsync()
    {
        foreach (var view in (await ViewsAsync() ?? []).Where(view => view.ReadyForCutover))
        {
            await Order(
                $"cutover of {view.Index}",
                (admin, cancel) => admin.Cutover(new MigrationSelector(view.Id, ""), cancel)
            );
        }
    }

    /// <summary>Sends every migration that runs back to the old owners, until it is on its way.</summary>
    public async Task RevertAsync()
    {
        while (await ViewsAsync() is not { } views || views.Any(view => view.Status == "Running"))
        {
            await Order(
                "revert",
                (admin, cancel) => admin.Revert(RevertRequest.All(new MigrationSelector(0, "")), cancel)
            );
            await Rest(100);
        }
    }

    /// <summary>One pass of anti-entropy, to its end; null where no answer came.</summary>
    public async Task<PassView?> PassAsync(string index, string kind)
    {
        var begun = await EntropyAsync(
            $"{kind} of {index}",
            (entropy, cancel) => entropy.Start(new PassRequest(index, kind, 0, -1, []), cancel)
        );
        while (begun is { IsOk: true, Value: var pass })
        {
            if (pass.FinishedAtUnixMs != 0)
            {
                kernel.Tell(
                    "operator",
                    $"{kind} of {index}: {pass.Divergences.Divergences} divergences, {pass.Repaired} repaired"
                );
                return pass;
            }
            await Rest(200);
            begun = await EntropyAsync("pass", (entropy, cancel) => entropy.Pass(pass.Id, cancel));
        }
        return null;
    }

    private async Task<AdminReply<PassView>?> EntropyAsync(
        string what,
        Func<IAntiEntropy, CancellationToken, Task<AdminReply<PassView>>> ask
    )
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(3), process.Time);
        try
        {
            return await _coordinator.AntiEntropy(what, ask, limit.Token);
        }
        catch (Exception e) when (e is UnreachableException or OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>Every migration as it is now; null where no answer came.</summary>
    public async Task<MigrationView[]?> ViewsAsync()
    {
        var views = await Ask("migrations", (admin, cancel) => admin.Migrations(cancel));
        Remember(views ?? []);
        return views;
    }

    /// <summary>Starts migrations of an index and meddles with them until the time has come.</summary>
    public async Task MeddleAsync(SimIndex index, Func<bool> isOver)
    {
        var shards = index.Shards;
        while (!isOver())
        {
            await Rest(kernel.Duration(0, 1_500).TotalMilliseconds);
            int[] wanted = [0, shards * 2, Math.Max(1, shards / 2), kernel.Between(1, 7)];
            var request = new StartReshardRequest(
                index.Uid,
                kernel.Pick(wanted),
                kernel.Pick([0, 0, 20, 200]),
                false,
                false
            );
            await Order(
                $"reshard {index.Uid} to {request.NewShards} shards, throttle {request.Throttle}",
                (admin, cancel) => admin.StartReshard(request, cancel)
            );
            while (!isOver() && await NewestAsync(index) is var view && (view is null || view.FinishedAtUnixMs == 0))
            {
                if (view is not null)
                {
                    await MeddleAsync(view);
                }
                await Rest(kernel.Duration(20, 400).TotalMilliseconds);
            }
        }
    }

    private async Task MeddleAsync(MigrationView view)
    {
        var selector = new MigrationSelector(view.Id, "");
        var drawn = kernel.NextDouble();
        if (drawn < 0.02)
        {
            await Order("abort", (admin, cancel) => admin.Abort(selector, cancel));
        }
        else if (drawn < 0.04)
        {
            await Order("revert", (admin, cancel) => admin.Revert(RevertRequest.All(selector), cancel));
        }
        else if (drawn < 0.06)
        {
            await Order("pause", (admin, cancel) => admin.Pause(selector, cancel));
        }
        else if (drawn < 0.08)
        {
            var throttle = kernel.Pick([0, 10, 1_000]);
            await Order("set", (admin, cancel) => admin.Set(selector, throttle, kernel.Pick([-1, 200]), cancel));
        }
        else if (drawn is > 0.9 and < 0.93)
        {
            await PassAsync(view.Index, kernel.Pick(["verify", "run", "run", "scrub"]));
        }
        else if (view.Status == "Paused")
        {
            await Order("resume", (admin, cancel) => admin.Resume(selector, cancel));
        }
        else if (view.ReadyForCutover ? drawn < 0.6 : drawn < 0.1)
        {
            await Order("cutover", (admin, cancel) => admin.Cutover(selector, cancel));
        }
    }

    /// <summary>Sees to it that every migration ends, forward. False where one has not within the limit.</summary>
    public async Task<bool> FinishAsync(TimeSpan within)
    {
        var until = process.Time.GetTimestamp() + within.Ticks;
        while (process.Time.GetTimestamp() < until)
        {
            if (await ViewsAsync() is { } views)
            {
                if (views.All(v => v.FinishedAtUnixMs != 0))
                {
                    return true;
                }
                foreach (var view in views.Where(v => v.FinishedAtUnixMs == 0))
                {
                    var selector = new MigrationSelector(view.Id, "");
                    if (view.Status == "Paused")
                    {
                        await Order("resume", (admin, cancel) => admin.Resume(selector, cancel));
                    }
                    if (view.ReadyForCutover)
                    {
                        await Order("cutover", (admin, cancel) => admin.Cutover(selector, cancel));
                    }
                    if (view.Throttle > 0)
                    {
                        await Order("set", (admin, cancel) => admin.Set(selector, 0, -1, cancel));
                    }
                }
            }
            await Rest(250);
        }
        return false;
    }

    private async Task<MigrationView?> NewestAsync(SimIndex index)
    {
        if (await ViewsAsync() is not { } views)
        {
            return null;
        }
        return views.LastOrDefault(view => view.Index == index.Uid) ?? Done;
    }

    private static MigrationView Done { get; } =
        new(0, "", default, default, "", "", "", false, false, 0, 1, 0, [], [], [], 0, 0, 0, [], []);

    private void Remember(MigrationView[] views)
    {
        foreach (var view in views)
        {
            if (!Seen.TryGetValue(view.Id, out var known) || known.Phase != view.Phase || known.Status != view.Status)
            {
                kernel.Tell("operator", $"sees migration {view.Id} {view.Status} in {view.Phase} {view.Reason}");
            }
            Seen[view.Id] = view;
        }
    }

    private async Task Order<T>(string what, Func<IAdmin, CancellationToken, Task<AdminReply<T>>> order)
    {
        var reply = await Ask(what, order);
        kernel.Tell("operator", $"{what}: {(reply is null ? "no answer" : reply.IsOk ? "ok" : reply.Message)}");
    }
}
