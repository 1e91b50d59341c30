using System.Text.Json;

namespace Miroir.Server.Wire;

/// <summary>Fields of JSON that another process wrote: what is missing or of another type is a JsonException.</summary>
internal static class JsonShape
{
    /// <summary>An object with the fields that are written into it, as UTF-8.</summary>
    public static byte[] Object(Action<Utf8JsonWriter> fields)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            fields(json);
            json.WriteEndObject();
        }
        return buffer.ToArray();
    }

    public static JsonElement Field(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value)
            ? value
            : throw new JsonException($"`{name}` is missing");

    public static string Text(JsonElement json, string name) =>
        Field(json, name) is { ValueKind: JsonValueKind.String } value
            ? value.GetString()!
            : throw new JsonException($"`{name}` must be text");

    public static long Int64(JsonElement json, string name) =>
        Field(json, name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt64(out var number)
            ? number
            : throw new JsonException($"`{name}` must be a whole number");

    public static int Int32(JsonElement json, string name) =>
        Field(json, name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt32(out var number)
            ? number
            : throw new JsonException($"`{name}` must be a whole number");

    public static JsonElement.ArrayEnumerator Array(JsonElement json, string name) =>
        Field(json, name) is { ValueKind: JsonValueKind.Array } value
            ? value.EnumerateArray()
            : throw new JsonException($"`{name}` must be a list");
}
