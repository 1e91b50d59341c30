using System.Globalization;
using Miroir.Core;

namespace Miroir.Runtime.Coordination;

/// <summary>Names in the metadata store. Persisted: append only.</summary>
public static class CatalogKeys
{
    public const string Leader = "leader";
    public const string Indexes = "indexes/";
    public const string Routes = "routes/";
    public const string Nodes = "nodes/";
    public const string Routers = "routers/";
    public const string Journals = "journals/";

    /// <summary>Stores that are still to be made for a new index.</summary>
    public const string Makings = "makings/";

    /// <summary>Stores that are still to be dropped of a deleted index.</summary>
    public const string Droppings = "droppings/";

    /// <summary>The highest generation that an index of this name ever used, outliving the index.</summary>
    public const string Generations = "generations/";

    /// <summary>Migrations, by id.</summary>
    public const string Migrations = "migrations/";

    /// <summary>Finished passes of anti-entropy, by number.</summary>
    public const string Passes = "entropy/passes/";

    /// <summary>When each shard was last certified by anti-entropy.</summary>
    public const string CertifiedShards = "entropy/shards/";

    public static string Pass(long id) => string.Create(CultureInfo.InvariantCulture, $"{Passes}{id:D12}");

    public static string Certified(ShardId shard) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{CertifiedShards}{shard.Index}/{shard.Generation:D8}/{shard.Shard:D6}"
        );

    public static string Index(string uid) => Indexes + uid;

    public static string Route(ShardId shard) =>
        string.Create(CultureInfo.InvariantCulture, $"{Routes}{shard.Index}/{shard.Generation:D8}/{shard.Shard:D6}");

    public static string Node(string name) => Nodes + name;

    public static string Router(string name) => Routers + name;

    public static string Journal(long migration) =>
        string.Create(CultureInfo.InvariantCulture, $"{Journals}{migration:D12}/");

    public static string JournalEntry(long migration, long position) =>
        string.Create(CultureInfo.InvariantCulture, $"{Journal(migration)}{position:D12}");

    public static string Migration(long id) => string.Create(CultureInfo.InvariantCulture, $"{Migrations}{id:D12}");
}
