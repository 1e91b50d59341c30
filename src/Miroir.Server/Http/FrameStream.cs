using System.Buffers;
using System.Buffers.Binary;
using Miroir.Server.Wire;

namespace Miroir.Server.Http;

/// <summary>Frames of a body that is still coming. Reads no further than the frame that is asked for needs.</summary>
internal sealed class FrameStream(Stream stream) : IDisposable
{
    private byte[] buffer = ArrayPool<byte>.Shared.Rent(64 << 10);
    private int start;
    private int end;

    /// <summary>
    /// The next frame, without its length; null where the stream has ended. It is overwritten by the next call.
    /// </summary>
    /// <exception cref="WireException">The stream ended within a frame, or no frame is that long.</exception>
    public async ValueTask<ReadOnlyMemory<byte>?> Next(CancellationToken cancel)
    {
        if (!await Fill(FrameLayout.LengthBytes, cancel))
            return end == start
                ? null
                : throw new WireException(WireFault.Truncated, "the stream ended within a frame's length");
        var length = FrameReader.CheckLength(BinaryPrimitives.ReadInt32LittleEndian(buffer.AsSpan(start)));
        start += FrameLayout.LengthBytes;
        if (!await Fill(length, cancel))
            throw new WireException(
                WireFault.Truncated,
                $"the stream ended {length - (end - start)} bytes before its frame did"
            );
        var frame = buffer.AsMemory(start, length);
        start += length;
        return frame;
    }

    /// <summary>True once that many bytes are in the buffer.</summary>
    private async ValueTask<bool> Fill(int count, CancellationToken cancel)
    {
        if (end - start >= count)
            return true;
        if (start > 0)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            (start, end) = (0, end - start);
        }
        while (end < count)
        {
            // Grown as bytes come, not as a length claims that they will.
            if (end == buffer.Length)
            {
                var larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
                buffer.AsSpan(0, end).CopyTo(larger);
                ArrayPool<byte>.Shared.Return(buffer);
                buffer = larger;
            }
            var read = await stream.ReadAsync(buffer.AsMemory(end), cancel);
            if (read == 0)
                return false;
            end += read;
        }
        return true;
    }

    public void Dispose()
    {
        var old = buffer;
        buffer = [];
        if (old.Length > 0)
            ArrayPool<byte>.Shared.Return(old);
    }
}
