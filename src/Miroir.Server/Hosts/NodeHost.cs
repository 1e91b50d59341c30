using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Miroir.Ports;
using Miroir.Runtime.Nodes;
using Miroir.Server.Api;
using Miroir.Server.Node;

namespace Miroir.Server.Hosts;

/// <summary>What a data node's process is made of.</summary>
public sealed record NodeHostOptions
{
    public required string Name { get; init; }

    /// <summary>Its disk; the host's own from now on, disposed of when it stops.</summary>
    public required INodeStore Store { get; init; }

    /// <summary>The scope of the meters that <c>GET /metrics</c> shows; null: none.</summary>
    public object? Metrics { get; init; }

    public BindAddress Listen { get; init; } = BindAddress.AnyLoopbackPort;

    /// <summary>Allows an address that is not loopback.</summary>
    public bool Insecure { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public IEntropy Entropy { get; init; } = SystemEntropy.Instance;

    public Action<string> Log { get; init; } = _ => { };

    /// <summary>Null: the defaults.</summary>
    public NodeOptions? Node { get; init; }

    /// <summary>Puts something between the wire and the node, for tests; null: nothing.</summary>
    public Func<INode, INode>? Decorate { get; init; }
}

/// <summary>A data node that listens.</summary>
public sealed class NodeHost(NodeHostOptions options) : IAsyncDisposable
{
    private readonly HttpNodeDirectory peers = new();
    private HttpServer? server;
    private int stopped;

    /// <summary>Returns the base address that it listens on.</summary>
    /// <exception cref="IOException">The address is taken.</exception>
    /// <exception cref="InvalidOperationException">The address is not loopback, and that was not allowed.</exception>
    public async Task<string> StartAsync(CancellationToken cancel)
    {
        options.Listen.Demand(options.Insecure);
        var node = new NodeService(
            options.Node ?? new NodeOptions(options.Name, Build.Version),
            options.Store,
            peers,
            options.Time,
            options.Entropy,
            options.Log
        );
        server = new HttpServer(options.Listen);
        var served = options.Decorate?.Invoke(node) ?? node;
        var metrics = options.Metrics is { } scope ? new PrometheusText(scope) : null;
        await server.StartAsync(
            HttpProtocols.Http2,
            app =>
            {
                NodeEndpoints.Map(app, served);
                if (metrics is not null)
                    app.MapGet(
                        "/metrics",
                        (RequestDelegate)(
                            http =>
                            {
                                http.Response.ContentType = PrometheusText.ContentType;
                                return http.Response.WriteAsync(metrics.ToString(), http.RequestAborted);
                            }
                        )
                    );
            },
            cancel
        );
        return server.Address;
    }

    public async Task StopAsync()
    {
        if (Interlocked.Exchange(ref stopped, 1) != 0)
            return;
        if (server is not null)
        {
            await server.StopAsync();
            await server.DisposeAsync();
        }
        peers.Dispose();
        await options.Store.DisposeAsync();
    }

    public async ValueTask DisposeAsync() => await StopAsync();
}
