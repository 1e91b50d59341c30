using System.Text.Json;
using System.Text.Json.Serialization;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Server.Wire;

/// <summary>
/// What processes tell each other and operators in JSON: the records of the ports, their fields in camelCase.
/// Names are frozen; fields are only added.
/// </summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectRequiredConstructorParameters = true,
    Converters = [
        typeof(RouteJson),
        typeof(ShardIdJson),
        typeof(HashRangeJson),
        typeof(LayoutInfoJson),
        typeof(NodeRoleJson),
    ]
)]
[JsonSerializable(typeof(ClusterView))]
[JsonSerializable(typeof(NodeView[]))]
[JsonSerializable(typeof(NodeInfo))]
[JsonSerializable(typeof(NodeStatus))]
[JsonSerializable(typeof(MigrationView))]
[JsonSerializable(typeof(MigrationView[]))]
[JsonSerializable(typeof(Route[]))]
[JsonSerializable(typeof(OpenWritesView))]
[JsonSerializable(typeof(OpenWriteView[]))]
[JsonSerializable(typeof(FailWritesRequest))]
[JsonSerializable(typeof(AntiEntropyView))]
[JsonSerializable(typeof(PassView))]
[JsonSerializable(typeof(PassView[]))]
[JsonSerializable(typeof(DivergenceView))]
internal sealed partial class ClusterJson : JsonSerializerContext;

internal sealed class LayoutInfoJson : JsonConverter<LayoutInfo>
{
    public override LayoutInfo Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
    {
        using var document = JsonDocument.ParseValue(ref reader);
        var json = document.RootElement;
        return new LayoutInfo(JsonShape.Int32(json, "generation"), JsonShape.Int32(json, "shardCount"));
    }

    public override void Write(Utf8JsonWriter json, LayoutInfo value, JsonSerializerOptions options)
    {
        json.WriteStartObject();
        json.WriteNumber("generation", value.Generation);
        json.WriteNumber("shardCount", value.ShardCount);
        json.WriteEndObject();
    }
}

internal sealed class NodeRoleJson : JsonConverter<NodeRole>
{
    public override NodeRole Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
        reader.GetString() switch
        {
            "Active" => NodeRole.Active,
            "Draining" => NodeRole.Draining,
            var other => throw new JsonException($"`{other}` is not a role of a node"),
        };

    public override void Write(Utf8JsonWriter json, NodeRole value, JsonSerializerOptions options) =>
        json.WriteStringValue(value.ToString());
}
