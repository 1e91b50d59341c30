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

    /// <summary>
    /// The incarnation that the store serves in under this command's epoch, which its barrier now has. Where it is to be
    /// rebuilt, the one that it is filled in: it is made anew where it is not being filled yet.
    /// </summary>
    public async Task<Guid> Incarnation()
    {
        for (var attempt = 1; ; attempt++)
        {
            var raise = new BarrierCommand(command.Stamp, command.Store, null);
            var reply = (await store.RaiseBarriers([raise], cancel))[0];
            switch (reply)
            {
                case BarrierReply.Confirmed when IsRebuilt:
                    throw ReconcileEndedException.Refused(
                        RefusalCode.Failed,
                        $"store {command.Store} serves: there is nothing to rebuild"
                    );
                case { IsConfirmedNotServing: true } when IsRebuilt:
                    return await BeginFill();
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
        var page = await Scan(command.Range, scanned, options.PageEntries);
        scanned = page.Entries.Length > 0 ? page.Entries[^1].Key : scanned;
        return page;
    }

    /// <summary>A key with the greatest hash that the store holds; null: it is empty. Found by halving what is left.</summary>
    public async Task<Key?> LastKey()
    {
        Key? last = null;
        var from = command.Range.Lo;
        var upTo = command.Range.Last;
        while (true)
        {
            var page = await Scan(new HashRange(from, command.Range.Hi), null, 1);
            if (page.Entries.Length > 0)
            {
                last = page.Entries[0].Key;
            }
            else if (last is null)
            {
                return null;
            }
            else
            {
                upTo = from - 1;
            }

            if (last.Hash >= upTo)
            {
                return last;
            }

            from = last.Hash + ((upTo - last.Hash) / 2) + 1;
        }
    }

    /// <summary>The rebuilt store serves from now on.</summary>
    public async Task Serve(Guid incarnation)
    {
        if (!await store.EndFill(command.Store, incarnation, cancel))
        {
            throw ReconcileEndedException.NotServing();
        }
    }

    /// <summary>
    /// Returns when the store's change log has these changes (above its floor, which in the range is this one at least),
    /// durably.
    /// </summary>
    public async Task Log(Change[] changes, DocumentVersion floor)
    {
        var logged = new LogChangesCommand(command.Stamp, command.Store, changes, floor, command.Range);
        for (var attempt = 1; ; attempt++)
        {
            Refusal refusal;
            try
            {
                switch (await store.LogChanges(logged, cancel))
                {
                    case LogChangesReply.LogStaleEpoch stale:
                        throw ReconcileEndedException.Stale(stale.Epoch);
                    case LogChangesReply.LogRefused refused:
                        refusal = refused.Item;
                        break;
                    case { IsLogged: true }:
                        return;
                    default:
                        throw ReconcileEndedException.NotServing();
                }
            }
            catch (UnreachableException e)
            {
                refusal = new Refusal(RefusalCode.Failed, e.Message);
            }

            await Again(attempt, refusal);
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

    private bool IsRebuilt => command.Mode == ReconcileMode.Rebuild;

    private async Task<Guid> BeginFill()
    {
        var make = new MakeCommand(command.Stamp, command.Store, command.Range, command.Migration, command.Attempt);
        for (var attempt = 1; ; attempt++)
        {
            switch (await store.BeginFill(make, cancel))
            {
                case MakeReply.Made made:
                    return made.Incarnation;
                case MakeReply.MakeStaleEpoch stale:
                    throw ReconcileEndedException.Stale(stale.Epoch);
                case MakeReply.MakeRefused { Item: var refusal }:
                    await Again(attempt, refusal);
                    break;
            }
        }
    }

    private async Task<ScanPage> Scan(HashRange range, Key? after, int maxEntries)
    {
        var scan = new ScanCommand(command.Stamp, command.Store, range, after, maxEntries, options.PageBytes, false);
        for (var attempt = 1; ; attempt++)
        {
            switch (await (IsRebuilt ? store.ScanFilling(scan, cancel) : store.ScanPage(scan, cancel)))
            {
                case ScanReply.Page { Item: var page }:
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

    private Task Again(int attempt, Refusal refusal) =>
        refusal.MayPass() && attempt < patience.Attempts
            ? patience.Pause(attempt, cancel)
            : throw ReconcileEndedException.Refused(refusal);
}
