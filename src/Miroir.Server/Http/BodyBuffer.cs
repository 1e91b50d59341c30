using System.Buffers;
using Miroir.Server.Wire;

namespace Miroir.Server.Http;

/// <summary>A whole body in a rented buffer.</summary>
internal sealed class BodyBuffer : IDisposable
{
    /// <summary>The longest body that is taken: one frame of the longest, and a batch beside it.</summary>
    public const long MaxBodyBytes = FrameLayout.MaxFrameBytes + (32L << 20);

    private byte[] buffer;
    private int length;

    private BodyBuffer(int capacity) => buffer = ArrayPool<byte>.Shared.Rent(capacity);

    public ReadOnlySpan<byte> Span => buffer.AsSpan(0, length);

    public ReadOnlyMemory<byte> Memory => buffer.AsMemory(0, length);

    /// <exception cref="WireException">The body is longer than any that is taken.</exception>
    public static async Task<BodyBuffer> ReadAsync(Stream stream, long? contentLength, CancellationToken cancel)
    {
        if (contentLength > MaxBodyBytes)
            throw TooLarge();
        var body = new BodyBuffer((int)Math.Clamp(contentLength + 1 ?? 4096, 512, 1 << 20));
        try
        {
            int read;
            while ((read = await stream.ReadAsync(body.buffer.AsMemory(body.length), cancel)) > 0)
            {
                body.length += read;
                if (body.length > MaxBodyBytes)
                    throw TooLarge();
                if (body.length == body.buffer.Length)
                    body.Grow();
            }
            return body;
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    private static WireException TooLarge() =>
        new(WireFault.TooLarge, $"a body of more than {MaxBodyBytes} bytes; send less at once");

    private void Grow()
    {
        var larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
        Span.CopyTo(larger);
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = larger;
    }

    public void Dispose()
    {
        var old = buffer;
        buffer = [];
        length = 0;
        if (old.Length > 0)
            ArrayPool<byte>.Shared.Return(old);
    }
}
