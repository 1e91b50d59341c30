using Miroir.Core;

namespace Miroir.Stores;

/// <summary>A stored body that is not the one its digest was taken of: the disk, or something else, changed it.</summary>
internal static class RottenBody
{
    public static bool Is(Entry entry, ReadOnlySpan<byte> body) => !Digest.OfBody(body).Equals(entry.Digest);

    public static string Message(Entry entry) =>
        $"the stored body of \"{entry.Key}\" at {entry.Version} does not have its digest any more: repair the key, "
        + "or run anti-entropy, which heals it from another replica";
}
