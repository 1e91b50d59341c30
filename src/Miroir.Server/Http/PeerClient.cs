using System.Net;
using System.Text.Json;
using Miroir.Ports;
using Miroir.Server.Wire;

namespace Miroir.Server.Http;

/// <summary>
/// One peer behind one address. Whatever keeps its answer from coming is an <see cref="UnreachableException"/>; an
/// answer of somebody else is a <see cref="WrongPeerException"/> that names the address and who was expected.
/// </summary>
/// <param name="header">The header that says whose an answer is, such as <see cref="PeerHeaders.Node"/>.</param>
/// <param name="kind">What is expected there, in words: "node".</param>
/// <param name="name">The peer's name; "" where any will do.</param>
internal sealed class PeerClient(PeerTransport transport, string header, string kind, string name, string address)
{
    private readonly string peer = name == "" ? $"{kind} at {address}" : $"{kind} {name} at {address}";
    private readonly string encodedName = PeerHeaders.Encode(name);

    public string Peer => peer;

    public WireLimits Limits => transport.Limits;

    /// <summary>A call that is answered once: its whole body, read within the limit.</summary>
    public Task<T> Call<T>(
        HttpMethod method,
        string path,
        HttpContent? content,
        Func<ReadOnlyMemory<byte>, T> read,
        CancellationToken cancel
    ) => Call(method, path, content, read, transport.Limits.CallTimeout, cancel);

    public async Task<T> Call<T>(
        HttpMethod method,
        string path,
        HttpContent? content,
        Func<ReadOnlyMemory<byte>, T> read,
        TimeSpan limit,
        CancellationToken cancel
    )
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        timeout.CancelAfter(limit);
        try
        {
            using var response = await Send(method, path, content, timeout.Token);
            await using var stream = await response.Content.ReadAsStreamAsync(timeout.Token);
            using var body = await BodyBuffer.ReadAsync(stream, response.Content.Headers.ContentLength, timeout.Token);
            return read(body.Memory);
        }
        catch (Exception e)
        {
            throw Explain(e, cancel);
        }
    }

    /// <summary>A request of commands, and a reply to each.</summary>
    public async Task<TReply[]> Batch<TCommand, TReply>(
        string path,
        IReadOnlyList<TCommand> commands,
        FrameCodec<TCommand> commandCodec,
        FrameCodec<TReply> replyCodec,
        CancellationToken cancel
    )
    {
        if (commands.Count == 0)
            return [];
        var writer = new FrameWriter();
        for (var i = 0; i < commands.Count; i++)
            commandCodec.Write(writer, commands[i]);
        var replies = await Call(
            HttpMethod.Post,
            path,
            new FrameContent(writer.Written),
            body => replyCodec.ReadAll(body.Span, commands.Count),
            cancel
        );
        // Given back only here: where the call failed, its sending may still be reading the buffer.
        writer.Dispose();
        return replies.Length == commands.Count
            ? replies
            : throw new UnreachableException(
                peer,
                $"its answer can't be read: {replies.Length} replies to {commands.Count} commands"
            );
    }

    /// <summary>The head of an answer, checked; its body is still to be read.</summary>
    public async Task<HttpResponseMessage> Send(
        HttpMethod method,
        string path,
        HttpContent? content,
        CancellationToken cancel
    )
    {
        using var request = new HttpRequestMessage(method, address + path)
        {
            Content = content,
            Version = transport.Version,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        if (name != "")
            request.Headers.TryAddWithoutValidation(header, encodedName);
        var response = await transport.Invoker.SendAsync(request, cancel);
        try
        {
            await Check(response, cancel);
            return response;
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    /// <summary>What kept an answer from coming, in words; everything but a wrong use of this class.</summary>
    public Exception Explain(Exception e, CancellationToken cancel) =>
        e switch
        {
            UnreachableException => e,
            WireException or JsonException or FormatException and not UriFormatException => new UnreachableException(
                peer,
                $"its answer can't be read: {e.Message}",
                e
            ),
            OperationCanceledException when cancel.IsCancellationRequested => new UnreachableException(
                peer,
                "no answer within the caller's limit",
                e
            ),
            OperationCanceledException => new UnreachableException(peer, "no answer in time", e),
            HttpRequestException
            {
                HttpRequestError: HttpRequestError.HttpProtocolError
                    or HttpRequestError.InvalidResponse
                    or HttpRequestError.VersionNegotiationError
            } when e.InnerException is not IOException { InnerException: System.Net.Sockets.SocketException } =>
                new WrongPeerException(
                    peer,
                    $"expected a Miroir {kind} (HTTP/{transport.Version.Major}), but something else answers there: {Innermost(e)}",
                    e
                ),
            HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError } => new NotSentException(
                peer,
                Innermost(e),
                e
            ),
            HttpRequestException or IOException or HttpProtocolException => new UnreachableException(
                peer,
                Innermost(e),
                e
            ),
            UriFormatException or InvalidOperationException or NotSupportedException => new WrongPeerException(
                peer,
                $"`{address}` is not a base address such as http://127.0.0.1:7001: {e.Message}",
                e
            ),
            _ => e,
        };

    private async Task Check(HttpResponseMessage response, CancellationToken cancel)
    {
        var theirs = response.Headers.TryGetValues(header, out var values) ? values.FirstOrDefault() : null;
        if (theirs is null)
            throw new WrongPeerException(
                peer,
                $"expected a Miroir {kind}, but something else answers there "
                    + $"(status {(int)response.StatusCode}, {response.Content.Headers.ContentType?.MediaType ?? "no content type"})"
            );
        if (name != "" && PeerHeaders.Decode(theirs) is var found && found != name)
            throw new WrongPeerException(peer, $"expected {kind} `{name}`, but {kind} `{found}` answers there");
        if (!response.IsSuccessStatusCode)
            throw new UnreachableException(
                peer,
                $"answered {(int)response.StatusCode}: {await ErrorText(response, cancel)}"
            );
    }

    private static async Task<string> ErrorText(HttpResponseMessage response, CancellationToken cancel)
    {
        await using var stream = await response.Content.ReadAsStreamAsync(cancel);
        using var body = await BodyBuffer.ReadAsync(stream, response.Content.Headers.ContentLength, cancel);
        try
        {
            using var json = JsonDocument.Parse(body.Memory);
            return JsonShape.Text(json.RootElement, "message");
        }
        catch (JsonException)
        {
            return response.ReasonPhrase ?? "an error";
        }
    }

    private static string Innermost(Exception e)
    {
        while (e.InnerException is { } inner)
            e = inner;
        return e.Message;
    }
}
