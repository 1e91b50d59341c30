using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Miroir.Ports;
using Miroir.Server.Wire;

namespace Miroir.Server.Http;

/// <summary>The answering side of calls between processes.</summary>
internal static class PeerAnswers
{
    /// <summary>
    /// Says whose the answer is, refuses what was meant for another, and turns failures into errors that the asker
    /// reads as "no answer": whether anything was done is then unknown to it.
    /// </summary>
    public static async Task Guard(HttpContext http, string header, string name, Func<Task> handler)
    {
        http.Response.Headers[header] = PeerHeaders.Encode(name);
        string? meant = http.Request.Headers[header];
        if (meant is not null && PeerHeaders.Decode(meant) != name)
        {
            await Error(http, 421, $"this is `{name}`, not `{PeerHeaders.Decode(meant)}`", "misdirected_request");
            return;
        }
        try
        {
            await handler();
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            http.Abort();
        }
        catch (Exception e) when (!http.Response.HasStarted)
        {
            var (status, code) = e switch
            {
                WireException { Fault: WireFault.TooLarge } => (413, "payload_too_large"),
                WireException or System.Text.Json.JsonException or FormatException => (400, "malformed_frame"),
                BadHttpRequestException bad => (bad.StatusCode, "bad_request"),
                UnreachableException => (503, "peer_unavailable"),
                OperationCanceledException => (504, "request_timeout"),
                _ => (500, "internal"),
            };
            if (status == 500)
                Log(http).LogError(e, "{Path} failed", http.Request.Path);
            await Error(http, status, e.Message, code);
        }
        catch (Exception e)
        {
            // Too late for a status: the stream breaks off without its last frame.
            Log(http).LogError(e, "{Path} failed in mid-stream", http.Request.Path);
            http.Abort();
        }
    }

    /// <summary>Reads a request of commands, and answers with a reply to each.</summary>
    public static async Task Batch<TCommand, TReply>(
        HttpContext http,
        FrameCodec<TCommand> commandCodec,
        FrameCodec<TReply> replyCodec,
        int mostCommands,
        Func<TCommand[], CancellationToken, Task<TReply[]>> answer
    )
    {
        var cancel = http.RequestAborted;
        TCommand[] commands;
        using (var body = await BodyAsync(http))
            commands = commandCodec.ReadAll(body.Span, mostCommands);
        var replies = await answer(commands, cancel);
        using var writer = new FrameWriter();
        foreach (var reply in replies)
            replyCodec.Write(writer, reply);
        http.Response.ContentType = PeerHeaders.FrameType;
        http.Response.ContentLength = writer.Length;
        await http.Response.Body.WriteAsync(writer.Written, cancel);
    }

    /// <summary>
    /// Answers one command with a stream, as fast as the asker reads: the next reply is made only when the ones
    /// before it have left for the connection's window.
    /// </summary>
    public static async Task Stream<TCommand, TReply>(
        HttpContext http,
        FrameCodec<TCommand> commandCodec,
        FrameCodec<TReply> replyCodec,
        Func<TCommand, CancellationToken, IAsyncEnumerable<TReply>> answer
    )
    {
        var cancel = http.RequestAborted;
        TCommand command;
        using (var body = await BodyAsync(http))
            command = commandCodec.ReadAll(body.Span, 1) is [var only]
                ? only
                : throw new WireException(WireFault.Truncated, "a request without its command");
        http.Response.ContentType = PeerHeaders.FrameType;
        using var writer = new FrameWriter(64 << 10);
        var output = http.Response.BodyWriter;
        await foreach (var reply in answer(command, cancel).WithCancellation(cancel))
        {
            replyCodec.Write(writer, reply);
            await Flush(output, writer, cancel);
        }
        writer.BeginFrame(FrameKind.EndOfStream);
        writer.EndFrame();
        await Flush(output, writer, cancel);
    }

    /// <summary>One who breaks off in the middle of a request has gone: no trouble of this process's.</summary>
    public static async Task<BodyBuffer> BodyAsync(HttpContext http)
    {
        try
        {
            return await BodyBuffer.ReadAsync(http.Request.Body, http.Request.ContentLength, http.RequestAborted);
        }
        catch (IOException e) when (e is not BadHttpRequestException)
        {
            throw new OperationCanceledException("the request broke off", e, http.RequestAborted);
        }
    }

    private static async Task Flush(PipeWriter output, FrameWriter writer, CancellationToken cancel)
    {
        var result = await output.WriteAsync(writer.Written, cancel);
        writer.Clear();
        if (result.IsCompleted)
            throw new OperationCanceledException("the asker has gone", cancel);
    }

    public static async Task Json(HttpContext http, byte[] utf8)
    {
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = utf8.Length;
        await http.Response.Body.WriteAsync(utf8, http.RequestAborted);
    }

    private static Task Error(HttpContext http, int status, string message, string code)
    {
        var body = new ApiError(message, code).ToJson();
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.Length;
        return http.Response.Body.WriteAsync(body, http.RequestAborted).AsTask();
    }

    private static ILogger Log(HttpContext http) =>
        http.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger("Miroir.Server.Wire");
}
