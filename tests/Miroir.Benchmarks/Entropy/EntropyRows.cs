using Miroir.Core;

namespace Miroir.Benchmarks;

/// <summary>Rows of the shape that replicas are compared in: a 16-byte key, a 300-byte body.</summary>
internal static class EntropyRows
{
    public const int KeyBytes = 16;
    public const int BodyBytes = 300;

    public static string Id(int number) => $"row-{number:D12}";

    public static Document Live(int number, DocumentVersion version, int revision = 0) =>
        Document.Live(
            Key.Of(Id(number)),
            version,
            MadeDocuments.Body(Id(number), number, revision, BodyBytes),
            Operation(number, revision),
            Origin.Client
        );

    public static Document Deleted(int number, DocumentVersion version) =>
        Document.Tombstone(Key.Of(Id(number)), version, Operation(number, -1), Origin.Client);

    private static Guid Operation(int number, int revision) => new(number, (short)revision, 0, new byte[8]);
}
