using System.Text.Json;
using Miroir.Core;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>What <c>POST documents/fetch</c> asks for.</summary>
internal sealed record FetchBody(long Offset, long Limit, string[] Fields, List<Key>? Ids, bool Vectors, bool Searches)
{
    public static FetchBody Of(ReadOnlyMemory<byte> body)
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

    private static FetchBody Of(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object)
            throw new RefusedException("malformed_payload", "the body must be a JSON object");
        var fetch = new FetchBody(0, ReadRoutes.DefaultLimit, [], null, false, false);
        foreach (var field in root.EnumerateObject())
        {
            var value = field.Value;
            if (value.ValueKind == JsonValueKind.Null)
                continue;
            fetch = field.Name switch
            {
                "offset" => fetch with { Offset = Number(value, "offset", long.MaxValue / 2) },
                "limit" => fetch with { Limit = Number(value, "limit", int.MaxValue) },
                "fields" => fetch with { Fields = Names(value) },
                "ids" => fetch with { Ids = DocumentIds.Of(value) },
                "retrieveVectors" => fetch with { Vectors = value.ValueKind == JsonValueKind.True },
                "filter" or "sort" => fetch with { Searches = true },
                _ => throw new RefusedException(
                    "bad_request",
                    $"unknown field `{JsonText.Shown(field.Name, 60)}`: expected `offset`, `limit`, `fields` or `ids`"
                ),
            };
        }
        return fetch;
    }

    private static long Number(JsonElement value, string name, long most) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) && number >= 0 && number <= most
            ? number
            : throw new RefusedException(
                $"invalid_document_{name}",
                $"`{name}` must be a whole number from 0 to {most}, not {JsonText.Shown(value.GetRawText(), 60)}"
            );

    private static string[] Names(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(e => e.ValueKind == JsonValueKind.String)
            ? [.. value.EnumerateArray().Select(e => e.GetString()!)]
            : throw new RefusedException(
                "invalid_document_fields",
                $"`fields` must be an array of names, not {JsonText.Shown(value.GetRawText(), 60)}"
            );
}
