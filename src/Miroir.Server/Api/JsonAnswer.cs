using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Miroir.Server.Api;

/// <summary>Writes a small answer whole.</summary>
internal static class JsonAnswer
{
    public static JsonWriterOptions WriterOptions { get; } =
        new()
        {
            // The answer is JSON for programs, never a part of a page.
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            SkipValidation = true,
        };

    public static string Text(Action<Utf8JsonWriter> write)
    {
        var buffer = Bytes(write);
        return System.Text.Encoding.UTF8.GetString(buffer.Span);
    }

    public static ReadOnlyMemory<byte> Bytes(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(buffer, WriterOptions))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }
        return buffer.WrittenMemory;
    }

    /// <summary>An object whose fields <paramref name="write"/> writes.</summary>
    public static Task SendAsync(HttpContext http, int status, Action<Utf8JsonWriter> write) =>
        SendAsync(http, status, Bytes(write));

    public static async Task SendAsync(HttpContext http, int status, ReadOnlyMemory<byte> body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.Length;
        await http.Response.Body.WriteAsync(body, http.RequestAborted);
    }
}
