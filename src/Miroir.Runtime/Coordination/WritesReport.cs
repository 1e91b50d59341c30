using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;

namespace Miroir.Runtime.Coordination;

/// <summary>Asks every live router for the writes that it has open, and gives some of them up.</summary>
internal sealed class WritesReport(
    Catalog catalog,
    IRouterDirectory directory,
    RouterRegistry routers,
    Migrations migrations,
    TimeProvider time,
    CoordinatorOptions options,
    Action<string> log
)
{
    private const int MaxReasonLength = 500;

    public async Task<OpenWritesView> OpenAsync(string index, bool onlyStuck, CancellationToken cancel)
    {
        var (writes, unanswered) = await AskAllAsync(static (router, limit) => router.OpenWrites(limit), cancel);
        var shown = writes.Where(write => (index == "" || write.Index == index) && (!onlyStuck || write.IsStuck));
        return new OpenWritesView([.. shown], unanswered);
    }

    public async Task<AdminReply<OpenWritesView>> FailAsync(FailWritesRequest request, CancellationToken cancel)
    {
        if (Complaint(request) is { } complaint)
            return complaint;
        log(
            $"an operator gives up the open writes of `{request.DocId}` in {(request.Index == "" ? "every index" : request.Index)}: {request.Reason}"
        );
        var (given, unanswered) = await AskAllAsync((router, limit) => router.FailWrites(request, limit), cancel);
        foreach (var write in given)
            log(
                $"given up at {write.Router}: write {write.OperationId} of {write.Index} `{write.Key}`, version {write.Version}"
            );
        if (given.Length > 0)
            return AdminReply<OpenWritesView>.Ok(new OpenWritesView(given, unanswered));
        return unanswered.Length > 0
            ? AdminReply<OpenWritesView>.Error(
                "router_unreachable",
                $"no router that answered has an open write of `{request.DocId}`; {string.Join("; ", unanswered)}"
            )
            : AdminReply<OpenWritesView>.Error(
                "write_not_found",
                $"no write of `{request.DocId}` is open: it has its outcome already, or there was none ('writes list' shows those there are)"
            );
    }

    private AdminReply<OpenWritesView>? Complaint(FailWritesRequest request)
    {
        if (Key.Parse(request.DocId) is { IsError: true } bad)
            return AdminReply<OpenWritesView>.Error("invalid_doc_id", bad.ErrorValue);
        if (request.Reason.Trim() is { Length: 0 or > MaxReasonLength })
            return AdminReply<OpenWritesView>.Error(
                "invalid_reason",
                $"a reason has 1 to {MaxReasonLength} characters: it is what the logs, and the client, are told"
            );
        return request.Index != "" && catalog.Table.TryIndex(request.Index).IsNone
            ? AdminReply<OpenWritesView>.Error(
                "index_not_found",
                $"Index `{request.Index}` not found. 'indexes list' shows those there are."
            )
            : null;
    }

    private async Task<(OpenWriteView[] Writes, string[] Unanswered)> AskAllAsync(
        Func<IRouterPeer, CancellationToken, Task<OpenWriteView[]>> ask,
        CancellationToken cancel
    )
    {
        var live = catalog.Table.Routers.Where(r => routers.IsLive(r.Name, r.Incarnation));
        var answers = await Task.WhenAll(live.Select(router => AskAsync(router, ask, cancel)));
        return (
            [.. answers.SelectMany(static a => a.Writes).Select(Judged).OrderByDescending(static write => write.AgeMs)],
            [.. answers.Where(static a => a.Error != "").Select(static a => a.Error)]
        );
    }

    private async Task<(OpenWriteView[] Writes, string Error)> AskAsync(
        RouterInfo router,
        Func<IRouterPeer, CancellationToken, Task<OpenWriteView[]>> ask,
        CancellationToken cancel
    )
    {
        try
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(options.StatusTimeoutMs), time);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
            return (await ask(directory.Get(router.Name, router.Address), both.Token), "");
        }
        catch (Exception e) when (e is UnreachableException or OperationCanceledException)
        {
            cancel.ThrowIfCancellationRequested();
            return ([], $"router {router.Name} gives no answer: {e.Message}");
        }
    }

    /// <summary>Whether a drain waits for it, which the router alone can't know.</summary>
    private OpenWriteView Judged(OpenWriteView write)
    {
        var shard = new ShardId(write.Index, write.Generation, write.Shard);
        var move = migrations.Of(shard)?.State.Moves.FirstOrDefault(m => m.Source.Equals(shard));
        var isStuck = move is { Step.IsDraining: true } && write.Kind == "Write" && write.BegunEpoch < move.JointEpoch;
        return isStuck
            ? new OpenWriteView(
                write.Router,
                write.Index,
                write.Generation,
                write.Shard,
                write.Key,
                write.OperationId,
                write.Version,
                write.Kind,
                write.BegunEpoch,
                write.Epoch,
                write.AgeMs,
                write.Answered,
                write.Missing,
                true
            )
            : write;
    }
}
