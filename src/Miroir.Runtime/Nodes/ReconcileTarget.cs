using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Nodes;

/// <summary>The store that a reconcile fills: puts until each answer says that it is dominated, and its own scan.</summary>
internal sealed class ReconcileTarget(
    INodeStore store,
    ReconcileCommand command,
    NodeOptions options,
    Patience patience,
    TokenBucket throttle,
    CancellationToken cancel
)
{
    private Key? scanned = command.After;

    /// <summary>The incarnation that the store serves in under this command's epoch, which its barrier now has.</summary>
    public async Task<Guid> Incarnation()
    {
        for (var attempt = 1; ; attempt++)
        {
            var raise = new BarrierCommand(command.Stamp, command.Store, null);
            var reply = (await store.RaiseBarriers([raise], cancel))[0];
            switch (reply)
            {
                case BarrierReply.Confirmed confirmed:
                    return confirmed.Incarnation;
                case BarrierReply.BarrierAbove above:
                    throw ReconcileEndedException.Stale(above.Epoch);
                case BarrierReply.BarrierRefused { Item: var refusal }:
                    await Again(attempt, refusal);
                    break;
                default:
                    throw ReconcileEndedException.NotServing();
            }
        }
    }

    /// <summary>The next page of what the target has, without bodies.</summary>
    public async Task<ScanPage> NextPage()
    {
        for (var attempt = 1; ; attempt++)
        {
            var scan = new ScanCommand(
                command.Stamp,
                command.Store,
                command.Range,
                scanned,
                options.PageEntries,
                options.PageBytes,
                false
            );
            switch (await store.ScanPage(scan, cancel))
            {
                case ScanReply.Page { Item: var page }:
                    scanned = page.Entries.Length > 0 ? page.Entries[^1].Key : scanned;
                    return page;
                case ScanReply.ScanStaleEpoch stale:
                    throw ReconcileEndedException.Stale(stale.Epoch);
                case ScanReply.ScanRefused { Item: var refusal }:
                    await Again(attempt, refusal);
                    break;
                default:
                    throw ReconcileEndedException.NotServing();
            }
        }
    }

    /// <summary>
    /// Returns when the store holds each of these versions or a greater one, durably. May be called again before the
    /// last call has returned.
    /// </summary>
    public async Task<Taken> Put(IReadOnlyList<Document> documents)
    {
        await throttle.TakeAsync(documents.Count, cancel);
        var left = new List<PutCommand>(documents.Count);
        foreach (var document in documents)
        {
            left.Add(new PutCommand(command.Stamp, command.Store, document));
        }

        var taken = new Taken();
        for (var attempt = 1; left.Count > 0; attempt++)
        {
            var refusal = new Refusal(RefusalCode.Failed, "the store did not answer");
            try
            {
                (left, refusal, taken) = Weigh(left, await store.Put(left, cancel), refusal, taken);
            }
            catch (UnreachableException e)
            {
                // Applied or not: the same puts again will tell.
                refusal = new Refusal(RefusalCode.Failed, e.Message);
            }

            if (left.Count > 0)
            {
                await Again(attempt, refusal);
            }
        }

        return taken;
    }

    /// <summary>The puts that are not yet known to be dominated, and why; and what was taken by now.</summary>
    private static (List<PutCommand> Left, Refusal Refusal, Taken Taken) Weigh(
        List<PutCommand> commands,
        PutReply[] replies,
        Refusal refusal,
        Taken taken
    )
    {
        var left = new List<PutCommand>();
        for (var i = 0; i < replies.Length; i++)
        {
            switch (replies[i])
            {
                case PutReply.Applied:
                    taken = taken.With(commands[i].Document);
                    break;
                case PutReply.Superseded superseded when superseded.Stored.CompareTo(commands[i].Document.Version) >= 0:
                    break;
                case PutReply.StaleEpoch stale:
                    throw ReconcileEndedException.Stale(stale.Epoch);
                case PutReply.Refused refused:
                    refusal = refused.Item;
                    left.Add(commands[i]);
                    break;
                case PutReply.Superseded superseded:
                    throw ReconcileEndedException.Refused(
                        RefusalCode.Corrupt,
                        $"the store has \"{commands[i].Document.Key}\" at {superseded.Stored} and does not take {commands[i].Document.Version}, which is greater"
                    );
                default:
                    throw ReconcileEndedException.NotServing();
            }
        }

        return (left, refusal, taken);
    }

    private Task Again(int attempt, Refusal refusal) =>
        refusal.MayPass() && attempt < patience.Attempts
            ? patience.Pause(attempt, cancel)
            : throw ReconcileEndedException.Refused(refusal);
}
