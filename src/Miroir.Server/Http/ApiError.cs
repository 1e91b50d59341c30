using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Miroir.Server.Http;

/// <summary>
/// The one shape of an error on every public route, Meilisearch's: <c>message</c> for a person, <c>code</c> for a
/// program (stable), <c>type</c>, and <c>link</c>, where these sources explain the code.
/// </summary>
public sealed record ApiError(string Message, string Code)
{
    /// <summary>What the request was refused for: <c>invalid_request</c>, <c>system</c> or <c>internal</c>.</summary>
    public string Type =>
        Status switch
        {
            500 => "internal",
            503 or 504 or 507 => "system",
            _ => "invalid_request",
        };

    public string Link => $"docs/errors.md#{Code}";

    /// <summary>The HTTP status that fits the code; docs/errors.md has the rule.</summary>
    public int Status => StatusOf(Code);

    public static int StatusOf(string code) =>
        ErrorCodes.Statuses.TryGetValue(code, out var status) ? status : StatusByName(code);

    private static int StatusByName(string code) =>
        code switch
        {
            "internal" => 500,
            "no_space_left_on_device" => 507,
            "payload_too_large" => 413,
            "unsupported_media_type" => 415,
            _ when code.EndsWith("_not_found", StringComparison.Ordinal) => 404,
            _ when code.EndsWith("unavailable", StringComparison.Ordinal)
                    || code.EndsWith("unreachable", StringComparison.Ordinal) => 503,
            _ when code.EndsWith("_timeout", StringComparison.Ordinal) => 504,
            _ when code.StartsWith("invalid_", StringComparison.Ordinal)
                    || code.StartsWith("missing_", StringComparison.Ordinal)
                    || code.StartsWith("malformed_", StringComparison.Ordinal)
                    || code.StartsWith("bad_", StringComparison.Ordinal)
                    || code.StartsWith("Unsafe", StringComparison.Ordinal) => 400,
            _ => 409,
        };

    // Quotes and letters as they are: never within HTML, often read in a terminal.
    private static readonly JsonWriterOptions Readable = new()
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The error as UTF-8 JSON.</summary>
    public byte[] ToJson()
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Readable))
        {
            json.WriteStartObject();
            json.WriteString("message", Message);
            json.WriteString("code", Code);
            json.WriteString("type", Type);
            json.WriteString("link", Link);
            json.WriteEndObject();
        }
        return buffer.ToArray();
    }

    public async Task WriteAsync(HttpResponse response, CancellationToken cancel)
    {
        var body = ToJson();
        response.StatusCode = Status;
        if (Status == StatusCodes.Status503ServiceUnavailable)
            response.Headers.RetryAfter = "1";
        response.ContentType = "application/json";
        response.ContentLength = body.Length;
        await response.Body.WriteAsync(body, cancel);
    }
}
