using System.Text.Json;
using Miroir.Core;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>Lists of document ids: strings and integers, in an array.</summary>
internal static class DocumentIds
{
    public static List<Key> Of(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return Of(document.RootElement);
        }
        catch (JsonException e)
        {
            throw new RefusedException("malformed_payload", $"the body is not JSON: {e.Message}");
        }
    }

    public static List<Key> Of(JsonElement array)
    {
        if (array.ValueKind != JsonValueKind.Array)
            throw new RefusedException(
                "invalid_document_ids",
                $"expected an array of document ids (strings or integers), not {JsonText.Shown(array.GetRawText(), 60)}"
            );
        var keys = new List<Key>(array.GetArrayLength());
        foreach (var item in array.EnumerateArray())
            keys.Add(IndexNames.CheckKey(TextOf(item)));
        return keys;
    }

    private static string TextOf(JsonElement item)
    {
        var raw = item.ValueKind is JsonValueKind.Number or JsonValueKind.String ? item.GetRawText() : "";
        if (item.ValueKind == JsonValueKind.Number && !raw.AsSpan().ContainsAny(".eE"))
            return raw == "-0" ? "0" : raw;
        try
        {
            if (item.ValueKind == JsonValueKind.String)
                return item.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw new RefusedException(
                "invalid_document_id",
                "a document id must be valid Unicode; this one holds half of a surrogate pair"
            );
        }
        throw new RefusedException(
            "invalid_document_id",
            $"a document id is a string or an integer, not {JsonText.Shown(item.GetRawText(), 60)}"
        );
    }
}
