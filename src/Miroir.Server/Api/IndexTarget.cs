using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>
/// The index that documents are written to: which primary key it has or gets, and its making where it is not there yet.
/// Decided before anything is made, so that a request that is refused leaves nothing behind.
/// </summary>
internal sealed class IndexTarget
{
    private readonly IDocuments documents;
    private readonly ICoordinator coordinator;
    private readonly ApiOptions options;
    private readonly string uid;
    private readonly bool exists;
    private readonly bool hasPrimaryKey;

    /// <param name="documents">Has the table.</param>
    /// <param name="coordinator">Makes indexes.</param>
    /// <param name="options">Bounds.</param>
    /// <param name="uid">The index.</param>
    /// <param name="asked">The primary key that the request names; null where it names none.</param>
    public IndexTarget(IDocuments documents, ICoordinator coordinator, ApiOptions options, string uid, string? asked)
    {
        this.documents = documents;
        this.coordinator = coordinator;
        this.options = options;
        this.uid = uid;
        PrimaryKey = asked is null ? null : IndexNames.CheckPrimaryKey(asked);
        var known = documents.Table.TryIndex(uid);
        exists = known.IsSome;
        if (!exists || known.Value.PrimaryKey == "")
            return;
        hasPrimaryKey = true;
        if (asked is not null && asked != known.Value.PrimaryKey)
            throw HasAnother(known.Value.PrimaryKey);
        PrimaryKey = known.Value.PrimaryKey;
    }

    /// <summary>Null until it is known or decided.</summary>
    public string? PrimaryKey { get; private set; }

    public void DecideFrom(ReadOnlySpan<byte> firstDocument) =>
        PrimaryKey ??= IndexNames.CheckPrimaryKey(PrimaryKeys.Infer(uid, firstDocument, options.MaxDepth));

    /// <summary>When it returns, this router's table has the index, with the primary key.</summary>
    public async Task EnsureAsync(CancellationToken cancel)
    {
        if (hasPrimaryKey || (exists && PrimaryKey is null))
            return;
        using var limit = new TimeLimit(options.CoordinatorTimeoutMs, options.Time, cancel);
        try
        {
            if (!exists)
            {
                var made = await coordinator.CreateIndex(
                    new CreateIndexRequest(uid, PrimaryKey ?? "", 0, 0),
                    limit.Token
                );
                if (!made.IsOk && made.Code != "index_already_exists")
                    throw new RefusedException(made.Code, made.Message);
            }
            var index = await TableWait.ForIndexAsync(documents, options, uid, _ => true, limit.Token);
            if (PrimaryKey is null || index.PrimaryKey == PrimaryKey)
                return;
            if (index.PrimaryKey == "")
            {
                var set = await coordinator.SetPrimaryKey(uid, PrimaryKey, limit.Token);
                if (!set.IsOk && set.Code != "index_primary_key_already_exists")
                    throw new RefusedException(set.Code, set.Message);
                index = await TableWait.ForIndexAsync(documents, options, uid, i => i.PrimaryKey != "", limit.Token);
            }
            // Somebody else was first.
            if (index.PrimaryKey != PrimaryKey)
                throw HasAnother(index.PrimaryKey);
        }
        catch (OperationCanceledException) when (limit.IsOver)
        {
            throw new RefusedException(
                "unavailable",
                $"index `{uid}` was not made and known here within {options.CoordinatorTimeoutMs} ms; no document was written: try again"
            );
        }
    }

    private RefusedException HasAnother(string primaryKey) =>
        new(
            "index_primary_key_already_exists",
            $"index `{uid}` has the primary key `{primaryKey}`, and it can't be changed to `{PrimaryKey}`"
        );
}
