using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Miroir.Server.Hosts;

/// <summary>
/// One listening port with the routes that are mapped on it. Knows nothing of what is behind them. The port is taken
/// when it is made, so that whoever must tell others its address knows it before anything answers there.
/// </summary>
public sealed class HttpServer : IAsyncDisposable
{
    private readonly Socket socket;
    private readonly IPEndPoint endpoint;
    private readonly TimeSpan stopTimeout;
    private WebApplication? app;

    /// <exception cref="IOException">The address is taken, or not this machine's.</exception>
    public HttpServer(BindAddress bind, TimeSpan? stopTimeout = null)
    {
        this.stopTimeout = stopTimeout ?? TimeSpan.FromSeconds(5);
        try
        {
            socket = SocketTransportOptions.CreateDefaultBoundListenSocket(new IPEndPoint(bind.Address, bind.Port));
        }
        catch (SocketException e)
        {
            throw new IOException($"can't listen on {bind}: {e.Message}; choose another with --listen", e);
        }
        endpoint = (IPEndPoint)socket.LocalEndPoint!;
        Address = $"http://{endpoint}";
    }

    /// <summary>The base address, with the port that was really taken: http://127.0.0.1:41234.</summary>
    public string Address { get; }

    /// <summary>True where the address is "any of this machine's", which nobody else can use to reach it.</summary>
    public bool IsAnyAddress => endpoint.Address.Equals(IPAddress.Any) || endpoint.Address.Equals(IPAddress.IPv6Any);

    /// <summary>Answers once this returns. Called once.</summary>
    /// <param name="protocols">Http2: prior knowledge, between processes. Http1: what people and clients speak.</param>
    public async Task StartAsync(HttpProtocols protocols, Action<IEndpointRouteBuilder> map, CancellationToken cancel)
    {
        // Of the usual builders each watches its content root for changed settings, and so hears of every write to the
        // data directory below it; and reads settings that are not Miroir's.
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore();
        builder.Services.AddRoutingCore();
        builder.Logging.AddSimpleConsole(console => console.SingleLine = true);
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        // The process decides about signals: several servers may live in it.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.Configure<SocketTransportOptions>(o => o.CreateBoundListenSocket = _ => socket);
        builder.WebHost.ConfigureKestrel(kestrel => Configure(kestrel, protocols));
        app = builder.Build();
        map(app);
        await app.StartAsync(cancel);
    }

    /// <summary>Stops listening, gives open requests a moment, then cuts them off.</summary>
    public async Task StopAsync()
    {
        if (app is null)
            return;
        using var limit = new CancellationTokenSource(stopTimeout);
        await app.StopAsync(limit.Token);
    }

    public async ValueTask DisposeAsync()
    {
        if (app is not null)
            await app.DisposeAsync();
        socket.Dispose();
    }

    private void Configure(KestrelServerOptions kestrel, HttpProtocols protocols)
    {
        kestrel.AddServerHeader = false;
        kestrel.Listen(endpoint, listen => listen.Protocols = protocols);
        var limits = kestrel.Limits;
        limits.MaxRequestBodySize = Http.BodyBuffer.MaxBodyBytes;
        limits.MaxConcurrentConnections = 10_000;
        // A reader that is slower than a scan is back-pressure, not an attack: silence is bounded by its own limits.
        limits.MinResponseDataRate = null;
        limits.MinRequestBodyDataRate = null;
        // Between processes a page of a scan is megabytes: the smaller default has it leave in dozens of turns.
        if (protocols == HttpProtocols.Http2)
            limits.MaxResponseBufferSize = 1 << 20;
        limits.Http2.MaxStreamsPerConnection = 1024;
        limits.Http2.InitialConnectionWindowSize = 8 << 20;
        limits.Http2.InitialStreamWindowSize = 4 << 20;
        limits.Http2.MaxFrameSize = 64 << 10;
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancel) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancel) => Task.CompletedTask;
    }
}
