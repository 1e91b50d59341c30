namespace Miroir.Server.Wire;

/// <summary>
/// What a frame carries. Sent between processes of different builds: these numbers are frozen. Append only; never
/// renumber, never use one again. The same holds for the case numbers inside the codecs.
/// </summary>
public enum FrameKind : byte
{
    PutCommand = 1,
    PutReply = 2,
    ReadCommand = 3,
    ReadReply = 4,
    BarrierCommand = 5,
    BarrierReply = 6,
    MakeCommand = 7,
    MakeReply = 8,
    DropCommand = 9,
    DropReply = 10,
    ScanCommand = 11,
    ScanReply = 12,
    ReconcileCommand = 13,
    ReconcileReply = 14,
    WriteCommand = 15,
    WriteOutcome = 16,
    WriterReadCommand = 17,
    ReadOutcome = 18,

    /// <summary>The last frame of a stream that ended as it should: one that just stops was cut off.</summary>
    EndOfStream = 19,
    InspectCommand = 20,
    DigestCommand = 21,
    DigestReply = 22,
    RangesCommand = 23,
    HealCommand = 24,
    HealReply = 25,
    ScrubCommand = 26,
    ScrubReply = 27,
    PurgeCommand = 28,
    PurgeReply = 29,
    RepairCommand = 30,
    RepairOutcome = 31,
    ChangesCommand = 32,
    ChangesReply = 33,
    LogChangesCommand = 34,
    LogChangesReply = 35,
    FeedBoundCommand = 36,
    FeedBound = 37,
}

/// <summary>
/// A frame: its length (4 bytes, little endian, counting all that follows), a version byte, a kind byte, and the
/// fields. Numbers are little endian; text is a 2-byte length and UTF-8; bytes are a 4-byte length and the bytes.
/// </summary>
internal static class FrameLayout
{
    public const byte Version = 1;

    public const int LengthBytes = 4;

    /// <summary>Length, version and kind.</summary>
    public const int HeaderBytes = 6;

    /// <summary>The longest frame, its length's bytes not counted: 64 MiB.</summary>
    public const int MaxFrameBytes = 64 << 20;

    /// <summary>The longest document body that fits into a frame beside its key and its stamp.</summary>
    public const int MaxBodyBytes = MaxFrameBytes - (64 << 10);

    /// <summary>Names of indexes, nodes and routers, in UTF-8 bytes.</summary>
    public const int MaxNameBytes = 512;

    /// <summary>Words for people; longer ones are cut when they are sent.</summary>
    public const int MaxMessageBytes = 4096;

    public const int MaxRouteBytes = 16 << 20;

    /// <summary>Entries of a page, members of a list.</summary>
    public const int MaxCount = 1 << 20;
}
