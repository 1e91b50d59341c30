namespace Miroir.Server.Wire;

/// <summary>How one kind of message becomes a frame, and back.</summary>
internal sealed class FrameCodec<T>(FrameKind kind, FrameCodec<T>.Encoder encode, FrameCodec<T>.Decoder decode)
{
    public delegate void Encoder(FrameWriter writer, T value);

    public delegate T Decoder(ref FrameReader reader);

    public FrameKind Kind => kind;

    /// <exception cref="WireException">The message does not fit into a frame; nothing of it was written.</exception>
    public void Write(FrameWriter writer, T value)
    {
        var start = writer.Length;
        try
        {
            writer.BeginFrame(kind);
            encode(writer, value);
            writer.EndFrame();
        }
        catch
        {
            writer.TakeBack(start);
            throw;
        }
    }

    /// <summary>From a frame without its length.</summary>
    /// <exception cref="WireException">Not a frame of this kind.</exception>
    public T Read(ReadOnlySpan<byte> frame)
    {
        var reader = new FrameReader(frame);
        reader.Expect(kind);
        return ReadFields(ref reader);
    }

    /// <summary>From a frame whose version and kind have been read.</summary>
    public T ReadFields(ref FrameReader reader)
    {
        var value = decode(ref reader);
        reader.End();
        return value;
    }

    /// <summary>Every frame of a buffer, which are all of this kind and at most <paramref name="mostFrames"/>.</summary>
    /// <exception cref="WireException">Something else is in the buffer, or more.</exception>
    public T[] ReadAll(ReadOnlySpan<byte> frames, int mostFrames)
    {
        var reader = new FrameReader(frames);
        var values = new List<T>();
        while (!reader.IsAtEnd)
        {
            if (values.Count == mostFrames)
                throw new WireException(WireFault.TooLarge, $"more than {mostFrames} messages at once");
            var frame = reader.NextFrame();
            frame.Expect(kind);
            values.Add(ReadFields(ref frame));
        }
        return [.. values];
    }
}
