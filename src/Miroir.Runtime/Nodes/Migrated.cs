using Miroir.Core;

namespace Miroir.Runtime.Nodes;

/// <summary>Documents on their way from one store to another.</summary>
internal static class Migrated
{
    /// <summary>The document as a target puts it; null where the body is not the one that its digest was taken of.</summary>
    public static Document? From(Entry entry, ReadOnlyMemory<byte> body) =>
        Digest.OfBody(body.Span).Equals(entry.Digest)
            ? new Document(
                new Entry(
                    entry.Key,
                    entry.Version,
                    entry.IsTombstone,
                    entry.Digest,
                    entry.OperationId,
                    Origin.Migration
                ),
                body
            )
            : null;

    public static string Corrupt(Entry entry) =>
        $"sent a body of \"{entry.Key}\" at {entry.Version} that does not have the digest {entry.Digest}: scrub or repair that copy";
}
