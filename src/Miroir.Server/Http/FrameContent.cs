using System.Net;
using System.Net.Http.Headers;

namespace Miroir.Server.Http;

/// <summary>A request's body of frames, its length known.</summary>
internal sealed class FrameContent : HttpContent
{
    private static readonly MediaTypeHeaderValue Type = new(PeerHeaders.FrameType);
    private readonly ReadOnlyMemory<byte> frames;

    public FrameContent(ReadOnlyMemory<byte> frames)
    {
        this.frames = frames;
        Headers.ContentType = Type;
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, default);

    protected override async Task SerializeToStreamAsync(
        Stream stream,
        TransportContext? context,
        CancellationToken cancel
    ) => await stream.WriteAsync(frames, cancel);

    protected override bool TryComputeLength(out long length)
    {
        length = frames.Length;
        return true;
    }
}
