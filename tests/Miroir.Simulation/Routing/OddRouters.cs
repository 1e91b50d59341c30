using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Simulation.Routing;

/// <summary>The machine's clock, ahead of it or behind it: what is measured by it is right, what it shows is not.</summary>
internal sealed class SkewedTime(TimeSpan ahead) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + ahead;
}

/// <summary>The coordinator of a router that hears of no change of the table while it is held back.</summary>
internal sealed class HeldBackCoordinator(ICoordinator coordinator, Func<bool> isHeldBack) : ICoordinator
{
    public async Task<TableUpdate> Watch(long sinceRevision, CancellationToken cancel)
    {
        var update = await coordinator.Watch(sinceRevision, cancel);
        if (isHeldBack())
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, cancel);
        }
        return update;
    }

    public Task<RouterInfo> Register(string name, string address, long incarnation, CancellationToken cancel) =>
        coordinator.Register(name, address, incarnation, cancel);

    public Task<bool> Heartbeat(string name, long incarnation, CancellationToken cancel) =>
        coordinator.Heartbeat(name, incarnation, cancel);

    public Task<AdminReply<IndexInfo>> CreateIndex(CreateIndexRequest request, CancellationToken cancel) =>
        coordinator.CreateIndex(request, cancel);

    public Task<AdminReply<IndexInfo>> SetPrimaryKey(string uid, string primaryKey, CancellationToken cancel) =>
        coordinator.SetPrimaryKey(uid, primaryKey, cancel);

    public Task<AdminReply<IndexInfo>> DeleteIndex(string uid, CancellationToken cancel) =>
        coordinator.DeleteIndex(uid, cancel);
}
