using Microsoft.AspNetCore.Routing;
using Miroir.Ports;
using Miroir.Runtime.Routing;
using Miroir.Server.Api;
using Miroir.Server.Node;
using Miroir.Server.Routers;
using Miroir.Stores.Sqlite;

namespace Miroir.Server.Hosts;

/// <summary>A router's settings, whether it has a process of its own or shares one with a coordinator.</summary>
public sealed record RouterSettings
{
    public required string Name { get; init; }

    /// <summary>Where its tasks are kept; made where it is absent.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>Base address that other routers reach it at; null: the one that it listens on.</summary>
    public string? Advertise { get; init; }

    /// <summary>Longest wait for the coordinator when it starts.</summary>
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromSeconds(60);

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public IEntropy Entropy { get; init; } = SystemEntropy.Instance;

    public Action<string> Log { get; init; } = _ => { };

    /// <summary>Changes the router's bounds; null: the defaults.</summary>
    public Func<RouterOptions, RouterOptions>? Tune { get; init; }
}

/// <summary>A router with all that it needs, but its port.</summary>
internal sealed class RouterParts : IAsyncDisposable
{
    private readonly HttpNodeDirectory nodes = new();
    private readonly HttpRouterDirectory routers = new();
    private readonly HttpMessageInvoker taskPeers = new(
        new SocketsHttpHandler { UseProxy = false, UseCookies = false }
    );
    private readonly RouterSettings settings;
    private readonly ICoordinator coordinator;
    private readonly Router router;
    private readonly string address;
    private SqliteTaskLog? tasks;

    public RouterParts(RouterSettings settings, ICoordinator coordinator, HttpServer server)
    {
        this.settings = settings;
        this.coordinator = coordinator;
        address = settings.Advertise ?? server.Address;
        if (settings.Advertise is null && server.IsAnyAddress)
            throw new InvalidOperationException(
                $"listening on {server.Address} does not say how other routers reach this one: give --advertise http://HOST:PORT"
            );
        var options = new RouterOptions { Name = settings.Name, Address = address };
        router = new Router(
            settings.Tune?.Invoke(options) ?? options,
            coordinator,
            nodes,
            routers,
            settings.Time,
            settings.Entropy,
            settings.Log
        );
    }

    public Router Router => router;

    /// <summary>Registers with the coordinator, and opens the task log under the number that it gave.</summary>
    /// <exception cref="TimeoutException">The coordinator did not answer in time.</exception>
    public async Task StartAsync(CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(settings.StartTimeout);
        try
        {
            await router.StartAsync(limit.Token);
            // Registering is repeatable; this time for the number that the task ids carry.
            var info = await coordinator.Register(settings.Name, address, router.Incarnation, limit.Token);
            Directory.CreateDirectory(settings.DataDirectory);
            tasks = new SqliteTaskLog(Path.Combine(settings.DataDirectory, "tasks.db"), info.Number);
        }
        catch (OperationCanceledException e) when (!cancel.IsCancellationRequested)
        {
            throw new TimeoutException(
                $"the coordinator did not answer within {settings.StartTimeout.TotalSeconds:0} s; is it running, and is its address right?",
                e
            );
        }
    }

    public void Map(IEndpointRouteBuilder app)
    {
        RouterEndpoints.Map(app, settings.Name, router);
        var options = new ApiOptions
        {
            Entropy = settings.Entropy,
            Time = settings.Time,
            Peers = taskPeers,
        };
        DocumentEndpoints.Map(app, router, coordinator, tasks!, router, options);
    }

    public async ValueTask DisposeAsync()
    {
        await router.StopAsync();
        if (tasks is not null)
            await tasks.DisposeAsync();
        taskPeers.Dispose();
        routers.Dispose();
        nodes.Dispose();
    }
}
