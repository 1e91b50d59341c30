namespace Miroir.Server.Http;

/// <summary>Bounds of the calls between processes.</summary>
public sealed record WireLimits
{
    public static WireLimits Default { get; } = new();

    /// <summary>Longest wait for a connection.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Longest wait for the answer to a call that is answered once, whatever its caller's own limit.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Longest silence within a stream, while somebody waits for its next frame.</summary>
    public TimeSpan StreamSilence { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>A connection that answers no ping for this long while calls are open is given up.</summary>
    public TimeSpan PingTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Requests of one kind under way to one peer; calls that come meanwhile go together in the next.</summary>
    public int RequestsInFlight { get; init; } = 4;

    /// <summary>Commands in one request at most.</summary>
    public int BatchCommands { get; init; } = 1024;

    /// <summary>Bytes of bodies in one request at most, unless a single command has more.</summary>
    public int BatchBytes { get; init; } = 4 << 20;

    /// <summary>Calls that wait for their request; beyond it callers wait to be let in.</summary>
    public int QueuedCalls { get; init; } = 4096;
}
