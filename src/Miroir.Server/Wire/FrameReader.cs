using System.Buffers.Binary;
using System.Text;

namespace Miroir.Server.Wire;

/// <summary>
/// Reads the fields of one frame, or frame after frame of a buffer. Every bound is checked before anything is
/// allocated for what it bounds. Throws <see cref="WireException"/>, never anything else.
/// </summary>
public ref struct FrameReader(ReadOnlySpan<byte> bytes)
{
    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    private ReadOnlySpan<byte> rest = bytes;

    public readonly bool IsAtEnd => rest.IsEmpty;

    internal readonly int Remaining => rest.Length;

    /// <summary>
    /// Bytes of the frame that follows a length, or an error where no frame can have that length.
    /// </summary>
    internal static int CheckLength(int length)
    {
        if (length < FrameLayout.HeaderBytes - FrameLayout.LengthBytes)
            throw new WireException(WireFault.BadValue, $"{length} can't be the length of a frame");
        if (length > FrameLayout.MaxFrameBytes)
            throw new WireException(
                WireFault.TooLarge,
                $"a frame of {length} bytes; the longest may have {FrameLayout.MaxFrameBytes}"
            );
        return length;
    }

    /// <summary>The next frame of a buffer of several, without its length.</summary>
    internal FrameReader NextFrame()
    {
        var length = CheckLength(Int32());
        return new FrameReader(Take(length));
    }

    /// <summary>Reads version and kind.</summary>
    internal FrameKind Kind()
    {
        var version = Byte();
        if (version != FrameLayout.Version)
            throw new WireException(
                WireFault.UnknownVersion,
                $"a frame of version {version}; this build reads version {FrameLayout.Version}"
            );
        return (FrameKind)Byte();
    }

    internal void Expect(FrameKind expected)
    {
        var kind = Kind();
        if (kind != expected)
            throw new WireException(WireFault.UnexpectedKind, $"expected a frame of {expected}, not of {kind}");
    }

    internal readonly void End()
    {
        if (!rest.IsEmpty)
            throw new WireException(WireFault.TrailingBytes, $"{rest.Length} bytes too many in a frame");
    }

    internal byte Byte() => Take(1)[0];

    internal bool Flag() =>
        Byte() switch
        {
            0 => false,
            1 => true,
            var other => throw Bad($"{other} is neither true nor false"),
        };

    internal int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Take(4));

    internal long Int64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));

    internal ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    internal Guid Guid() => new(Take(16), bigEndian: true);

    /// <summary>A number from 0 up.</summary>
    internal int Natural() => Int32() is >= 0 and var value ? value : throw Bad("a number below zero");

    /// <summary>A number from 0 up.</summary>
    internal long LongNatural() => Int64() is >= 0 and var value ? value : throw Bad("a number below zero");

    /// <summary>How many members follow, each of which takes at least <paramref name="leastBytes"/>.</summary>
    internal int Count(int leastBytes)
    {
        var count = Natural();
        if (count > FrameLayout.MaxCount)
            throw new WireException(WireFault.TooLarge, $"{count} members; at most {FrameLayout.MaxCount}");
        if ((long)count * leastBytes > rest.Length)
            throw new WireException(WireFault.Truncated, $"{count} members don't fit into {rest.Length} bytes");
        return count;
    }

    internal ReadOnlySpan<byte> Bytes(int mostBytes)
    {
        var length = Natural();
        if (length > mostBytes)
            throw new WireException(WireFault.TooLarge, $"{length} bytes where at most {mostBytes} may be");
        return Take(length);
    }

    /// <summary>What is not read yet, in an array of its own.</summary>
    internal readonly byte[] CopyOfRest()
    {
        var copy = GC.AllocateUninitializedArray<byte>(rest.Length);
        rest.CopyTo(copy);
        return copy;
    }

    internal string Name() => Text(FrameLayout.MaxNameBytes);

    internal string Message() => Text(FrameLayout.MaxMessageBytes);

    private string Text(int mostBytes)
    {
        var length = BinaryPrimitives.ReadUInt16LittleEndian(Take(2));
        if (length > mostBytes)
            throw new WireException(WireFault.TooLarge, $"a text of {length} bytes; the longest may have {mostBytes}");
        try
        {
            return Strict.GetString(Take(length));
        }
        catch (DecoderFallbackException)
        {
            throw Bad("a text that is not UTF-8");
        }
    }

    internal static WireException Bad(string message) => new(WireFault.BadValue, message);

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > rest.Length)
            throw new WireException(WireFault.Truncated, $"{count} bytes were expected where {rest.Length} are left");
        var taken = rest[..count];
        rest = rest[count..];
        return taken;
    }
}
