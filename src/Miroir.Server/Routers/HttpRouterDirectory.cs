using System.Collections.Concurrent;
using System.Net;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Routers;

/// <summary>
/// Routers by name and address. They answer each other on the port that clients use, which without TLS can speak
/// HTTP/1.1 only: coalescing, not streams, is what keeps many calls on few connections.
/// </summary>
public sealed class HttpRouterDirectory(WireLimits? limits = null) : IRouterDirectory, IDisposable
{
    private readonly PeerTransport transport = new(limits ?? WireLimits.Default, HttpVersion.Version11);
    private readonly ConcurrentDictionary<(string Name, string Address), IRouterPeer> routers = new();

    public IRouterPeer Get(string name, string address) =>
        routers.GetOrAdd(
            (name, address),
            static (at, self) => new HttpRouterPeer(at.Name, at.Address, self.transport),
            this
        );

    public void Dispose() => transport.Dispose();
}
