using System.Text.Json;
using System.Text.Unicode;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>The documents of a JSON body, an array of objects or one object, each as a slice of it.</summary>
internal static class JsonDocuments
{
    /// <summary>All of them; the whole body has been read as JSON when this returns.</summary>
    /// <exception cref="RefusedException"><c>malformed_payload</c>, or <c>payload_too_large</c> for a single document.</exception>
    public static List<ReadOnlyMemory<byte>> Of(ReadOnlyMemory<byte> body, ApiOptions options)
    {
        if (!Utf8.IsValid(body.Span))
            throw new RefusedException("malformed_payload", "the body is not valid UTF-8");
        var documents = new List<ReadOnlyMemory<byte>>();
        try
        {
            var reader = new Utf8JsonReader(body.Span, new JsonReaderOptions { MaxDepth = options.MaxDepth + 1 });
            reader.Read();
            if (reader.TokenType == JsonTokenType.StartArray)
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                    Add(ref reader, body, documents, options);
            else
                Add(ref reader, body, documents, options);
            // Anything but white space behind it throws.
            reader.Read();
        }
        catch (JsonException e)
        {
            throw new RefusedException("malformed_payload", $"the body is not JSON: {e.Message}");
        }
        return documents;
    }

    private static void Add(
        ref Utf8JsonReader reader,
        ReadOnlyMemory<byte> body,
        List<ReadOnlyMemory<byte>> documents,
        ApiOptions options
    )
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new RefusedException(
                "malformed_payload",
                $"the body must be an array of JSON objects, or one; document {documents.Count + 1} is {JsonText.Kind(reader.TokenType)}"
            );
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        var length = (int)reader.BytesConsumed - start;
        if (length > options.MaxDocumentBytes)
            throw new RefusedException(
                "payload_too_large",
                $"document {documents.Count + 1} has {length} bytes; a document may have {options.MaxDocumentBytes} at most"
            );
        documents.Add(body.Slice(start, length));
    }
}
