using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Server.Api;

/// <summary>Waits until this router's table shows what the coordinator has done.</summary>
internal static class TableWait
{
    private const int FirstPauseMs = 2;
    private const int LongestPauseMs = 50;

    /// <exception cref="OperationCanceledException">The token's limit came first.</exception>
    public static async Task<IndexInfo> ForIndexAsync(
        IDocuments documents,
        ApiOptions options,
        string uid,
        Func<IndexInfo, bool> shows,
        CancellationToken cancel
    )
    {
        IndexInfo? found = null;
        await UntilAsync(
            documents,
            options,
            table =>
            {
                var index = table.TryIndex(uid);
                if (index.IsSome && shows(index.Value))
                    found = index.Value;
                return found is not null;
            },
            cancel
        );
        return found!;
    }

    public static async Task UntilAsync(
        IDocuments documents,
        ApiOptions options,
        Func<RoutingTable, bool> shows,
        CancellationToken cancel
    )
    {
        for (var pauseMs = FirstPauseMs; !shows(documents.Table); pauseMs = Math.Min(pauseMs * 2, LongestPauseMs))
            await Task.Delay(TimeSpan.FromMilliseconds(pauseMs), options.Time, cancel);
    }
}
