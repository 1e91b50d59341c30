using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Miroir.Ports;
using Miroir.Server.Routers;

namespace Miroir.Server.Hosts;

/// <summary>What a router's process is made of.</summary>
public sealed record RouterHostOptions
{
    public required RouterSettings Router { get; init; }

    public required ICoordinator Coordinator { get; init; }

    /// <summary>Base address of the coordinator that the admin API is passed on to; null: it is not answered here.</summary>
    public string? AdminAddress { get; init; }

    public BindAddress Listen { get; init; } = BindAddress.AnyLoopbackPort;

    /// <summary>Allows an address that is not loopback.</summary>
    public bool Insecure { get; init; }
}

/// <summary>A router that listens: the document API, and what other routers pass on.</summary>
public sealed class RouterHost(RouterHostOptions options) : IAsyncDisposable
{
    private HttpServer? server;
    private RouterParts? parts;
    private AdminForwarder? admin;
    private int stopped;

    /// <summary>The router itself, once it was started.</summary>
    public IDocuments Documents => parts?.Router ?? throw new InvalidOperationException("not started");

    /// <summary>Returns the base address that it listens on.</summary>
    /// <exception cref="IOException">The address is taken.</exception>
    /// <exception cref="TimeoutException">The coordinator did not answer in time.</exception>
    /// <exception cref="InvalidOperationException">The address is not loopback, and that was not allowed.</exception>
    public async Task<string> StartAsync(CancellationToken cancel)
    {
        options.Listen.Demand(options.Insecure);
        server = new HttpServer(options.Listen);
        parts = new RouterParts(options.Router, options.Coordinator, server);
        await parts.StartAsync(cancel);
        if (options.AdminAddress is { } coordinator)
            admin = new AdminForwarder(coordinator);
        await server.StartAsync(HttpProtocols.Http1, Map, cancel);
        return server.Address;
    }

    /// <summary>Ends what is open as the router sees fit, then stops answering.</summary>
    public async Task StopAsync()
    {
        if (Interlocked.Exchange(ref stopped, 1) != 0)
            return;
        if (server is not null)
            await server.StopAsync();
        if (parts is not null)
            await parts.DisposeAsync();
        if (server is not null)
            await server.DisposeAsync();
        admin?.Dispose();
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    private void Map(IEndpointRouteBuilder app)
    {
        parts!.Map(app);
        admin?.Map(app);
    }
}
