namespace Miroir.Server.Coordination;

/// <summary>Where a coordinator answers routers.</summary>
internal static class CoordinatorRoutes
{
    public const string Register = "/_miroir/internal/register";
    public const string Heartbeat = "/_miroir/internal/heartbeat";
    public const string Watch = "/_miroir/internal/watch";
    public const string CreateIndex = "/_miroir/internal/indexes/create";
    public const string SetPrimaryKey = "/_miroir/internal/indexes/primary-key";
    public const string DeleteIndex = "/_miroir/internal/indexes/delete";

    /// <summary>Longest rest of one long poll: shorter than any asker's patience.</summary>
    public static readonly TimeSpan WatchLimit = TimeSpan.FromSeconds(8);
}
