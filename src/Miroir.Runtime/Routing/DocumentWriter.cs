using Miroir.Core;

namespace Miroir.Runtime.Routing;

/// <summary>
/// One document's write from the router that a client asked: to this router's own pipeline or to another router,
/// and again where nothing was sent, until it has an outcome or its time is over.
/// </summary>
internal sealed class DocumentWriter(
    RouterContext context,
    ShardWriters writers,
    WritePipeline pipeline,
    Forwarder forwarder
)
{
    public ValueTask<WriteOutcome> WriteAsync(WriteCommand command, CancellationToken cancel) =>
        RunAsync(command, false, cancel);

    /// <summary>The same, but never passed on: <see cref="Forwarder.NotTheWriter"/> where another router writes.</summary>
    public ValueTask<WriteOutcome> WriteAsWriterAsync(WriteCommand command, CancellationToken cancel) =>
        RunAsync(command, true, cancel);

    /// <summary>What became of another router's put of a term that ended; NotTheWriter where this one can't look.</summary>
    public async ValueTask<WriteOutcome> InspectAsync(InspectCommand inspected, CancellationToken cancel)
    {
        if (!context.Counters.TryOpen(context.Options.MaxOpenOperations))
        {
            return Forwarder.NotTheWriter;
        }
        var deadline = context.Deadlines.Start(cancel);
        try
        {
            var command = inspected.Command;
            return
                context.Table.Resolve(command.Index, command.Key.Hash) is { IsValueSome: true, Value: var route }
                && context.IsWriterOf(route)
                && writers.Find(route) is { } writer
                ? await pipeline.InspectAtAsync(writer, inspected, deadline)
                : Forwarder.NotTheWriter;
        }
        finally
        {
            deadline.Release();
            context.Counters.Close();
        }
    }

    private async ValueTask<WriteOutcome> RunAsync(WriteCommand command, bool isPassedOn, CancellationToken cancel)
    {
        if (!context.Counters.TryOpen(context.Options.MaxOpenOperations))
        {
            return Rejected(
                RefusalCode.Overloaded,
                $"{context.Options.MaxOpenOperations} operations are open: try later"
            );
        }
        var deadline = context.Deadlines.Start(cancel);
        try
        {
            var outcome = await ResolvedAsync(command, isPassedOn, deadline);
            if (!isPassedOn || !Forwarder.IsNotTheWriter(outcome))
            {
                context.Counters.Outcome(outcome);
            }
            return outcome;
        }
        finally
        {
            deadline.Release();
            context.Counters.Close();
        }
    }

    private async ValueTask<WriteOutcome> ResolvedAsync(WriteCommand command, bool isPassedOn, Deadline deadline)
    {
        var backoff = context.Backoff();
        var why = "";
        while (!deadline.IsOver)
        {
            var changed = context.Follower.Changed;
            var table = context.Table;
            var resolved = table.Resolve(command.Index, command.Key.Hash);
            if (resolved.IsValueNone)
            {
                if (table.Revision > 0 && table.TryIndex(command.Index).IsValueNone)
                {
                    return Rejected(
                        RefusalCode.Failed,
                        $"index {command.Index} is not known at revision {table.Revision}: create it first"
                    );
                }
                why = "the document's shard has no route yet";
            }
            else if (resolved.Value.Writer.IsNone)
            {
                why = $"shard {resolved.Value.Shard} has no writer yet";
            }
            else if (context.IsWriterOf(resolved.Value))
            {
                why = $"this router is about to write for shard {resolved.Value.Shard}";
                if (writers.Find(resolved.Value) is { } writer)
                {
                    var attempt = await pipeline.WriteAsync(writer, command, deadline);
                    if (attempt.Outcome is { } outcome)
                    {
                        return outcome;
                    }
                    why = attempt.Why;
                }
            }
            else if (isPassedOn)
            {
                return Forwarder.NotTheWriter;
            }
            else if (resolved.Value.Writer.Router != context.Options.Name)
            {
                var name = resolved.Value.Writer.Router;
                why = $"router {name}, which writes for shard {resolved.Value.Shard}, is not known yet";
                if (table.TryRouter(name) is { IsValueSome: true, Value: var router })
                {
                    var outcomes = await forwarder.WriteAsync(router, [command], table.Revision, deadline.Token);
                    if (!Forwarder.IsNotTheWriter(outcomes[0]))
                    {
                        return outcomes[0];
                    }
                    why =
                        $"router {name} can't be reached, or does not take itself for the writer of shard {resolved.Value.Shard}";
                }
            }
            else
            {
                why = $"shard {resolved.Value.Shard} is written by another start of this router";
            }
            await context.ChangeOrDelayAsync(changed, backoff.Next(), deadline.Token);
        }
        return Rejected(RefusalCode.Overloaded, $"not written within {context.Options.OperationTimeoutMs} ms: {why}");
    }

    private static WriteOutcome Rejected(RefusalCode code, string why) =>
        WriteOutcome.NewRejected(new Refusal(code, why));
}
