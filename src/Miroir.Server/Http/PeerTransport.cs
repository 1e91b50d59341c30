using System.Net;

namespace Miroir.Server.Http;

/// <summary>How calls travel: connections that several peers' clients share.</summary>
internal sealed class PeerTransport : IDisposable
{
    public PeerTransport(WireLimits limits, Version version)
    {
        Limits = limits;
        Version = version;
        Invoker = new HttpMessageInvoker(
            new SocketsHttpHandler
            {
                UseProxy = false,
                UseCookies = false,
                AllowAutoRedirect = false,
                AutomaticDecompression = DecompressionMethods.None,
                ActivityHeadersPropagator = null,
                EnableMultipleHttp2Connections = true,
                // Large enough that a scan on a fast link is not paced by window updates.
                InitialHttp2StreamWindowSize = 4 << 20,
                ConnectTimeout = limits.ConnectTimeout,
                KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
                KeepAlivePingDelay = limits.PingTimeout,
                KeepAlivePingTimeout = limits.PingTimeout,
                PooledConnectionIdleTimeout = TimeSpan.FromMinutes(2),
            }
        );
    }

    public WireLimits Limits { get; }

    public Version Version { get; }

    public HttpMessageInvoker Invoker { get; }

    public void Dispose() => Invoker.Dispose();
}
