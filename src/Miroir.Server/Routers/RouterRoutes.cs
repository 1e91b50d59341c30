namespace Miroir.Server.Routers;

/// <summary>Where a router answers other routers.</summary>
internal static class RouterRoutes
{
    public const string Write = "/_miroir/router/v1/write";
    public const string Read = "/_miroir/router/v1/read";

    public const string Inspect = "/_miroir/router/v1/inspect";
    public const string Repair = "/_miroir/router/v1/repair";
    public const string FeedBounds = "/_miroir/router/v1/feed-bounds";
    public const string Incarnation = "/_miroir/router/v1/incarnation";
    public const string Drain = "/_miroir/router/v1/drain";
    public const string OpenWrites = "/_miroir/router/v1/writes";
    public const string FailWrites = "/_miroir/router/v1/writes/fail";

    /// <summary>Operations in one request at most.</summary>
    public const int MaxCommands = 65536;
}
