using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Nodes;

/// <summary>What is scanned where: how to open it behind a key, and which hashes it may answer.</summary>
internal sealed record SourceScan(
    string Node,
    ShardId Store,
    bool WithBodies,
    Key? After,
    Func<Key?, CancellationToken, IAsyncEnumerable<ScanReply>> Open,
    Func<ulong, bool> IsAsked
);

/// <summary>
/// The pages of one source's scan, one read ahead while the last is being worked on. A stream that breaks goes on
/// behind its last page, a bounded number of times in a row; a source that answers nonsense ends the reconcile.
/// </summary>
internal sealed class SourceStream(SourceScan scan, Patience patience, CancellationToken cancel) : IAsyncDisposable
{
    private readonly CancellationTokenSource lifetime = CancellationTokenSource.CreateLinkedTokenSource(cancel);
    private Key? after = scan.After;
    private Task<ScanPage>? ahead;
    private IAsyncEnumerator<ScanReply>? pages;
    private CancellationTokenSource? limit;
    private CancellationTokenSource? both;

    /// <summary>The next page: never empty, unless it is the last, behind which there is none to ask for.</summary>
    public async Task<ScanPage> Next()
    {
        var page = await (ahead ?? Fetch());
        ahead = page.IsLast ? null : Fetch();
        return page;
    }

    public async ValueTask DisposeAsync()
    {
        lifetime.Cancel();
        if (ahead is not null)
        {
            // Nobody wants this page any more, nor its failure.
            await Task.WhenAny(ahead);
        }

        await Close();
        lifetime.Dispose();
    }

    private async Task<ScanPage> Fetch()
    {
        for (var attempt = 1; ; attempt++)
        {
            string why;
            try
            {
                if (await Move() is not { } reply)
                {
                    why = "the stream ended before its last page";
                }
                else if (reply is ScanReply.Page { Item: var page })
                {
                    return Accept(page);
                }
                else
                {
                    why = Explain(reply);
                }
            }
            catch (UnreachableException e)
            {
                why = e.Message;
            }

            await Close();
            if (attempt >= patience.Attempts)
            {
                throw Failed(why);
            }

            await patience.Pause(attempt, lifetime.Token);
        }
    }

    private async Task<ScanReply?> Move()
    {
        if (pages is null)
        {
            limit = patience.NewLimit();
            both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, lifetime.Token);
            pages = scan.Open(after, both.Token).GetAsyncEnumerator(both.Token);
        }

        limit!.CancelAfter(patience.PeerTimeout);
        try
        {
            return await pages.MoveNextAsync() ? pages.Current : null;
        }
        catch (OperationCanceledException) when (!lifetime.IsCancellationRequested)
        {
            throw patience.TooLate(scan.Node);
        }
        finally
        {
            limit.CancelAfter(Timeout.InfiniteTimeSpan);
        }
    }

    private async Task Close()
    {
        if (pages is { } open)
        {
            pages = null;
            both!.Cancel();
            try
            {
                await open.DisposeAsync();
            }
            catch (Exception e) when (e is UnreachableException or OperationCanceledException)
            {
                // It is over either way.
            }

            both.Dispose();
            limit!.Dispose();
        }
    }

    private ScanPage Accept(ScanPage page)
    {
        if (page.Entries.Length == 0 && !page.IsLast)
        {
            throw Failed("it sent an empty page and says that more is behind it");
        }

        if (scan.WithBodies && page.Bodies.Length != page.Entries.Length)
        {
            throw Failed($"it sent {page.Bodies.Length} bodies for {page.Entries.Length} entries");
        }

        foreach (var entry in page.Entries)
        {
            if (!scan.IsAsked(entry.Key.Hash))
            {
                throw Failed($"it sent key \"{entry.Key}\" (hash {entry.Key.Hash:x16}), which was not asked for");
            }
        }

        if (page.Entries.Length > 0)
        {
            after = page.Entries[^1].Key;
        }

        return page;
    }

    /// <summary>Why a reply is no page, where that may pass; throws where it will not.</summary>
    private string Explain(ScanReply reply) =>
        reply switch
        {
            ScanReply.ScanStaleEpoch stale => throw ReconcileEndedException.Stale(stale.Epoch),
            ScanReply.ScanRefused { Item: var refusal } when refusal.MayPass() => refusal.Message,
            ScanReply.ScanRefused { Item: var refusal } => throw Failed(refusal.Message),
            _ => throw Failed("it does not serve this store"),
        };

    private ReconcileEndedException Failed(string why) =>
        ReconcileEndedException.SourceFailed(scan.Node, $"scan of {scan.Store}: {why}");
}
