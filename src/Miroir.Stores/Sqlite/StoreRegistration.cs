using Miroir.Core;

namespace Miroir.Stores.Sqlite;

/// <summary>One store as node.db registers it, before its file is there and until it is gone.</summary>
internal sealed record StoreRegistration(
    ShardId Store,
    HashRange Range,
    Guid Incarnation,
    long Migration,
    int Attempt,
    long MadeEpoch
)
{
    private const int MaxIndexLength = 200;

    /// <summary>Where the store's file is, below the data directory.</summary>
    public string PathIn(string directory) =>
        Path.Combine(
            directory,
            "shards",
            Store.Index,
            FormattableString.Invariant($"{Store.Generation}-{Store.Shard}.db")
        );

    /// <summary>What is wrong with a store's name, or null: it becomes the name of a file.</summary>
    public static string? WhyBadName(ShardId store)
    {
        var bad =
            store.Index.Length is < 1 or > MaxIndexLength
            || !store.Index.All(static c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-');
        if (bad)
            return $"an index is named by 1 to {MaxIndexLength} of A-Z, a-z, 0-9, _ and -; this one is '{store.Index}'";
        return store.Generation < 0 || store.Shard < 0
            ? $"a generation and a shard are 0 or more; these are {store.Generation} and {store.Shard}"
            : null;
    }
}
