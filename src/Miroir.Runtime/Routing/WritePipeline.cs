using Microsoft.FSharp.Core;
using Miroir.Core;

namespace Miroir.Runtime.Routing;

/// <summary>How one try of an operation ended: with an outcome, or without having sent anything, and why.</summary>
internal readonly record struct Attempt(WriteOutcome? Outcome, string Why)
{
    public static Attempt Done(WriteOutcome outcome) => new(outcome, "");

    /// <summary>Nothing was sent: the operation may go anywhere, as if for the first time.</summary>
    public static Attempt Again(string why) => new(null, why);
}

/// <summary>One document's write, and the writer's own read, in its key's queue at the shard's writer.</summary>
internal sealed class WritePipeline(RouterContext context, ShardWriters writers, Forwarder forwarder)
{
    public async ValueTask<Attempt> WriteAsync(ShardWriter writer, WriteCommand command, Deadline deadline)
    {
        if (!await writer.WaitActiveAsync(deadline.Token))
        {
            return Attempt.Again("the shard's writer has not begun: its barriers are not confirmed yet");
        }
        if (!await writer.Queues.EnterAsync(command.Key, deadline.Token))
        {
            return Attempt.Again("other operations of the same document were before it");
        }
        try
        {
            return await InQueueAsync(writer, command, deadline);
        }
        finally
        {
            writer.Queues.Leave(command.Key);
        }
    }

    /// <summary>Null where the term, or the time, was over first.</summary>
    public async ValueTask<ReadOutcome?> ReadAsync(ShardWriter writer, Key key, Deadline deadline)
    {
        if (!await writer.WaitActiveAsync(deadline.Token) || !await writer.Queues.EnterAsync(key, deadline.Token))
        {
            return null;
        }
        try
        {
            while (await writer.ReadAsync(key, deadline) is { } finding)
            {
                if (
                    finding.IsConfirmed
                    || Mutants.writerDoesNotPutBack()
                    || await PutBackAsync(writer, finding.Document, finding.IsHeld, deadline)
                )
                {
                    return finding.Document is { IsTombstone: false } document
                        ? ReadOutcome.NewValue(document)
                        : ReadOutcome.NewNothing(finding.Version);
                }
            }
            return null;
        }
        finally
        {
            writer.Queues.Leave(key);
        }
    }

    private async ValueTask<Attempt> InQueueAsync(ShardWriter writer, WriteCommand command, Deadline deadline)
    {
        if (!writer.IsCurrent)
        {
            return Attempt.Again("the shard's writer has just changed");
        }
        if (!writer.Versions.HasRoomFor(command.Key))
        {
            return Attempt.Done(
                WriteOutcome.NewRejected(
                    new Refusal(
                        RefusalCode.Overloaded,
                        $"too many writes of shard {writer.Route.Shard} are unsettled: try later"
                    )
                )
            );
        }
        while (true)
        {
            var found = default(UpdateBase);
            var isHeld = false;
            if (Intent.needsBase(command.Intent, command.Condition))
            {
                if (await writer.ReadAsync(command.Key, deadline) is not { } finding)
                {
                    return Attempt.Again("no write quorum of the shard answered what the document was");
                }
                found = writer.Versions.BaseOf(command.Key, finding);
                isHeld = finding.IsHeld;
            }
            switch (Intent.decide(found.Document, command))
            {
                case IntentDecision.Invalid invalid:
                    return Attempt.Done(WriteOutcome.NewRejected(new Refusal(RefusalCode.Failed, invalid.Why)));
                case IntentDecision.ConditionFailed failed:
                    // That the condition failed tells of what was found: it must be there for good first.
                    if (found.IsConfirmed || await PutBackAsync(writer, found.Document, isHeld, deadline))
                    {
                        return Attempt.Done(WriteOutcome.NewConditionFailed(failed.Found));
                    }
                    if (deadline.IsOver || !writer.IsCurrent)
                    {
                        return Attempt.Again("what the condition was checked against could not be confirmed");
                    }
                    continue;
                case var decision:
                    return await PutAsync(writer, command, decision, found, deadline);
            }
        }
    }

    private async ValueTask<Attempt> PutAsync(
        ShardWriter writer,
        WriteCommand command,
        IntentDecision decision,
        UpdateBase found,
        Deadline deadline
    )
    {
        var document = Versioned(writer, command, decision);
        switch (await writer.PutNewAsync(document, deadline))
        {
            case null:
                return Attempt.Again("the shard's writer has just changed");
            case WriteVerdict.Acknowledged acknowledged:
                return Attempt.Done(WriteOutcome.NewWritten(document.Version, acknowledged.WasLive || IsLive(found)));
            case WriteVerdict.Inspect:
                context.Counters.Inspected();
                return Attempt.Done(await InspectAsync(writer, command, document, found, deadline));
            case WriteVerdict.DiskFull full:
                return Attempt.Done(WriteOutcome.NewRejected(full.Item));
            case WriteVerdict.Unknown unknown:
                return Attempt.Done(WriteOutcome.NewUnknown(unknown.Why));
            case var verdict:
                return Attempt.Done(WriteOutcome.NewUnknown($"the put ended as {verdict}"));
        }
    }

    /// <summary>The term ended under an open put. The caller still holds the key's queue of the old term.</summary>
    private async ValueTask<WriteOutcome> InspectAsync(
        ShardWriter old,
        WriteCommand command,
        Document document,
        UpdateBase checkedBase,
        Deadline deadline
    )
    {
        var inspected = new InspectCommand(
            command,
            document.Version,
            command.Condition.IsAlways
                ? FSharpValueOption<DocumentVersion>.ValueNone
                : FSharpValueOption<DocumentVersion>.NewValueSome(checkedBase.Version),
            IsLive(checkedBase)
        );
        if (await SuccessorAsync(old, command, deadline) is { } writer)
        {
            return await InspectAtAsync(writer, inspected, deadline);
        }
        var table = context.Table;
        if (
            !deadline.IsOver
            && table.Resolve(command.Index, command.Key.Hash) is { IsValueSome: true, Value: var serving }
            && Inspection.mayHandOver(context.Options.Name, context.Incarnation, serving)
            && table.TryRouter(serving.Writer.Router) is { IsValueSome: true, Value: var router }
        )
        {
            context.Counters.HandedOver();
            return await forwarder.InspectAsync(router, inspected, table.Revision, deadline.Token);
        }
        return WriteOutcome.NewUnknown(
            $"the writer of {old.Route.Shard} changed while {document.Version} was open, and this router can't tell what became of it"
        );
    }

    /// <summary>As the key's writer now: for this router's own put of an ended term, or for another's.</summary>
    public async ValueTask<WriteOutcome> InspectAtAsync(ShardWriter writer, InspectCommand inspected, Deadline deadline)
    {
        var (command, issued) = (inspected.Command, inspected.Issued);
        var late = WriteOutcome.NewUnknown(
            $"what became of {issued} in a term that ended could not be found out in time"
        );
        if (
            !Inspection.mayTakeOver(issued, writer.Route)
            || !await writer.WaitActiveAsync(deadline.Token)
            || !await writer.Queues.EnterAsync(command.Key, deadline.Token)
        )
        {
            return late;
        }
        try
        {
            if (await writer.ReadAsync(command.Key, deadline) is not { } finding)
            {
                return late;
            }
            var found = writer.Versions.BaseOf(command.Key, finding);
            switch (Inspection.decide(issued, inspected.CheckedBase, found))
            {
                case InspectionDecision.GiveUp gaveUp:
                    return WriteOutcome.NewUnknown(gaveUp.Why);
                case { IsComplete: true }:
                    return await CompleteAsync(writer, found.Document!, found.IsConfirmed, deadline)
                        ? WriteOutcome.NewWritten(issued, inspected.WasLive)
                        : late;
                default:
                    return await RunAgainAsync(writer, command, found, deadline) ?? late;
            }
        }
        finally
        {
            writer.Queues.Leave(command.Key);
        }
    }

    /// <summary>
    /// Makes a version of an ended term certain, which nobody was told of yet. Whoever holds it may have it from a copy, or by
    /// a put that landed behind the feed's readers: only a new place is certain to be before them.
    /// </summary>
    private static async ValueTask<bool> CompleteAsync(
        ShardWriter writer,
        Document document,
        bool isConfirmed,
        Deadline deadline
    ) =>
        isConfirmed
            ? await writer.PlaceAsync(document, deadline)
            : await writer.PutBackAsync(document, false, deadline);

    /// <summary>This incarnation as the key's writer in a later term; null where another router is, or none in time.</summary>
    private async ValueTask<ShardWriter?> SuccessorAsync(ShardWriter old, WriteCommand command, Deadline deadline)
    {
        var backoff = context.Backoff();
        do
        {
            var changed = context.Follower.Changed;
            var ended = old.Route;
            var resolved = context.Table.Resolve(command.Index, command.Key.Hash);
            if (
                resolved is { IsValueSome: true, Value: var serving }
                && !serving.Writer.IsNone
                && (!serving.Shard.Equals(ended.Shard) || serving.Epoch >= ended.Epoch)
            )
            {
                if (!Inspection.mayInspect(context.Options.Name, context.Incarnation, serving))
                {
                    return null;
                }
                // A moment passes between a route's coming into the table and its writer's being there.
                if (writers.Find(serving) is { } writer && !ReferenceEquals(writer, old))
                {
                    return writer;
                }
            }
            await context.ChangeOrDelayAsync(changed, backoff.Next(), deadline.Token);
        } while (!deadline.IsOver);
        return null;
    }

    private static async ValueTask<WriteOutcome?> RunAgainAsync(
        ShardWriter writer,
        WriteCommand command,
        UpdateBase found,
        Deadline deadline
    )
    {
        var decision = Intent.decide(found.Document, command);
        if (decision is not IntentDecision.Put and not { IsPutTombstone: true })
        {
            return null;
        }
        var document = Versioned(writer, command, decision);
        return await writer.PutNewAsync(document, deadline) is WriteVerdict.Acknowledged acknowledged
            ? WriteOutcome.NewWritten(document.Version, acknowledged.WasLive || IsLive(found))
            : null;
    }

    /// <summary>Whether a write quorum of every set now holds it; false: read again, if there is time.</summary>
    private static async ValueTask<bool> PutBackAsync(
        ShardWriter writer,
        Document? document,
        bool isInFeed,
        Deadline deadline
    ) =>
        // A write quorum of every set answered, and none of them had anything: that is confirmed absence.
        document is null
        || await writer.PutBackAsync(document, isInFeed, deadline);

    private static Document Versioned(ShardWriter writer, WriteCommand command, IntentDecision decision)
    {
        var version = writer.Versions.Next();
        return decision is IntentDecision.Put put
            ? Document.Live(command.Key, version, put.Body, command.OperationId, Origin.Client)
            : Document.Tombstone(command.Key, version, command.OperationId, Origin.Client);
    }

    private static bool IsLive(UpdateBase found) => found.Document is { IsTombstone: false };
}
