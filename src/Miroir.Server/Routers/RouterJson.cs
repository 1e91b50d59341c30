using System.Text.Json;
using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;
using Miroir.Server.Wire;

namespace Miroir.Server.Routers;

/// <summary>What a router is asked, and answers, in JSON: what is asked too seldom for frames.</summary>
internal static class RouterJson
{
    public static byte[] ToJson(long incarnation) =>
        JsonShape.Object(json => json.WriteNumber("incarnation", incarnation));

    public static long IncarnationOf(ReadOnlyMemory<byte> utf8)
    {
        using var document = JsonDocument.Parse(utf8);
        return JsonShape.Int64(document.RootElement, "incarnation");
    }

    public static byte[] ToJson(RouteStamp stamp) =>
        JsonShape.Object(json =>
        {
            ShardIdJson.WriteFields(json, stamp.Shard);
            json.WriteNumber("epoch", stamp.Epoch);
        });

    public static RouteStamp StampOf(JsonElement json) =>
        new(ShardIdJson.ReadFields(json), JsonShape.Int64(json, "epoch"));

    public static byte[] ToJson(OpenWrites writes) =>
        JsonShape.Object(json =>
        {
            json.WriteNumber("count", writes.Count);
            json.WriteNumber("oldestMs", writes.OldestMs);
        });

    public static OpenWrites OpenWritesOf(ReadOnlyMemory<byte> utf8)
    {
        using var document = JsonDocument.Parse(utf8);
        return new(JsonShape.Int32(document.RootElement, "count"), JsonShape.Int64(document.RootElement, "oldestMs"));
    }

    public static byte[] ToJson(OpenWriteView[] writes) =>
        JsonSerializer.SerializeToUtf8Bytes(writes, ClusterJson.Default.OpenWriteViewArray);

    public static OpenWriteView[] WritesOf(ReadOnlyMemory<byte> utf8) =>
        JsonSerializer.Deserialize(utf8.Span, ClusterJson.Default.OpenWriteViewArray)
        ?? throw new JsonException("null is no list of writes");

    public static FailWritesRequest RequestOf(JsonElement json) =>
        json.Deserialize(ClusterJson.Default.FailWritesRequest) ?? throw new JsonException("null is no request");
}
