using Miroir.Core;

namespace Miroir.Stores;

/// <summary>A page that could hold nothing, so that its stream would never end.</summary>
internal static class EmptyPage
{
    public static Refusal Refusal(int maxEntries, int maxBytes) =>
        new(
            RefusalCode.Failed,
            $"a page holds 1 entry or more, and 1 byte of bodies or more; asked for {maxEntries} and {maxBytes}"
        );
}
