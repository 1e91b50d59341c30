using System.Text;
using Miroir.Core;

namespace Miroir.Benchmarks;

/// <summary>Documents of one size, each its own, made from a number: keys in the order of their numbers, hashes in none.</summary>
internal static class MadeDocuments
{
    public const int BodyBytes = 1024;

    private static readonly byte[] Noise = MakeNoise();

    public static string Id(int number) => $"document-{number:D9}";

    /// <summary>A JSON object of exactly <see cref="BodyBytes"/> bytes.</summary>
    /// <param name="number">Whose it is.</param>
    /// <param name="revision">Another body for each.</param>
    public static byte[] Body(int number, int revision = 0) => Body(Id(number), number, revision, BodyBytes);

    /// <summary>The same with another id, of exactly <paramref name="bytes"/> bytes.</summary>
    public static byte[] Body(string id, int number, int revision, int bytes)
    {
        var body = new byte[bytes];
        var head = Encoding.UTF8.GetBytes($"{{\"id\":\"{id}\",\"revision\":{revision},\"text\":\"", body);
        var from = (int)((number * 2654435761L + revision * 40503L) % (Noise.Length - bytes));
        Noise.AsSpan(from, bytes - head - 2).CopyTo(body.AsSpan(head));
        "\"}"u8.CopyTo(body.AsSpan(bytes - 2));
        return body;
    }

    public static Document Live(int number, DocumentVersion version, int revision = 0) =>
        Document.Live(
            Key.Of(Id(number)),
            version,
            Body(number, revision),
            new Guid(number, (short)revision, (short)version.Term, new byte[8]),
            Origin.Client
        );

    private static byte[] MakeNoise()
    {
        var random = new Random(20260101);
        var noise = new byte[1 << 20];
        for (var i = 0; i < noise.Length; i++)
            noise[i] = (byte)"abcdefghijklmnopqrstuvwxyz     "[random.Next(31)];
        return noise;
    }
}
