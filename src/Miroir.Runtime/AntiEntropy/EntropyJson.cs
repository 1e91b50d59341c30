using System.Text.Json.Serialization;
using Miroir.Ports;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>When a shard was last certified.</summary>
/// <param name="AtUnixMs">When the pass that did it had compared the shard.</param>
/// <param name="Entries">Tombstones included.</param>
/// <param name="Digest">"" where it had to be repaired first.</param>
internal sealed record ShardCertified(long AtUnixMs, long Entries, string Digest);

/// <summary>What anti-entropy keeps in the metadata. Names are frozen; fields are only added.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(PassView))]
[JsonSerializable(typeof(ShardCertified))]
internal sealed partial class EntropyJson : JsonSerializerContext;
