using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Routing;

/// <summary>One document's read: by asking its replicas, and at its shard's writer where that confirms nothing.</summary>
internal sealed class DocumentReader(
    RouterContext context,
    ShardWriters writers,
    WritePipeline pipeline,
    Forwarder forwarder
)
{
    public async Task<ReadOutcome> ReadAsync(string index, Key key, Consistency consistency, CancellationToken cancel)
    {
        if (!context.Counters.TryOpen(context.Options.MaxOpenOperations))
        {
            return ReadOutcome.NewUnavailable($"{context.Options.MaxOpenOperations} operations are open: try later");
        }
        context.Counters.Read();
        var deadline = context.Deadlines.Start(cancel);
        try
        {
            return await ResolvedAsync(index, key, consistency, deadline);
        }
        finally
        {
            deadline.Release();
            context.Counters.Close();
        }
    }

    /// <summary>The read in the key's queue, asked for by another router: Unavailable where this one is not the writer.</summary>
    public async Task<ReadOutcome> ReadAsWriterAsync(string index, Key key, CancellationToken cancel)
    {
        if (!context.Counters.TryOpen(context.Options.MaxOpenOperations))
        {
            return ReadOutcome.NewUnavailable($"{context.Options.MaxOpenOperations} operations are open: try later");
        }
        var deadline = context.Deadlines.Start(cancel);
        try
        {
            var resolved = context.Table.Resolve(index, key.Hash);
            return
                resolved is { IsValueSome: true, Value: var route }
                && context.IsWriterOf(route)
                && writers.Find(route) is { } writer
                && await pipeline.ReadAsync(writer, key, deadline) is { } outcome
                ? outcome
                : ReadOutcome.NewUnavailable("this router could not read as the writer of the document's shard");
        }
        finally
        {
            deadline.Release();
            context.Counters.Close();
        }
    }

    private async ValueTask<ReadOutcome> ResolvedAsync(
        string index,
        Key key,
        Consistency consistency,
        Deadline deadline
    )
    {
        var backoff = context.Backoff();
        var why = "";
        while (!deadline.IsOver)
        {
            var changed = context.Follower.Changed;
            var table = context.Table;
            var resolved = table.Resolve(index, key.Hash);
            if (resolved is { IsValueSome: true, Value: var route })
            {
                var (outcome, reason) =
                    consistency == Consistency.Eventual
                        ? await EventuallyAsync(route, key, deadline)
                        : await ConfirmedAsync(route, table, index, key, deadline);
                if (outcome is not null)
                {
                    return outcome;
                }
                why = reason;
            }
            else if (table.Revision > 0 && table.TryIndex(index).IsValueNone)
            {
                return ReadOutcome.NewUnavailable($"index {index} is not known at revision {table.Revision}");
            }
            else
            {
                why = "the document's shard has no route yet";
            }
            await context.ChangeOrDelayAsync(changed, backoff.Next(), deadline.Token);
        }
        return ReadOutcome.NewUnavailable($"not answered within {context.Options.OperationTimeoutMs} ms: {why}");
    }

    private async ValueTask<(ReadOutcome?, string)> ConfirmedAsync(
        Route route,
        RoutingTable table,
        string index,
        Key key,
        Deadline deadline
    )
    {
        switch (await ReadRun.AskAsync(context, route, key, deadline))
        {
            case ReadVerdict.Found found:
                return (
                    found.Item.Document is { IsTombstone: false } document
                        ? ReadOutcome.NewValue(document)
                        : ReadOutcome.NewNothing(found.Item.Version),
                    ""
                );
            case ReadVerdict.StartAgain stale:
                return (null, $"the nodes of {route.Shard} follow epoch {stale.Epoch}, which is not in the table yet");
            case ReadVerdict.PassToWriter pass when !deadline.IsOver:
                context.Counters.PassedToWriter();
                return await AtWriterAsync(route, table, index, key, pass.Why, deadline);
            case ReadVerdict.PassToWriter pass:
                return (null, pass.Why);
            default:
                return (null, "");
        }
    }

    private async ValueTask<(ReadOutcome?, string)> AtWriterAsync(
        Route route,
        RoutingTable table,
        string index,
        Key key,
        string why,
        Deadline deadline
    )
    {
        if (context.IsWriterOf(route))
        {
            return (
                writers.Find(route) is { } writer ? await pipeline.ReadAsync(writer, key, deadline) : null,
                $"{why}; as the shard's writer this router could not read it either"
            );
        }
        var name = route.Writer.Router;
        if (name == context.Options.Name || table.TryRouter(name) is not { IsValueSome: true, Value: var router })
        {
            return (null, $"{why}; and the shard has no writer that could be asked");
        }
        var outcome = await forwarder.ReadAsync(router, index, key, table.Revision, deadline.Token);
        return outcome is ReadOutcome.Unavailable unavailable ? (null, $"{why}; {unavailable.Why}") : (outcome, "");
    }

    private async ValueTask<(ReadOutcome?, string)> EventuallyAsync(Route route, Key key, Deadline deadline)
    {
        var replicas = route.Plan(key.Hash).Eventual;
        var first = (int)(context.Entropy.NextDouble() * replicas.Length);
        var why = "no node of the shard answered";
        for (var i = 0; i < replicas.Length && !deadline.IsOver; i++)
        {
            var replica = replicas[(first + i) % replicas.Length];
            if (context.Node(replica.Node) is not { } node)
            {
                continue;
            }
            using var attempt = new CancellationTokenSource(
                TimeSpan.FromMilliseconds(context.Options.AttemptTimeoutMs),
                context.Time
            );
            using var link = deadline.Token.UnsafeRegister(
                static source => ((CancellationTokenSource)source!).Cancel(),
                attempt
            );
            try
            {
                var replies = await node.Read([new ReadCommand(route.Stamp, replica.Store, key)], attempt.Token);
                switch (replies[0])
                {
                    case ReadReply.Found found:
                        return (
                            found.Item.IsTombstone
                                ? ReadOutcome.NewNothing(found.Item.Version)
                                : ReadOutcome.NewValue(found.Item),
                            ""
                        );
                    case { IsAbsent: true }:
                        return (ReadOutcome.NewNothing(DocumentVersion.Zero), "");
                    case ReadReply.ReadStaleEpoch stale:
                        context.Counters.Stale();
                        if (stale.Route is { } newer)
                        {
                            context.Follower.Adopt(newer.Value);
                        }
                        return (null, $"{replica.Node} follows epoch {stale.Epoch}, which is not in the table yet");
                    default:
                        context.Counters.Refused();
                        why = $"{replica.Node} does not serve {replica.Store}";
                        break;
                }
            }
            catch (Exception e)
            {
                context.Counters.Unanswered();
                why = $"{replica.Node} did not answer: {e.Message}";
            }
        }
        return (null, why);
    }
}
