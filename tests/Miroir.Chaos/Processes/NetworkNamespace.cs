using System.Diagnostics;
using System.Net;

namespace Miroir.Chaos.Processes;

/// <summary>
/// A network of its own for one process, with one cable to ours (Linux, as root, with iproute2). The cable can be cut, in
/// one direction or both: packets vanish, as they do where a switch dies, and nobody is told.
/// </summary>
internal sealed class NetworkNamespace : IDisposable
{
    private const string InsideLink = "inside";
    private const string OutsideHardware = "02:00:00:00:00:01";
    private const string InsideHardware = "02:00:00:00:00:02";

    private readonly string _name;
    private readonly string _outsideLink;

    private NetworkNamespace(int number)
    {
        _name = $"miroir-{number}";
        _outsideLink = $"miroir{number}";
        Outside = IPAddress.Parse($"10.203.{number % 250}.1");
        Inside = IPAddress.Parse($"10.203.{number % 250}.2");
    }

    /// <summary>Our end of the cable: where nodes listen that are to be reached from inside.</summary>
    public IPAddress Outside { get; }

    public IPAddress Inside { get; }

    /// <exception cref="InvalidOperationException">There is no iproute2 here, or it may not do this.</exception>
    public static NetworkNamespace Make()
    {
        var network = new NetworkNamespace(Environment.ProcessId % 100_000);
        try
        {
            Ip("netns", "add", network._name);
            string[] ours = ["link", "add", network._outsideLink, "address", OutsideHardware, "type", "veth"];
            string[] theirs = ["peer", "name", InsideLink, "address", InsideHardware, "netns", network._name];
            Ip([.. ours, .. theirs]);
            Ip("address", "add", $"{network.Outside}/30", "dev", network._outsideLink);
            Ip("link", "set", network._outsideLink, "up");
            network.IpInside("address", "add", $"{network.Inside}/30", "dev", InsideLink);
            network.IpInside("link", "set", InsideLink, "up");
            // Known for good: a cut cable is then silence, not an error.
            Ip("neigh", "replace", $"{network.Inside}", "lladdr", InsideHardware, "dev", network._outsideLink);
            network.IpInside("neigh", "replace", $"{network.Outside}", "lladdr", OutsideHardware, "dev", InsideLink);
            return network;
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    /// <summary>The program and its arguments, to be run inside.</summary>
    public (string Program, List<string> Arguments) Wrap(string program, List<string> arguments) =>
        ("ip", ["netns", "exec", _name, program, .. arguments]);

    /// <summary>What is sent from inside vanishes; what is sent to it arrives.</summary>
    public void CutOutgoing() => IpInside("route", "add", "blackhole", $"{Outside}/32");

    /// <summary>Nothing gets in or out.</summary>
    public void Cut() => IpInside("link", "set", InsideLink, "down");

    public void Mend()
    {
        IpInside("link", "set", InsideLink, "up");
        IpInside("route", "flush", "type", "blackhole");
    }

    private void IpInside(params string[] arguments) => Ip(["-n", _name, .. arguments]);

    private static void Ip(params string[] arguments)
    {
        var start = new ProcessStartInfo("ip", arguments) { RedirectStandardError = true };
        try
        {
            using var ip = Process.Start(start)!;
            var complaint = ip.StandardError.ReadToEnd();
            ip.WaitForExit();
            if (ip.ExitCode != 0)
                throw new InvalidOperationException(
                    $"a network of its own could not be made or changed: ip {string.Join(' ', arguments)}: {complaint.Trim()} (it needs root)"
                );
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new InvalidOperationException($"iproute2 is needed for a network of its own: {e.Message}");
        }
    }

    public void Dispose()
    {
        try
        {
            // The cable goes with it.
            Ip("netns", "delete", _name);
        }
        catch (InvalidOperationException)
        {
            // It was never made.
        }
    }
}
