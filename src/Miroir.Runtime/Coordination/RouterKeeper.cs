using System.Collections.Concurrent;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Coordination;

/// <summary>The routers as they come and go: registered, heard of, looked after where a connection broke.</summary>
internal sealed class RouterKeeper(
    Catalog catalog,
    RouterRegistry registry,
    WriterNaming naming,
    CommandQueue commands,
    IRouterDirectory routers,
    TimeProvider time,
    CoordinatorOptions options,
    Action<string> log
)
{
    private const int MaxRouters = 1024;

    private readonly ConcurrentDictionary<string, long> _probed = new(StringComparer.Ordinal);

    public Task<RouterInfo> RegisterAsync(string name, string address, long incarnation, CancellationToken cancel) =>
        commands.RunAsync(
            async limit =>
            {
                var table = catalog.Table;
                var known = table.TryRouter(name);
                var number = known.IsSome
                    ? known.Value.Number
                    : table.Routers.Select(r => r.Number).DefaultIfEmpty(0).Max() + 1;
                if (number >= MaxRouters)
                    throw new InvalidOperationException(
                        $"there are {MaxRouters - 1} routers already: give a router the name of one that is gone"
                    );
                var router = new RouterInfo(name, address, incarnation, number);
                if (registry.IsReplaced(name, incarnation))
                    throw new UnreachableException(
                        "coordinator",
                        $"another start of router '{name}' is the live one: give each router a name of its own"
                    );
                var isNews = known.IsNone || !known.Value.Equals(router);
                if (isNews && await catalog.CommitAsync([CatalogWrite.Of(router)], limit) != CommitOutcome.Committed)
                    throw new UnreachableException("coordinator", "the registration could not be written");
                if (known.IsSome && known.Value.Incarnation != incarnation)
                    registry.Replace(name, known.Value.Incarnation);
                registry.Hear(name, incarnation);
                await naming.NameAsync(limit);
                return router;
            },
            cancel
        );

    /// <summary>False: another start of the name is the live one.</summary>
    public bool Hear(string name, long incarnation)
    {
        var known = catalog.Table.TryRouter(name);
        if (known.IsNone || known.Value.Incarnation != incarnation)
            return false;
        registry.Hear(name, incarnation);
        return true;
    }

    /// <summary>
    /// A connection of the router's broke: its process may have ended. It is asked once; where its port is closed, or
    /// another start answers, its shards get another writer at once. A slow answer proves nothing: then silence decides.
    /// </summary>
    public async Task ProbeAsync(string name, long incarnation, CancellationToken stop)
    {
        if (stop.IsCancellationRequested || !registry.IsLive(name, incarnation) || !_probed.TryAdd(name, incarnation))
            return;
        try
        {
            if (catalog.Table.TryRouter(name) is { IsValueSome: true, Value: var router } && !await LivesAsync(router))
            {
                registry.Miss(name, incarnation);
                log($"router {name} is gone: its port is closed");
                await commands.RunAsync(naming.NameAsync, stop);
            }
        }
        catch (Exception e)
        {
            // Its silence will tell as well, only later.
            if (!stop.IsCancellationRequested)
                log($"router {name} could not be looked after: {e.Message}");
        }
        finally
        {
            _probed.TryRemove(name, out _);
        }
    }

    /// <summary>False only where that is certain.</summary>
    private async Task<bool> LivesAsync(RouterInfo router)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(options.ProbeTimeoutMs), time);
        try
        {
            return await routers.Get(router.Name, router.Address).Incarnation(limit.Token) == router.Incarnation;
        }
        catch (NotSentException)
        {
            return limit.IsCancellationRequested;
        }
        catch (Exception e) when (e is UnreachableException or OperationCanceledException)
        {
            return true;
        }
    }
}
