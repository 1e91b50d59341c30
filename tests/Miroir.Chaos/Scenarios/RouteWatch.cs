using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Coordination;

namespace Miroir.Chaos.Scenarios;

/// <summary>Hears of every route that is published, as a router does.</summary>
internal sealed class RouteWatch : IAsyncDisposable
{
    private readonly HttpCoordinator _coordinator;
    private readonly CancellationTokenSource _stop = new();
    private readonly Action<Route> _tell;
    private readonly Task _running;

    /// <param name="tell">Called with each route of a migration, once for each epoch that was seen.</param>
    public RouteWatch(string coordinator, Action<Route> tell)
    {
        _coordinator = new HttpCoordinator(coordinator);
        _tell = tell;
        _running = RunAsync();
    }

    private async Task RunAsync()
    {
        HashSet<(ShardId, long)> seen = [];
        var revision = 0L;
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var update = await _coordinator.Watch(revision, _stop.Token);
                revision = update.Revision;
                foreach (var route in update.Routes.Where(r => r.Migration > 0 && seen.Add((r.Shard, r.Epoch))))
                    _tell(route);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested) { }
            catch (UnreachableException)
            {
                await Task.Delay(50);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _coordinator.Dispose();
    }
}
