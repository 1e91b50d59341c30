using Miroir.Ports;

namespace Miroir.Server.Api;

/// <summary>What every route works with.</summary>
internal sealed record ApiContext(
    IDocuments Documents,
    ICoordinator Coordinator,
    ITaskLog Tasks,
    FeedAccess Feed,
    ApiOptions Options
)
{
    public long NowUnixMs => Options.Time.GetUtcNow().ToUnixTimeMilliseconds();
}
