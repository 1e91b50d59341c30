using System.Text.Json;
using Miroir.Ports;

namespace Miroir.Server.Api;

/// <summary>Events and cursors as JSON; docs/change-feed.md has the fields.</summary>
internal static class FeedJson
{
    /// <param name="json">Where to.</param>
    /// <param name="one">The event.</param>
    /// <param name="withDocument">Whether documents were asked for.</param>
    /// <param name="isLine">Whether the event must stay on one line.</param>
    public static void Write(Utf8JsonWriter json, FeedEvent one, bool withDocument, bool isLine)
    {
        var change = one.Change;
        json.WriteStartObject();
        json.WriteString("id", change.OperationId);
        json.WriteString("type", change.IsDelete ? "delete" : "put");
        json.WriteString("key", change.Key.Text);
        json.WriteString("version", change.Version.ToString());
        json.WriteString("position", change.Position.ToString());
        if (withDocument)
        {
            json.WritePropertyName("document");
            if (one.Body is { } body)
                json.WriteRawValue((isLine ? OnOneLine(body) : body).Span, skipInputValidation: true);
            else
                json.WriteNullValue();
        }
        json.WriteEndObject();
    }

    public static void WriteEnd(Utf8JsonWriter json, string cursor, bool isCaughtUp)
    {
        json.WriteString("cursor", cursor);
        json.WriteBoolean("caughtUp", isCaughtUp);
    }

    /// <summary>
    /// A document is kept as the text that came, with the breaks between its lines. In JSON they can only be space
    /// between tokens (RFC 8259, section 7: within strings they are escaped), where any other space will do.
    /// </summary>
    private static ReadOnlyMemory<byte> OnOneLine(ReadOnlyMemory<byte> document)
    {
        if (document.Span.IndexOfAny((byte)'\n', (byte)'\r') < 0)
            return document;
        var line = document.ToArray();
        line.AsSpan().Replace((byte)'\n', (byte)' ');
        line.AsSpan().Replace((byte)'\r', (byte)' ');
        return line;
    }
}
