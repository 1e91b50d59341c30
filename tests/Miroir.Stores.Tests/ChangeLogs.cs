namespace Miroir.Stores.Tests;

/// <summary>What earlier builds did not know of change logs.</summary>
internal static class ChangeLogs
{
    /// <summary>Takes a shard's file back to format 2, but for the number.</summary>
    public const string Gone =
        "DROP TABLE changes; DROP TABLE feed_floors; ALTER TABLE counters DROP COLUMN changes; ALTER TABLE counters DROP COLUMN feed_term; "
        + "ALTER TABLE counters DROP COLUMN feed_clock";
}
