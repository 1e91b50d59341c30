using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Miroir.Server.Wire;

/// <summary>
/// Writes frames one behind the other into a buffer that grows. Disposing gives the buffer back: only when nobody
/// reads <see cref="Written"/> any more.
/// </summary>
public sealed class FrameWriter(int capacity = 4096) : IDisposable
{
    private byte[] buffer = ArrayPool<byte>.Shared.Rent(capacity);
    private int position;
    private int frameStart = -1;

    public ReadOnlyMemory<byte> Written => buffer.AsMemory(0, position);

    public int Length => position;

    public void Clear() => (position, frameStart) = (0, -1);

    public void Dispose()
    {
        var old = buffer;
        buffer = [];
        position = 0;
        if (old.Length > 0)
            ArrayPool<byte>.Shared.Return(old);
    }

    /// <summary>Forgets everything written from <paramref name="length"/> on.</summary>
    internal void TakeBack(int length) => (position, frameStart) = (length, -1);

    internal void BeginFrame(FrameKind kind)
    {
        frameStart = position;
        Reserve(FrameLayout.LengthBytes).Clear();
        Byte(FrameLayout.Version);
        Byte((byte)kind);
    }

    /// <exception cref="WireException">The frame is too long.</exception>
    internal void EndFrame()
    {
        var length = position - frameStart - FrameLayout.LengthBytes;
        if (length > FrameLayout.MaxFrameBytes)
            throw new WireException(
                WireFault.TooLarge,
                $"a frame of {length} bytes; the longest may have {FrameLayout.MaxFrameBytes}"
            );
        BinaryPrimitives.WriteInt32LittleEndian(buffer.AsSpan(frameStart), length);
        frameStart = -1;
    }

    internal void Byte(byte value) => Reserve(1)[0] = value;

    internal void Flag(bool value) => Byte(value ? (byte)1 : (byte)0);

    internal void Int32(int value) => BinaryPrimitives.WriteInt32LittleEndian(Reserve(4), value);

    internal void Int64(long value) => BinaryPrimitives.WriteInt64LittleEndian(Reserve(8), value);

    internal void UInt64(ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Reserve(8), value);

    internal void Guid(Guid value) => value.TryWriteBytes(Reserve(16), bigEndian: true, out _);

    internal void Bytes(ReadOnlySpan<byte> value)
    {
        Int32(value.Length);
        value.CopyTo(Reserve(value.Length));
    }

    /// <summary>A name: a text whose length is checked, since cutting it would make it another's.</summary>
    internal void Name(string value)
    {
        var length = Encoding.UTF8.GetByteCount(value);
        if (length > FrameLayout.MaxNameBytes)
            throw new WireException(
                WireFault.TooLarge,
                $"a name of {length} bytes; the longest may have {FrameLayout.MaxNameBytes}"
            );
        Text(value, length);
    }

    /// <summary>Words for a person, cut to the longest that is sent.</summary>
    internal void Message(string value)
    {
        var length = Encoding.UTF8.GetByteCount(value);
        while (length > FrameLayout.MaxMessageBytes)
        {
            var keep = Math.Max(0, value.Length - Math.Max(1, (length - FrameLayout.MaxMessageBytes) / 4));
            if (keep > 0 && char.IsHighSurrogate(value[keep - 1]))
                keep--;
            value = value[..keep];
            length = Encoding.UTF8.GetByteCount(value);
        }
        Text(value, length);
    }

    private void Text(string value, int length)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(Reserve(2), (ushort)length);
        Encoding.UTF8.GetBytes(value, Reserve(length));
    }

    private Span<byte> Reserve(int count)
    {
        var end = checked(position + count);
        if (end > buffer.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent((int)Math.Max(end, Math.Min(Array.MaxLength, buffer.Length * 2L)));
            buffer.AsSpan(0, position).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(buffer);
            buffer = larger;
        }
        var span = buffer.AsSpan(position, count);
        position = end;
        return span;
    }
}
