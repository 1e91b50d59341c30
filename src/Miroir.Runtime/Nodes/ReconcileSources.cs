using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Nodes;

/// <summary>The members that a reconcile reads from: who they are, whether they still are, and what they hold.</summary>
internal sealed class ReconcileSources(
    ReconcileCommand command,
    INode[] nodes,
    string self,
    NodeOptions options,
    Patience patience,
    CancellationToken cancel
)
{
    private readonly Guid[] incarnations = Array.ConvertAll(command.Sources, source => source.Incarnation);

    public int Count => nodes.Length;

    public string NameOf(int source) => command.Sources[source].Node;

    public bool IsLocal(int source) => NameOf(source) == self;

    /// <summary>Whether the source is the very store that is filled.</summary>
    public bool IsItself(int source) => IsLocal(source) && command.Sources[source].Store.Equals(command.Store);

    /// <summary>
    /// Each source serves in the incarnation that it must have, and admits nothing older than this command's epoch.
    /// Where none was given, the one found first is the one it must keep.
    /// </summary>
    public async Task Confirm()
    {
        for (var source = 0; source < nodes.Length; source++)
        {
            var found = await Incarnation(source);
            if (incarnations[source] == Guid.Empty)
            {
                incarnations[source] = found;
            }
            else if (incarnations[source] != found)
            {
                throw Failed(
                    source,
                    $"is in incarnation {found}, not {incarnations[source]}: it was lost or made anew since it was counted"
                );
            }
        }
    }

    public SourceStream Stream(int source, bool withBodies, int maxEntries)
    {
        var scan = new ScanCommand(
            command.Stamp,
            command.Sources[source].Store,
            command.Range,
            command.After,
            maxEntries,
            options.PageBytes,
            withBodies
        );
        var (node, replica) = (nodes[source], command.Sources[source]);
        var asked = new SourceScan(
            replica.Node,
            replica.Store,
            withBodies,
            command.After,
            (after, limit) => node.Scan(scan.Behind(after), limit),
            hash => command.Range.Contains(hash)
        );
        return new SourceStream(asked, patience, cancel);
    }

    /// <summary>What a source has under the keys; UnreachableException where it does not answer.</summary>
    public Task<ReadReply[]> Read(int source, IEnumerable<Key> keys)
    {
        var store = command.Sources[source].Store;
        var reads = keys.Select(key => new ReadCommand(command.Stamp, store, key)).ToArray();
        return patience.Ask(NameOf(source), limit => nodes[source].Read(reads, limit), cancel);
    }

    /// <summary>A page of a source's change log behind a position; never empty, unless it is the last.</summary>
    public Task<ChangesPage> Changes(int source, DocumentVersion after, int maxChanges)
    {
        var store = command.Sources[source].Store;
        var asked = new ChangesCommand(command.Stamp, store, command.Range, after, DocumentVersion.Highest, maxChanges);
        return patience.Insist(
            async () =>
                await patience.Ask(NameOf(source), limit => nodes[source].Changes(asked, limit), cancel) switch
                {
                    ChangesReply.Changes { Item: { IsLast: false, Changes.Length: 0 } } => throw Failed(
                        source,
                        "sent an empty page of changes and says that more are behind it"
                    ),
                    ChangesReply.Changes { Item: var page } => Tried<ChangesPage>.Done(page),
                    ChangesReply.ChangesStaleEpoch stale => throw ReconcileEndedException.Stale(stale.Epoch),
                    ChangesReply.ChangesRefused { Item: var refusal } when refusal.MayPass() =>
                        Tried<ChangesPage>.InVain(refusal.Message),
                    ChangesReply.ChangesRefused { Item: var refusal } => throw Failed(
                        source,
                        $"gives no changes: {refusal.Message}"
                    ),
                    _ => throw Failed(source, "does not serve"),
                },
            why => Failed(source, $"gives no changes: {why}"),
            cancel
        );
    }

    public ReconcileEndedException Failed(int source, string why) =>
        ReconcileEndedException.SourceFailed(NameOf(source), $"store {command.Sources[source].Store} {why}");

    private Task<Guid> Incarnation(int source)
    {
        var raise = new BarrierCommand(command.Stamp, command.Sources[source].Store, null);
        return patience.Insist(
            async () =>
                (await patience.Ask(NameOf(source), limit => nodes[source].RaiseBarriers([raise], limit), cancel))[
                    0
                ] switch
                {
                    BarrierReply.Confirmed confirmed => Tried<Guid>.Done(confirmed.Incarnation),
                    BarrierReply.BarrierAbove above => throw ReconcileEndedException.Stale(above.Epoch),
                    BarrierReply.BarrierRefused { Item: var refusal } => Tried<Guid>.InVain(refusal.Message),
                    _ => throw Failed(source, "does not serve"),
                },
            why => Failed(source, $"does not confirm its barrier: {why}"),
            cancel
        );
    }
}
