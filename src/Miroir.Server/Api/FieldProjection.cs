using System.Buffers;
using System.Text;
using System.Text.Json;

namespace Miroir.Server.Api;

/// <summary>
/// Some of a document's fields, their text as it is stored. A field is named as it stands, or by a path with dots into
/// objects (and into the objects of arrays).
/// </summary>
internal sealed class FieldProjection
{
    private readonly string[] fields;

    private FieldProjection(string[] fields) => this.fields = fields;

    /// <summary>Null where all fields are wanted: none named, or a star among them.</summary>
    public static FieldProjection? Of(IReadOnlyCollection<string> fields) =>
        fields.Count == 0 || fields.Contains("*") ? null : new FieldProjection([.. fields]);

    public ReadOnlyMemory<byte> Apply(ReadOnlyMemory<byte> document)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        var reader = new Utf8JsonReader(document.Span, new JsonReaderOptions { MaxDepth = 256 });
        reader.Read();
        WriteObject(ref reader, document.Span, fields, buffer);
        return buffer.WrittenMemory;
    }

    /// <summary>The reader stands on the object's start, and after it on its end.</summary>
    private static void WriteObject(
        ref Utf8JsonReader reader,
        ReadOnlySpan<byte> json,
        string[] wanted,
        IBufferWriter<byte> buffer
    )
    {
        buffer.Write("{"u8);
        var isFirst = true;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var nameStart = (int)reader.TokenStartIndex;
            var name = NameOf(ref reader);
            reader.Read();
            var whole = Array.IndexOf(wanted, name) >= 0;
            var below = whole ? [] : Below(wanted, name);
            if (!whole && (below.Length == 0 || !IsContainer(reader.TokenType)))
            {
                reader.Skip();
                continue;
            }
            if (!isFirst)
                buffer.Write(","u8);
            isFirst = false;
            var valueStart = (int)reader.TokenStartIndex;
            if (whole)
            {
                reader.Skip();
                buffer.Write(json[nameStart..(int)reader.BytesConsumed]);
                continue;
            }
            buffer.Write(json[nameStart..valueStart]);
            WriteValue(ref reader, json, below, buffer);
        }
        buffer.Write("}"u8);
    }

    private static void WriteValue(
        ref Utf8JsonReader reader,
        ReadOnlySpan<byte> json,
        string[] wanted,
        IBufferWriter<byte> buffer
    )
    {
        if (reader.TokenType == JsonTokenType.StartObject)
        {
            WriteObject(ref reader, json, wanted, buffer);
            return;
        }
        // An array: of its objects what is wanted, nothing else.
        buffer.Write("["u8);
        var isFirst = true;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (!IsContainer(reader.TokenType))
                continue;
            if (!isFirst)
                buffer.Write(","u8);
            isFirst = false;
            WriteValue(ref reader, json, wanted, buffer);
        }
        buffer.Write("]"u8);
    }

    private static bool IsContainer(JsonTokenType type) =>
        type is JsonTokenType.StartObject or JsonTokenType.StartArray;

    private static string[] Below(string[] wanted, string name) =>
        [
            .. wanted
                .Where(w =>
                    w.Length > name.Length + 1 && w[name.Length] == '.' && w.StartsWith(name, StringComparison.Ordinal)
                )
                .Select(w => w[(name.Length + 1)..]),
        ];

    private static string NameOf(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return Encoding.UTF8.GetString(reader.ValueSpan);
        }
    }
}
