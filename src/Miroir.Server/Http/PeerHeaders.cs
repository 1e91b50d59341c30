namespace Miroir.Server.Http;

/// <summary>
/// Every request between processes says in a header whom it is meant for, and every answer says whose it is: an
/// address that another process has taken over must not pass for the one that was there. Names are
/// percent-encoded.
/// </summary>
internal static class PeerHeaders
{
    public const string Node = "miroir-node";
    public const string Router = "miroir-router";
    public const string Coordinator = "miroir-coordinator";
    public const string FrameType = "application/x-miroir-frames";

    public static string Encode(string name) => Uri.EscapeDataString(name);

    public static string Decode(string value) => Uri.UnescapeDataString(value);
}
