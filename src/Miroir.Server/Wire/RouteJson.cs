using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Miroir.Core;

namespace Miroir.Server.Wire;

/// <summary>
/// A route as the admin API shows it. Field names are frozen; fields are only added. <c>v</c> is 1.
/// </summary>
internal sealed class RouteJson : JsonConverter<Route>
{
    private const int Version = 1;

    public override Route Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
        throw new NotSupportedException("routes are only shown in this form; processes send them in the core's");

    public override void Write(Utf8JsonWriter json, Route value, JsonSerializerOptions options) =>
        WriteRoute(json, value);

    private static void WriteRoute(Utf8JsonWriter json, Route route)
    {
        json.WriteStartObject();
        json.WriteNumber("v", Version);
        ShardIdJson.WriteFields(json, route.Shard);
        WriteRange(json, route.Range);
        json.WriteNumber("epoch", route.Epoch);
        json.WriteString("stage", route.Stage.ToString());
        WriteNames(json, "owners", route.Owners);
        json.WriteStartArray("targets");
        foreach (var target in route.Targets)
        {
            json.WriteStartObject();
            ShardIdJson.WriteFields(json, target.Shard);
            WriteRange(json, target.Range);
            WriteNames(json, "nodes", target.Nodes);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartObject("writer");
        json.WriteString("router", route.Writer.Router);
        json.WriteNumber("incarnation", route.Writer.Incarnation);
        json.WriteNumber("term", route.Writer.Term);
        json.WriteEndObject();
        json.WriteStartArray("fences");
        foreach (var fence in route.Fences)
        {
            json.WriteStartObject();
            ShardIdJson.WriteFields(json, fence.Shard);
            json.WriteNumber("epoch", fence.Epoch);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteNumber("migration", route.Migration);
        json.WriteEndObject();
    }

    // Hashes are unsigned and above 2^53: as hexadecimal text they survive every JSON reader.
    private static void WriteRange(Utf8JsonWriter json, HashRange range)
    {
        json.WritePropertyName("range");
        HashRangeJson.WriteRange(json, range);
    }

    private static void WriteNames(Utf8JsonWriter json, string field, string[] names)
    {
        json.WriteStartArray(field);
        foreach (var name in names)
            json.WriteStringValue(name);
        json.WriteEndArray();
    }
}

/// <summary>A shard's three parts: <c>index</c>, <c>generation</c>, <c>shard</c>.</summary>
internal sealed class ShardIdJson : JsonConverter<ShardId>
{
    public static void WriteFields(Utf8JsonWriter json, ShardId shard)
    {
        json.WriteString("index", shard.Index);
        json.WriteNumber("generation", shard.Generation);
        json.WriteNumber("shard", shard.Shard);
    }

    public static ShardId ReadFields(JsonElement json) =>
        new(JsonShape.Text(json, "index"), JsonShape.Int32(json, "generation"), JsonShape.Int32(json, "shard"));

    public override ShardId Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
    {
        using var document = JsonDocument.ParseValue(ref reader);
        return ReadFields(document.RootElement);
    }

    public override void Write(Utf8JsonWriter json, ShardId value, JsonSerializerOptions options)
    {
        json.WriteStartObject();
        WriteFields(json, value);
        json.WriteEndObject();
    }
}

/// <summary>A range of hashes: <c>{"lo": hex, "last": hex}</c>, both inclusive, 16 lowercase digits.</summary>
internal sealed class HashRangeJson : JsonConverter<HashRange>
{
    public static void WriteRange(Utf8JsonWriter json, HashRange range)
    {
        json.WriteStartObject();
        json.WriteString("lo", range.Lo.ToString("x16", CultureInfo.InvariantCulture));
        json.WriteString("last", range.Last.ToString("x16", CultureInfo.InvariantCulture));
        json.WriteEndObject();
    }

    public static HashRange ReadRange(JsonElement json)
    {
        var lo = Hex(json, "lo");
        var last = Hex(json, "last");
        return last < lo ? throw new JsonException("a range ends before it begins") : new HashRange(lo, last + 1);
    }

    public override HashRange Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
    {
        using var document = JsonDocument.ParseValue(ref reader);
        return ReadRange(document.RootElement);
    }

    public override void Write(Utf8JsonWriter json, HashRange value, JsonSerializerOptions options) =>
        WriteRange(json, value);

    private static ulong Hex(JsonElement json, string field) =>
        ulong.TryParse(
            JsonShape.Text(json, field),
            NumberStyles.AllowHexSpecifier,
            CultureInfo.InvariantCulture,
            out var value
        )
            ? value
            : throw new JsonException($"`{field}` must be a hash in hexadecimal digits");
}
