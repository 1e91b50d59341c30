using System.Buffers;
using System.Text.Json;

namespace Miroir.Server.Api;

/// <summary>
/// Objects that name a field more than once, which JSON leaves open (RFC 8259, section 4): the last one counts, as in
/// most parsers.
/// </summary>
internal static class RepeatedFields
{
    /// <summary>The object with each of its own fields once; the same bytes where none is repeated.</summary>
    public static ReadOnlyMemory<byte> Without(ReadOnlyMemory<byte> json, JsonReaderOptions options)
    {
        var span = json.Span;
        var reader = new Utf8JsonReader(span, options);
        reader.Read();
        var fields = new List<(string Name, Range Text)>();
        var last = new Dictionary<string, int>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var start = (int)reader.TokenStartIndex;
            var name = reader.GetString()!;
            reader.Read();
            reader.Skip();
            last[name] = fields.Count;
            fields.Add((name, start..(int)reader.BytesConsumed));
        }
        if (last.Count == fields.Count)
            return json;
        var buffer = new ArrayBufferWriter<byte>(json.Length);
        buffer.Write("{"u8);
        for (var i = 0; i < fields.Count; i++)
        {
            if (last[fields[i].Name] != i)
                continue;
            if (buffer.WrittenCount > 1)
                buffer.Write(","u8);
            buffer.Write(span[fields[i].Text]);
        }
        buffer.Write("}"u8);
        return buffer.WrittenMemory;
    }
}
