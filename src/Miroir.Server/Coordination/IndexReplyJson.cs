using System.Text.Json;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Wire;

namespace Miroir.Server.Coordination;

/// <summary>An administrative answer about an index between processes: <c>{"index": ...}</c> or <c>{code, message}</c>.</summary>
internal static class IndexReplyJson
{
    public static void Write(Utf8JsonWriter json, AdminReply<IndexInfo> reply)
    {
        if (reply.IsOk)
        {
            json.WritePropertyName("index");
            Codec.writeIndex(json, reply.Value);
        }
        else
        {
            json.WriteString("code", reply.Code);
            json.WriteString("message", reply.Message);
        }
    }

    public static AdminReply<IndexInfo> Read(ReadOnlyMemory<byte> utf8)
    {
        using var document = JsonDocument.Parse(utf8);
        var json = document.RootElement;
        return json.ValueKind == JsonValueKind.Object && json.TryGetProperty("index", out var index)
            ? AdminReply<IndexInfo>.Ok(Codec.readIndex(index))
            : AdminReply<IndexInfo>.Error(JsonShape.Text(json, "code"), JsonShape.Text(json, "message"));
    }
}
