using System.Collections.Concurrent;
using System.Net;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Node;

/// <summary>
/// Nodes by name and address, over HTTP/2 cleartext. Two sets of connections: one for calls, one for streams.
/// </summary>
public sealed class HttpNodeDirectory : INodeDirectory, IDisposable
{
    private readonly PeerTransport calls;
    private readonly PeerTransport streams;
    private readonly ConcurrentDictionary<(string Name, string Address), INode> nodes = new();

    public HttpNodeDirectory(WireLimits? limits = null)
    {
        calls = new PeerTransport(limits ?? WireLimits.Default, HttpVersion.Version20);
        streams = new PeerTransport(limits ?? WireLimits.Default, HttpVersion.Version20);
    }

    public INode Get(string name, string address) =>
        nodes.GetOrAdd(
            (name, address),
            static (at, self) => new HttpNode(at.Name, at.Address, self.calls, self.streams),
            this
        );

    public void Dispose()
    {
        calls.Dispose();
        streams.Dispose();
    }
}
