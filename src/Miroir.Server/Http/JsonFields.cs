using System.Text.Json;

namespace Miroir.Server.Http;

/// <summary>
/// Reads a small JSON object field by field, and says in words what is wrong: a field that is missing, of another
/// type, out of range, or not known. <see cref="End"/> comes last.
/// </summary>
public sealed class JsonFields
{
    private readonly JsonElement body;
    private readonly List<string> known = [];

    private JsonFields(JsonElement body) => this.body = body;

    /// <summary>At most this many bytes of a request's body are read.</summary>
    public const int MaxBodyBytes = 1 << 20;

    /// <exception cref="BadRequestException">The body is too long, not JSON, or not an object.</exception>
    public static async Task<JsonFields> ReadAsync(
        Stream stream,
        CancellationToken cancel,
        int maxBytes = MaxBodyBytes
    ) => Parse(await ReadBodyAsync(stream, maxBytes, cancel));

    /// <summary>The whole body of a request.</summary>
    /// <exception cref="BadRequestException">It is longer than <paramref name="maxBytes"/>.</exception>
    public static async Task<byte[]> ReadBodyAsync(Stream stream, int maxBytes, CancellationToken cancel)
    {
        using var buffer = new MemoryStream();
        var chunk = new byte[8192];
        for (int read; (read = await stream.ReadAsync(chunk, cancel)) > 0; )
        {
            buffer.Write(chunk, 0, read);
            if (buffer.Length > maxBytes)
                throw new BadRequestException(
                    "payload_too_large",
                    $"the body of this request may have {maxBytes} bytes at most"
                );
        }
        return buffer.ToArray();
    }

    /// <summary>From UTF-8 bytes. No bytes at all read as an empty object.</summary>
    /// <exception cref="BadRequestException">Not JSON, or not an object.</exception>
    public static JsonFields Parse(ReadOnlyMemory<byte> utf8)
    {
        if (utf8.IsEmpty)
            utf8 = "{}"u8.ToArray();
        JsonElement root;
        try
        {
            using var document = JsonDocument.Parse(utf8);
            root = document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw new BadRequestException("malformed_payload", $"the body is not JSON: {e.Message}");
        }
        if (root.ValueKind != JsonValueKind.Object)
            throw new BadRequestException("malformed_payload", $"the body must be a JSON object, not {Kind(root)}");
        return new JsonFields(root);
    }

    public string Text(string name) =>
        Find(name) is { } value
            ? AsText(name, value)
            : throw new BadRequestException($"missing_{Snake(name)}", $"`{name}` (text) is missing from the body");

    public string Text(string name, string otherwise) => Find(name) is { } value ? AsText(name, value) : otherwise;

    /// <summary>A whole number from <paramref name="least"/> to <paramref name="most"/>.</summary>
    public long Integer(string name, long otherwise, long least, long most) =>
        Find(name) is not { } value ? otherwise
        : value.ValueKind == JsonValueKind.Number
        && value.TryGetInt64(out var number)
        && number >= least
        && number <= most
            ? number
        : throw Invalid(name, $"a whole number from {least} to {most}", value);

    /// <summary>A number greater than zero.</summary>
    public double PositiveNumber(string name, double otherwise) =>
        Find(name) is not { } value ? otherwise
        : value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number > 0 ? number
        : throw Invalid(name, "a number greater than 0", value);

    public bool Flag(string name, bool otherwise) =>
        Find(name) is not { } value ? otherwise
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw Invalid(name, "true or false", value);

    /// <summary>The items of a list; null where the field is not there.</summary>
    public JsonElement[]? Items(string name) =>
        Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()]
        : throw Invalid(name, "a list", value);

    /// <exception cref="BadRequestException">The object has a field that nobody asked for.</exception>
    public void End()
    {
        foreach (var field in body.EnumerateObject())
            if (!known.Contains(field.Name, StringComparer.Ordinal))
                throw new BadRequestException(
                    $"invalid_{Snake(field.Name)}",
                    $"unknown field `{field.Name}`; known: {string.Join(", ", known.Select(k => $"`{k}`"))}"
                );
    }

    private JsonElement? Find(string name)
    {
        known.Add(name);
        return body.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    private static string AsText(string name, JsonElement value) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Invalid(name, "text", value);

    private static BadRequestException Invalid(string name, string expected, JsonElement value)
    {
        var raw = value.GetRawText();
        var shown = raw.Length > 60 ? raw[..60] + "..." : raw;
        return new($"invalid_{Snake(name)}", $"`{name}` must be {expected}, not {shown}");
    }

    private static string Kind(JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.Array => "an array",
            JsonValueKind.String => "text",
            JsonValueKind.Number => "a number",
            JsonValueKind.Null => "null",
            _ => "true or false",
        };

    private static string Snake(string name) =>
        string.Concat(
            name.Take(40)
                .Select(c =>
                    char.IsAsciiLetterUpper(c) ? "_" + char.ToLowerInvariant(c)
                    : char.IsAsciiLetterOrDigit(c) ? c.ToString()
                    : "_"
                )
        );
}
