using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

internal enum BodyFormat
{
    Json,
    Ndjson,
}

/// <summary>A request's body: its format by its content type, and all of it where it is JSON.</summary>
internal static class RequestBody
{
    /// <param name="request">The request.</param>
    /// <param name="ndjson">Whether the route takes NDJSON too.</param>
    public static BodyFormat Format(HttpRequest request, bool ndjson)
    {
        var accepted = ndjson ? "`application/json` or `application/x-ndjson`" : "`application/json`";
        if (request.Headers.ContentEncoding.ToString() is not ("" or "identity") and var encoding)
            throw new RefusedException(
                "invalid_content_type",
                $"content encoding `{encoding}` is not taken: send the body plain"
            );
        if (string.IsNullOrEmpty(request.ContentType))
            throw new RefusedException("missing_content_type", $"a content type is missing: expected {accepted}");
        if (MediaTypeHeaderValue.TryParse(request.ContentType, out var type))
        {
            if (type.Charset.HasValue && !type.Charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase))
                throw new RefusedException(
                    "invalid_content_type",
                    $"charset `{type.Charset}` is not taken: send UTF-8"
                );
            if (type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase))
                return BodyFormat.Json;
            if (ndjson && type.MediaType.Equals("application/x-ndjson", StringComparison.OrdinalIgnoreCase))
                return BodyFormat.Ndjson;
        }
        throw new RefusedException(
            "invalid_content_type",
            $"content type `{request.ContentType}` is not taken: expected {accepted}"
        );
    }

    /// <summary>Lifts the server's own limit: the routes here have theirs.</summary>
    public static void LiftServerLimit(HttpContext http)
    {
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = null;
    }

    /// <summary>All of the body, without a byte order mark, in memory that is not used for anything else.</summary>
    public static async Task<ReadOnlyMemory<byte>> ReadAllAsync(
        HttpContext http,
        long maxBytes,
        CancellationToken cancel
    )
    {
        LiftServerLimit(http);
        if (http.Request.ContentLength > maxBytes)
            throw TooLarge(maxBytes);
        var bytes = new byte[http.Request.ContentLength ?? 4096];
        var length = 0;
        while (true)
        {
            if (length == bytes.Length)
            {
                if (http.Request.ContentLength == length)
                    break;
                Array.Resize(ref bytes, (int)Math.Min((long)length * 2, Array.MaxLength));
            }
            var read = await http.Request.Body.ReadAsync(bytes.AsMemory(length), cancel);
            if (read == 0)
                break;
            length += read;
            if (length > maxBytes)
                throw TooLarge(maxBytes);
        }
        ReadOnlyMemory<byte> body = bytes.AsMemory(0, length);
        if (body.Span.StartsWith("\uFEFF"u8))
            body = body[3..];
        return body.Span.IndexOfAnyExcept(" \t\r\n"u8) < 0
            ? throw new RefusedException("missing_payload", "the body is empty: expected JSON")
            : body;
    }

    private static RefusedException TooLarge(long maxBytes) =>
        new(
            "payload_too_large",
            $"a JSON body may have {maxBytes} bytes at most: send several, or send the documents as application/x-ndjson, which has no bound"
        );
}
