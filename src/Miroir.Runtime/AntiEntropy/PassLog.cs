using System.Globalization;
using System.Text.Json;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Coordination;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>Finished passes, and when each shard was last certified: kept in the metadata, over restarts of the leader.</summary>
internal sealed class PassLog(Catalog catalog, EntropyOptions options, Action<string> log)
{
    /// <summary>Documents that a stored pass names; more were shown while it was fresh.</summary>
    private const int MaxStoredDocuments = 100;

    /// <summary>Newest last.</summary>
    public PassView[] All() =>
        [.. catalog.RecordsOf(CatalogKeys.Passes).Select(record => Parse(record.Value)).OfType<PassView>()];

    /// <summary>The number of the next pass.</summary>
    public long NextId()
    {
        var last = catalog.RecordsOf(CatalogKeys.Passes).LastOrDefault().Key;
        return last is null ? 1 : long.Parse(last[CatalogKeys.Passes.Length..], CultureInfo.InvariantCulture) + 1;
    }

    /// <summary>0: never.</summary>
    public long CertifiedAtUnixMs(ShardId shard) =>
        catalog.Record(CatalogKeys.Certified(shard)) is { } bytes
        && JsonSerializer.Deserialize(bytes, EntropyJson.Default.ShardCertified) is { } certified
            ? certified.AtUnixMs
            : 0;

    public Task AppendAsync(PassView pass, CancellationToken cancel)
    {
        var stored = new PassView(
            pass.Id,
            pass.Index,
            pass.Kind,
            pass.Status,
            pass.Reason,
            pass.StartedAtUnixMs,
            pass.FinishedAtUnixMs,
            pass.ShardsTotal,
            pass.RemainingMs,
            pass.Shards,
            [.. pass.Documents.Take(MaxStoredDocuments)],
            pass.Divergences,
            pass.Repaired,
            pass.BytesRead
        );
        var known = catalog.RecordsOf(CatalogKeys.Passes);
        List<CatalogWrite> writes =
        [
            CatalogWrite.Record(
                CatalogKeys.Pass(pass.Id),
                JsonSerializer.SerializeToUtf8Bytes(stored, EntropyJson.Default.PassView)
            ),
            .. known
                .Take(Math.Max(0, known.Count + 1 - options.MaxHistory))
                .Select(old => CatalogWrite.Record(old.Key, null)),
        ];
        return CommitAsync(writes, cancel);
    }

    public Task CertifyAsync(ShardReport report, long atUnixMs, CancellationToken cancel)
    {
        var certified = new ShardCertified(atUnixMs, report.Entries, report.Digest);
        var value = JsonSerializer.SerializeToUtf8Bytes(certified, EntropyJson.Default.ShardCertified);
        return CommitAsync([CatalogWrite.Record(CatalogKeys.Certified(report.Shard), value)], cancel);
    }

    /// <summary>Forgets when shards were certified that have no route any more.</summary>
    public Task TidyAsync(RoutingTable table, CancellationToken cancel)
    {
        var known = table.Routes.Select(route => CatalogKeys.Certified(route.Shard)).ToHashSet(StringComparer.Ordinal);
        CatalogWrite[] gone =
        [
            .. catalog
                .RecordsOf(CatalogKeys.CertifiedShards)
                .Where(record => !known.Contains(record.Key))
                .Select(record => CatalogWrite.Record(record.Key, null)),
        ];
        return gone.Length == 0 ? Task.CompletedTask : CommitAsync(gone, cancel);
    }

    private async Task CommitAsync(IReadOnlyList<CatalogWrite> writes, CancellationToken cancel)
    {
        if (await catalog.CommitAsync(writes, cancel) != CommitOutcome.Committed)
            log("what anti-entropy found could not be kept in the metadata: it is shown until this coordinator ends");
    }

    private static PassView? Parse(byte[] bytes) => JsonSerializer.Deserialize(bytes, EntropyJson.Default.PassView);
}
