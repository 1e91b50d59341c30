using System.Text.Json;
using Microsoft.FSharp.Core;
using Miroir.Core;

namespace Miroir.Server.Wire;

/// <summary>Fields that several messages have.</summary>
internal static class Fields
{
    public static void Shard(this FrameWriter writer, ShardId shard)
    {
        writer.Name(shard.Index);
        writer.Int32(shard.Generation);
        writer.Int32(shard.Shard);
    }

    public static ShardId Shard(this ref FrameReader reader) => new(reader.Name(), reader.Natural(), reader.Natural());

    public static void Stamp(this FrameWriter writer, RouteStamp stamp)
    {
        writer.Shard(stamp.Shard);
        writer.Int64(stamp.Epoch);
    }

    public static RouteStamp Stamp(this ref FrameReader reader) => new(reader.Shard(), reader.LongNatural());

    public static void Range(this FrameWriter writer, HashRange range)
    {
        writer.UInt64(range.Lo);
        writer.UInt64(range.Hi);
    }

    public static HashRange Range(this ref FrameReader reader)
    {
        var range = new HashRange(reader.UInt64(), reader.UInt64());
        return range.Last >= range.Lo ? range : throw FrameReader.Bad("a range of hashes that is empty");
    }

    public static void Version(this FrameWriter writer, DocumentVersion version)
    {
        writer.Int64(version.Term);
        writer.Int64(version.Clock);
    }

    public static DocumentVersion Version(this ref FrameReader reader) =>
        new(reader.LongNatural(), reader.LongNatural());

    public static void Key(this FrameWriter writer, Key key) => writer.Bytes(key.Span);

    public static Key Key(this ref FrameReader reader)
    {
        var bytes = reader.Bytes(Core.Key.MaxLength);
        return bytes.IsEmpty ? throw FrameReader.Bad("a key of no bytes") : Core.Key.OfBytes(bytes);
    }

    /// <summary>A key, or none: no bytes.</summary>
    public static void OptionalKey(this FrameWriter writer, Key? key) =>
        writer.Bytes(key is null ? ReadOnlySpan<byte>.Empty : key.Span);

    public static Key? OptionalKey(this ref FrameReader reader)
    {
        var bytes = reader.Bytes(Core.Key.MaxLength);
        return bytes.IsEmpty ? null : Core.Key.OfBytes(bytes);
    }

    public static void Digest(this FrameWriter writer, Digest digest)
    {
        writer.UInt64(digest.A);
        writer.UInt64(digest.B);
    }

    public static Digest Digest(this ref FrameReader reader) => new(reader.UInt64(), reader.UInt64());

    /// <summary>The least bytes that an entry takes: what bounds a count of them.</summary>
    public const int LeastEntryBytes = 4 + 1 + 16 + 1 + 16 + 16 + 1;

    public static void Entry(this FrameWriter writer, Entry entry)
    {
        writer.Key(entry.Key);
        writer.Version(entry.Version);
        writer.Flag(entry.IsTombstone);
        writer.Digest(entry.Digest);
        writer.Guid(entry.OperationId);
        writer.Byte((byte)entry.Origin);
    }

    public static Entry Entry(this ref FrameReader reader)
    {
        var key = reader.Key();
        var version = reader.Version();
        var isTombstone = reader.Flag();
        var digest = reader.Digest();
        var operationId = reader.Guid();
        var origin = reader.Byte();
        return origin <= (byte)Origin.AntiEntropy
            ? new Entry(key, version, isTombstone, digest, operationId, (Origin)origin)
            : throw FrameReader.Bad($"{origin} is no origin of a put");
    }

    public static void Document(this FrameWriter writer, Document document)
    {
        writer.Entry(document.Entry);
        writer.Bytes(document.Body.Span);
    }

    public static Document Document(this ref FrameReader reader) => new(reader.Entry(), reader.Body());

    // Copied, since a body that outlives its frame must not keep megabytes of others alive, or read a reused buffer.
    public static ReadOnlyMemory<byte> Body(this ref FrameReader reader) =>
        reader.Bytes(FrameLayout.MaxFrameBytes).ToArray();

    public static void Refusal(this FrameWriter writer, Refusal refusal)
    {
        writer.Byte((byte)refusal.Code);
        writer.Message(refusal.Message);
    }

    /// <summary>A reason that a newer build knows and this one does not reads as Failed; its message says it.</summary>
    public static Refusal Refusal(this ref FrameReader reader)
    {
        var code = reader.Byte();
        return new(
            code is >= 1 and <= (byte)RefusalCode.Failed ? (RefusalCode)code : RefusalCode.Failed,
            reader.Message()
        );
    }

    public static void OptionalRoute(this FrameWriter writer, FSharpOption<Route>? route) =>
        writer.Bytes(FSharpOption<Route>.get_IsSome(route) ? Codec.routeToBytes(route!.Value) : []);

    public static FSharpOption<Route>? OptionalRoute(this ref FrameReader reader)
    {
        var json = reader.Bytes(FrameLayout.MaxRouteBytes);
        if (json.IsEmpty)
            return FSharpOption<Route>.None;
        try
        {
            return FSharpOption<Route>.Some(Codec.routeOfBytes(json.ToArray()));
        }
        catch (Exception e)
            when (e is JsonException or FormatException or OverflowException or InvalidOperationException)
        {
            throw FrameReader.Bad($"not a route: {e.Message}");
        }
    }
}
