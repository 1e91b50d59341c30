namespace Miroir.Server.Wire;

/// <summary>In which way bytes are not a frame.</summary>
public enum WireFault
{
    /// <summary>They end before the frame, or a field of it, does.</summary>
    Truncated,

    /// <summary>A length is beyond its bound.</summary>
    TooLarge,

    /// <summary>The frame is of a version that this build does not read.</summary>
    UnknownVersion,

    /// <summary>Another kind of frame was expected here.</summary>
    UnexpectedKind,

    /// <summary>A field has a value that it can't have.</summary>
    BadValue,

    /// <summary>The frame is longer than its fields.</summary>
    TrailingBytes,
}

/// <summary>Bytes from another process that are not what they should be.</summary>
public sealed class WireException(WireFault fault, string message) : Exception(message)
{
    public WireFault Fault { get; } = fault;
}
