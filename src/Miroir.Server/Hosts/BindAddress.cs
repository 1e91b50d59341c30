using System.Globalization;
using System.Net;

namespace Miroir.Server.Hosts;

/// <summary>Where a process listens: an IP address (or <c>localhost</c>) and a port; port 0: any free one.</summary>
public sealed record BindAddress(IPAddress Address, int Port)
{
    public static BindAddress AnyLoopbackPort { get; } = new(IPAddress.Loopback, 0);

    public bool IsLoopback => IPAddress.IsLoopback(Address);

    /// <summary>From <c>HOST:PORT</c>, such as 127.0.0.1:7700 or [::1]:7700; an http:// before it is passed over.</summary>
    /// <exception cref="FormatException">It is not that; the message says what was expected.</exception>
    public static BindAddress Parse(string text)
    {
        var rest = text.StartsWith("http://", StringComparison.OrdinalIgnoreCase) ? text[7..].TrimEnd('/') : text;
        var colon = rest.LastIndexOf(':');
        if (
            colon > 0
            && int.TryParse(rest[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            && port <= IPEndPoint.MaxPort
        )
        {
            var host = rest[..colon];
            if (string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase))
                return new BindAddress(IPAddress.Loopback, port);
            if (IPAddress.TryParse(host.Trim('[', ']'), out var address))
                return new BindAddress(address, port);
        }
        throw new FormatException(
            $"`{text}` is not an address to listen on: expected IP:PORT, such as 127.0.0.1:7700 (port 0: any free one)"
        );
    }

    /// <exception cref="InvalidOperationException">The address is not loopback, and that was not allowed.</exception>
    public void Demand(bool insecure)
    {
        if (!IsLoopback && !insecure)
            throw new InvalidOperationException(
                $"refusing to listen on {this}: it can be reached from other machines, and there are neither keys nor "
                    + "TLS yet. Listen on 127.0.0.1, or give --insecure where the network itself is trusted"
            );
    }

    public override string ToString() => new IPEndPoint(Address, Port).ToString();
}
