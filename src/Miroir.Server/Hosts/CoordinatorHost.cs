using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Coordination;
using Miroir.Server.Admin;
using Miroir.Server.Coordination;
using Miroir.Server.Node;
using Miroir.Server.Routers;

namespace Miroir.Server.Hosts;

/// <summary>What a coordinator's process is made of, and with <see cref="Router"/> a router beside it.</summary>
public sealed record CoordinatorHostOptions
{
    /// <summary>The host's own from now on, disposed of when it stops.</summary>
    public required IMetadataStore Metadata { get; init; }

    public BindAddress Listen { get; init; } = BindAddress.AnyLoopbackPort;

    /// <summary>Allows an address that is not loopback.</summary>
    public bool Insecure { get; init; }

    /// <summary>Nodes that a new cluster begins with; passed over once the metadata know nodes.</summary>
    public IReadOnlyList<NodeInfo> Seed { get; init; } = [];

    public CoordinatorOptions Coordinator { get; init; } = new();

    /// <summary>A router in the same process and on the same port; null: none.</summary>
    public RouterSettings? Router { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public Action<string> Log { get; init; } = _ => { };
}

/// <summary>A coordinator that listens: the admin API, and what routers ask.</summary>
public sealed class CoordinatorHost(CoordinatorHostOptions options) : IAsyncDisposable
{
    private readonly HttpNodeDirectory nodes = new();
    private readonly HttpRouterDirectory routers = new();
    private HttpServer? server;
    private Coordinator? coordinator;
    private RouterParts? router;
    private int stopped;

    /// <summary>Completes when the lead was lost, or the host stopped; once it was started.</summary>
    public Task Ended => coordinator?.Ended ?? throw new InvalidOperationException("not started");

    /// <summary>Returns the base address that it listens on.</summary>
    /// <exception cref="IOException">The address is taken.</exception>
    /// <exception cref="InvalidOperationException">The address is not loopback, and that was not allowed.</exception>
    public async Task<string> StartAsync(CancellationToken cancel)
    {
        options.Listen.Demand(options.Insecure);
        server = new HttpServer(options.Listen);
        coordinator = new Coordinator(options.Coordinator, options.Metadata, nodes, routers, options.Time, options.Log);
        await coordinator.StartAsync(options.Seed, cancel);
        if (options.Router is { } settings)
        {
            router = new RouterParts(settings, coordinator, server);
            await router.StartAsync(cancel);
        }
        await server.StartAsync(HttpProtocols.Http1, Map, cancel);
        return server.Address;
    }

    public async Task StopAsync()
    {
        if (Interlocked.Exchange(ref stopped, 1) != 0)
            return;
        if (server is not null)
            await server.StopAsync();
        if (router is not null)
            await router.DisposeAsync();
        if (coordinator is not null)
            await coordinator.DisposeAsync();
        if (server is not null)
            await server.DisposeAsync();
        nodes.Dispose();
        routers.Dispose();
        await options.Metadata.DisposeAsync();
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    private void Map(IEndpointRouteBuilder app)
    {
        CoordinatorEndpoints.Map(
            app,
            coordinator!,
            (name, incarnation) => _ = coordinator!.ProbeAsync(name, incarnation)
        );
        AdminEndpoints.Map(app, coordinator!, coordinator!.AntiEntropy);
        router?.Map(app);
    }
}
