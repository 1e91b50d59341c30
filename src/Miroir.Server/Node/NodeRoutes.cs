namespace Miroir.Server.Node;

/// <summary>Where a node answers. The version in the path is that of the routes, not of the frames.</summary>
internal static class NodeRoutes
{
    public const string Put = "/node/v1/put";
    public const string Read = "/node/v1/read";
    public const string Barriers = "/node/v1/barriers";
    public const string Make = "/node/v1/make";
    public const string Drop = "/node/v1/drop";
    public const string Scan = "/node/v1/scan";
    public const string Reconcile = "/node/v1/reconcile";
    public const string Digests = "/node/v1/digests";
    public const string ScanRanges = "/node/v1/scan-ranges";
    public const string Heal = "/node/v1/heal";
    public const string Scrub = "/node/v1/scrub";
    public const string Purge = "/node/v1/purge";
    public const string Changes = "/node/v1/changes";
    public const string LogChanges = "/node/v1/log-changes";
    public const string Status = "/node/v1/status";

    /// <summary>Commands in one request at most.</summary>
    public const int MaxCommands = 65536;
}
