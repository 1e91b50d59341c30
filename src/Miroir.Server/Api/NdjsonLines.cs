using System.Buffers;
using System.IO.Pipelines;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>
/// Cuts a body into its lines while it comes in. Memory: what the reader has not been given room for yet stays in the
/// connection. The lines handed on are slices of blocks that are never used again, and may be kept.
/// </summary>
internal static class NdjsonLines
{
    // Below the size from which on arrays are collected with the oldest generation only.
    private const int BlockBytes = 64 << 10;

    /// <summary>Awaits <paramref name="take"/> for each line that has anything but white space, with its number from 1 on.</summary>
    public static async Task ReadAsync(
        PipeReader body,
        int maxLineBytes,
        Func<ReadOnlyMemory<byte>, long, ValueTask> take,
        CancellationToken cancel
    )
    {
        var block = new byte[BlockBytes];
        var (start, end) = (0, 0);
        long line = 1;
        while (true)
        {
            var read = await body.ReadAsync(cancel);
            try
            {
                await ScanAsync(read.Buffer);
            }
            finally
            {
                // Also where a line was refused: the server reads on to the body's end, so that the answer gets through.
                body.AdvanceTo(read.Buffer.End);
            }
            if (read.IsCompleted)
                break;
        }
        var tail = Trimmed(block.AsMemory(start, end - start), line);
        if (!tail.IsEmpty)
            await take(tail, line);

        async ValueTask ScanAsync(ReadOnlySequence<byte> arrived)
        {
            foreach (var segment in arrived)
            {
                var rest = segment;
                while (!rest.IsEmpty)
                {
                    if (end == block.Length)
                    {
                        var pending = end - start;
                        var next = new byte[Math.Max(BlockBytes, pending * 2)];
                        block.AsSpan(start, pending).CopyTo(next);
                        (block, start, end) = (next, 0, pending);
                    }
                    var room = Math.Min(rest.Length, block.Length - end);
                    rest.Span[..room].CopyTo(block.AsSpan(end));
                    rest = rest[room..];
                    var searched = end;
                    end += room;
                    int at;
                    while ((at = block.AsSpan(searched, end - searched).IndexOf((byte)'\n')) >= 0)
                    {
                        var stop = searched + at;
                        Check(stop - start, maxLineBytes, line);
                        var text = Trimmed(block.AsMemory(start, stop - start), line);
                        if (!text.IsEmpty)
                            await take(text, line);
                        line++;
                        start = searched = stop + 1;
                    }
                    Check(end - start, maxLineBytes, line);
                }
            }
        }
    }

    private static ReadOnlyMemory<byte> Trimmed(ReadOnlyMemory<byte> text, long line)
    {
        if (line == 1 && text.Span.StartsWith("\uFEFF"u8))
            text = text[3..];
        return text.Trim(" \t\r"u8);
    }

    private static void Check(int length, int most, long line)
    {
        if (length > most)
            throw new RefusedException(
                "payload_too_large",
                $"line {line} has more than {most} bytes, the most that a document may have"
            );
    }
}
