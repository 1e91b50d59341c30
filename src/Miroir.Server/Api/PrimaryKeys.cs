using System.Text.Json;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>Finds the primary key of an index that has none, as Meilisearch does: the one field of the first document whose name ends in <c>id</c>.</summary>
internal static class PrimaryKeys
{
    public static string Infer(string index, ReadOnlySpan<byte> document, int maxDepth)
    {
        var candidates = new List<string>();
        try
        {
            var reader = new Utf8JsonReader(document, new JsonReaderOptions { MaxDepth = maxDepth });
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject)
                throw new RefusedException(
                    "malformed_payload",
                    $"a document must be a JSON object, not {JsonText.Kind(reader.TokenType)}"
                );
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = reader.GetString()!;
                if (name.EndsWith("id", StringComparison.OrdinalIgnoreCase) && !candidates.Contains(name))
                    candidates.Add(name);
                reader.Skip();
            }
        }
        catch (JsonException e)
        {
            throw new RefusedException("malformed_payload", $"the first document is not JSON: {e.Message}");
        }
        catch (InvalidOperationException)
        {
            throw new RefusedException(
                "malformed_payload",
                "the name of a field of the first document escapes half of a surrogate pair, which is no Unicode"
            );
        }
        const string advice = "name it with `?primaryKey=`";
        return candidates.Count switch
        {
            1 => candidates[0],
            0 => throw new RefusedException(
                "index_primary_key_no_candidate_found",
                $"index `{index}` has no primary key yet, and no field of the first document ends in `id`: {advice}"
            ),
            _ => throw new RefusedException(
                "index_primary_key_multiple_candidates_found",
                $"index `{index}` has no primary key yet, and several fields of the first document end in `id` (`{string.Join("`, `", candidates.Take(5))}`): {advice}"
            ),
        };
    }
}
