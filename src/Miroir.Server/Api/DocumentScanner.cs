using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Miroir.Core;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>What a scan found: a key and the text to store, or a fault of this document alone.</summary>
internal readonly record struct ScannedDocument(Key? Key, ReadOnlyMemory<byte> Body, DocumentFault? Fault);

/// <summary>
/// Goes over one document's text once, takes its key out, and refuses what can't be stored. The text itself is kept as
/// it came, numbers and escapes included; only a field that is repeated is left out but for its last occurrence.
/// </summary>
internal sealed class DocumentScanner(string primaryKey, int maxDepth)
{
    private const int FewFields = 64;
    private const int ShownBytes = 80;
    private readonly byte[] primaryKeyUtf8 = Encoding.UTF8.GetBytes(primaryKey);
    private readonly JsonReaderOptions readerOptions = new() { MaxDepth = maxDepth };

    /// <param name="json">One JSON object, with nothing but white space around it.</param>
    /// <param name="place">What to call the document where it has no key, such as "document 3".</param>
    /// <exception cref="RefusedException">Not JSON, not UTF-8, or not an object: <c>malformed_payload</c>.</exception>
    public ScannedDocument Scan(ReadOnlyMemory<byte> json, Func<string> place)
    {
        var span = json.Span;
        if (!Utf8.IsValid(span))
            throw new RefusedException("malformed_payload", $"{place()} is not valid UTF-8");
        try
        {
            return Scan(json, span, place);
        }
        catch (JsonException e)
        {
            throw new RefusedException("malformed_payload", $"{place()} is not JSON: {e.Message}");
        }
        catch (InvalidOperationException)
        {
            const string why = "the name of a field escapes half of a surrogate pair, which is no Unicode";
            return new(null, default, new(place(), "malformed_payload", why));
        }
    }

    private ScannedDocument Scan(ReadOnlyMemory<byte> json, ReadOnlySpan<byte> span, Func<string> place)
    {
        var reader = new Utf8JsonReader(span, readerOptions);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new RefusedException(
                "malformed_payload",
                $"{place()} must be a JSON object, not {JsonText.Kind(reader.TokenType)}"
            );
        var start = (int)reader.TokenStartIndex;
        Span<ulong> seen = stackalloc ulong[FewFields];
        var fields = 0;
        var mayRepeat = false;
        Key? key = null;
        var hasKey = false;
        DocumentFault? fault = null;
        DocumentFault? keyFault = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.ValueSpan;
            if (reader.ValueIsEscaped || fields == FewFields)
                mayRepeat = true;
            else
            {
                var mark = Mark(name);
                mayRepeat |= seen[..fields].Contains(mark);
                seen[fields++] = mark;
            }
            if (IsReserved(ref reader))
                fault ??= new(
                    place(),
                    "reserved_field",
                    $"the field `{JsonText.Shown(name, ShownBytes)}` begins with `_miroir_`, which is Miroir's own: rename it"
                );
            var isKey = reader.ValueTextEquals(primaryKeyUtf8);
            reader.Read();
            if (isKey)
            {
                hasKey = true;
                (key, keyFault) = KeyOf(ref reader, place);
            }
            reader.Skip();
        }
        var end = (int)reader.BytesConsumed;
        // Anything but white space behind the object throws.
        reader.Read();
        if (!hasKey)
            keyFault = new(
                place(),
                "missing_document_id",
                $"the document has no field `{primaryKey}`, the primary key of its index"
            );
        fault ??= keyFault;
        if (fault is { } found)
            return new(null, default, key is null ? found : found with { Id = key.Text });
        var body = json[start..end];
        return new(key, mayRepeat ? RepeatedFields.Without(body, readerOptions) : body, null);
    }

    /// <summary>Equal names have equal marks; a wrong match only costs a closer look.</summary>
    private static ulong Mark(ReadOnlySpan<byte> name)
    {
        var mark = (ulong)name.Length;
        for (var i = 0; i < name.Length; i++)
            mark = (mark ^ name[i]) * 0x100000001B3UL;
        return mark;
    }

    private static bool IsReserved(ref Utf8JsonReader reader) =>
        reader.ValueIsEscaped
            ? reader.GetString()!.StartsWith("_miroir_", StringComparison.Ordinal)
            : reader.ValueSpan.StartsWith("_miroir_"u8);

    private (Key?, DocumentFault?) KeyOf(ref Utf8JsonReader reader, Func<string> place)
    {
        var raw = reader.ValueSpan;
        switch (reader.TokenType)
        {
            case JsonTokenType.String when !reader.ValueIsEscaped && raw.Length is >= 1 and <= 512:
                return (Key.OfBytes(raw), null);
            case JsonTokenType.String:
                try
                {
                    var parsed = Key.Parse(reader.GetString()!);
                    return parsed.IsOk ? (parsed.ResultValue, null) : (null, Wrong(parsed.ErrorValue, place));
                }
                catch (InvalidOperationException)
                {
                    return (
                        null,
                        Wrong("a document id must be valid Unicode; this one holds half of a surrogate pair", place)
                    );
                }
            case JsonTokenType.Number
                when raw.IndexOfAnyExceptInRange((byte)'0', (byte)'9') is var at
                    && (
                        at < 0
                        || (at == 0 && raw[0] == '-' && raw[1..].IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0)
                    ):
                if (raw.SequenceEqual("-0"u8))
                    raw = "0"u8;
                return raw.Length <= Key.MaxLength
                    ? (Key.OfBytes(raw), null)
                    : (
                        null,
                        Wrong($"a document id is 1 to {Key.MaxLength} bytes; this one has {raw.Length} digits", place)
                    );
            case JsonTokenType.Number:
                return (
                    null,
                    Wrong(
                        $"a document id is a string or an integer, not the fraction {JsonText.Shown(raw, ShownBytes)}: send it as a string",
                        place
                    )
                );
            default:
                return (
                    null,
                    Wrong($"a document id is a string or an integer, not {JsonText.Kind(reader.TokenType)}", place)
                );
        }
    }

    private DocumentFault Wrong(string why, Func<string> place) =>
        new(place(), "invalid_document_id", $"field `{primaryKey}`: {why}");
}
