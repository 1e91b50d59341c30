using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Routing;

/// <summary>
/// Makes the replicas of a key equal, as the key's writer and in its queue: a repair around the writer would spread a
/// half-done write under an update that never saw it. Every put is an existing version's, under the epoch that was
/// read under. What a write quorum of the owners did not hold yet is placed in the change feed first.
/// </summary>
internal sealed class Repairs(RouterContext context, ShardWriters writers)
{
    /// <summary>What goes together in the requests to a node.</summary>
    private const int MaxSideBySide = 256;

    /// <summary>Outcomes in the order of the keys.</summary>
    public async Task<RepairOutcome[]> RepairAsync(RepairCommand command, CancellationToken cancel)
    {
        var outcomes = new RepairOutcome[command.Keys.Length];
        var taken = 0;
        async Task WorkAsync()
        {
            for (int i; (i = Interlocked.Increment(ref taken) - 1) < outcomes.Length; )
            {
                outcomes[i] = await OneAsync(command.Index, command.Keys[i], cancel);
            }
        }
        await Task.WhenAll(Enumerable.Range(0, Math.Min(MaxSideBySide, outcomes.Length)).Select(_ => WorkAsync()));
        return outcomes;
    }

    private async Task<RepairOutcome> OneAsync(string index, RepairKey asked, CancellationToken cancel)
    {
        if (!context.Counters.TryOpen(context.Options.MaxOpenOperations))
        {
            return RepairOutcome.NewNotRepaired($"{context.Options.MaxOpenOperations} operations are open: try later");
        }
        var deadline = context.Deadlines.Start(context.Options.RepairTimeoutMs, cancel);
        try
        {
            var resolved = context.Table.Resolve(index, asked.Key.Hash);
            if (
                resolved is not { IsValueSome: true, Value: var route }
                || !context.IsWriterOf(route)
                || writers.Find(route) is not { } writer
                || !await writer.WaitActiveAsync(deadline.Token)
            )
            {
                return RepairOutcome.NewNotRepaired("this router is not the writer of the document's shard");
            }
            if (Mutants.repairAroundTheWriter())
            {
                return await InQueueAsync(writer, asked, deadline);
            }
            if (!await writer.Queues.EnterAsync(asked.Key, deadline.Token))
            {
                return RepairOutcome.NewNotRepaired("other operations of the same document were before it");
            }
            try
            {
                return await InQueueAsync(writer, asked, deadline);
            }
            finally
            {
                writer.Queues.Leave(asked.Key);
            }
        }
        finally
        {
            deadline.Release();
            context.Counters.Close();
        }
    }

    private async Task<RepairOutcome> InQueueAsync(ShardWriter writer, RepairKey asked, Deadline deadline)
    {
        var route = writer.Route;
        if (!writer.IsCurrent)
        {
            return RepairOutcome.NewNotRepaired("the shard's writer has just changed");
        }
        var sets = route.Plan(asked.Key.Hash).Quorums;
        Replica[] replicas = [.. sets.SelectMany(set => set).Distinct()];
        var copies = await Task.WhenAll(replicas.Select(replica => ReadAsync(route, replica, asked.Key, deadline)));
        var positions = Array.ConvertAll(
            sets,
            set => Array.ConvertAll(set, replica => Array.IndexOf(replicas, replica))
        );
        var decided = Repair.plan(positions, copies, asked.Keep);
        if (decided is RepairPlan.Impossible impossible)
        {
            return RepairOutcome.NewNotRepaired(impossible.Why);
        }
        var plan = (RepairPlan.Send)decided;
        if (
            Found(copies, plan.Version) is { } found
            && !IsHeld(positions[0], copies, plan.Version)
            && !await writer.PlaceAsync(found, deadline)
        )
        {
            return RepairOutcome.NewNotRepaired($"{plan.Version} was given no place in the change feed in time");
        }
        var failures = await Task.WhenAll(
            replicas.Select((replica, i) => SendAsync(route, replica, plan.Mendings[i], deadline))
        );
        var changed = plan.Mendings.Count(mending => !mending.IsNothing);
        return Array.Find(failures, failure => failure != "") is { } why
            ? RepairOutcome.NewNotRepaired(why)
            : RepairOutcome.NewRepaired(plan.Version, changed);
    }

    private static Document? Found(Copy[] copies, DocumentVersion version) =>
        copies
            .Select(static copy => copy is Copy.Has has ? has.Item : null)
            .FirstOrDefault(document => document is not null && document.Version.Equals(version));

    /// <summary>Whether a write quorum of a set holds the version: it was there for good before this repair.</summary>
    private static bool IsHeld(int[] set, Copy[] copies, DocumentVersion version) =>
        set.Count(i => copies[i] is Copy.Has { Item: { } document } && document.Version.Equals(version))
        >= Quorum.write(set.Length);

    private async Task<Copy> ReadAsync(Route route, Replica replica, Key key, Deadline deadline)
    {
        var reply = await context.AskAsync(
            replica.Node,
            async (node, limit) => (await node.Read([new ReadCommand(route.Stamp, replica.Store, key)], limit))[0],
            deadline.Token
        );
        return reply switch
        {
            ReadReply.Found found => Copy.NewHas(found.Item),
            { IsAbsent: true } => Copy.NewHas(null),
            ReadReply.ReadRefused { Item.Code: RefusalCode.Corrupt } => Copy.Rotten,
            _ => Copy.Silent,
        };
    }

    /// <summary>"" where the replica holds what it was sent; else why not.</summary>
    private async Task<string> SendAsync(Route route, Replica replica, Mending mending, Deadline deadline) =>
        mending switch
        {
            Mending.Put put => await PutAsync(route, replica, put.Item, deadline),
            Mending.Replace replace => await HealAsync(route, replica, replace.Item1, replace.Wrong, deadline),
            Mending.PutAndReplace both => await PutAsync(route, replica, both.Item, deadline) is { Length: > 0 } why
                ? why
                : await HealAsync(route, replica, both.Item, both.Item.Entry.Digest, deadline),
            _ => "",
        };

    private async Task<string> PutAsync(Route route, Replica replica, Document document, Deadline deadline)
    {
        var reply = await context.AskAsync(
            replica.Node,
            async (node, limit) => (await node.Put([new PutCommand(route.Stamp, replica.Store, document)], limit))[0],
            deadline.Token
        );
        return reply switch
        {
            PutReply.Applied or PutReply.Superseded => "",
            PutReply.Refused refused => $"{replica} refused: {refused.Item.Message}",
            null => $"{replica} did not answer",
            _ => $"{replica} does not admit epoch {route.Epoch} any more, or does not serve",
        };
    }

    private async Task<string> HealAsync(
        Route route,
        Replica replica,
        Document document,
        Digest wrong,
        Deadline deadline
    )
    {
        var reply = await context.AskAsync(
            replica.Node,
            async (node, limit) =>
                (await node.Heal([new HealCommand(route.Stamp, replica.Store, document, wrong)], limit))[0],
            deadline.Token
        );
        return reply switch
        {
            { IsHealed: true } or HealReply.NothingToHeal => "",
            HealReply.HealRefused refused => $"{replica} refused: {refused.Item.Message}",
            null => $"{replica} did not answer",
            _ => $"{replica} does not admit epoch {route.Epoch} any more, or does not serve",
        };
    }
}
