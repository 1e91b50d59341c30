using System.Runtime.CompilerServices;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Nodes;

/// <summary>What a target does to become like its sources: it pulls, and tells how far it is while it does.</summary>
internal sealed class Reconciler(
    NodeOptions options,
    INode self,
    INodeStore store,
    INodeDirectory peers,
    TimeProvider time,
    IEntropy entropy,
    Action<string> log
)
{
    private readonly Bulkhead gate = new(options.MaxConcurrentReconciles, options.MaxWaiting);

    public async IAsyncEnumerable<ReconcileReply> Run(
        ReconcileCommand command,
        [EnumeratorCancellation] CancellationToken cancel
    )
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var tally = new ReconcileTally(command.After);
        var isOver = new Signal();
        var work = Tracked();
        try
        {
            while (!await isOver.Arrives(options.ProgressInterval, time, cancel))
            {
                cancel.ThrowIfCancellationRequested();
                yield return ReconcileReply.NewProgress(tally.Latest);
            }

            yield return await work;
        }
        finally
        {
            ending.Cancel();
            await Task.WhenAny(work);
        }

        async Task<ReconcileReply> Tracked()
        {
            try
            {
                return await Work(command, tally, ending.Token);
            }
            finally
            {
                isOver.Set();
            }
        }
    }

    /// <summary>The whole of it, answering its last reply; throws only where it was cancelled.</summary>
    private async Task<ReconcileReply> Work(ReconcileCommand command, ReconcileTally tally, CancellationToken cancel)
    {
        await Task.Yield();
        if (Objection(command) is { } objection)
        {
            return ReconcileReply.NewReconcileRefused(new Refusal(RefusalCode.Failed, objection));
        }

        if (!await gate.Enter(cancel))
        {
            var full = $"{options.MaxWaiting} reconciles wait already: try again later";
            return ReconcileReply.NewReconcileRefused(new Refusal(RefusalCode.Overloaded, full));
        }

        try
        {
            return ReconcileReply.NewProgress(await Fill(command, tally, cancel));
        }
        catch (ReconcileEndedException e)
        {
            log($"reconcile of {command.Store} under {command.Stamp}: {e.Reply}");
            return e.Reply;
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancel.IsCancellationRequested)
        {
            log($"reconcile of {command.Store} under {command.Stamp}: {e}");
            return ReconcileReply.NewReconcileRefused(new Refusal(RefusalCode.Failed, e.Message));
        }
        finally
        {
            gate.Leave();
        }
    }

    private async Task<ReconcileProgress> Fill(ReconcileCommand command, ReconcileTally tally, CancellationToken cancel)
    {
        var patience = new Patience(options, time, entropy);
        if (command.Mode == ReconcileMode.Rebuild)
        {
            // What is there by now is seen in the store itself.
            command = command.From(null, command.Sources);
        }

        var nodes = Array.ConvertAll(
            command.Sources,
            source => source.Node == options.Name ? self : peers.Get(source.Node, source.Address)
        );
        var sources = new ReconcileSources(command, nodes, options.Name, options, patience, cancel);
        var burst = Math.Max(1, command.DocumentsPerSecond / 4);
        var throttle = new TokenBucket(command.DocumentsPerSecond, burst, time);
        var target = new ReconcileTarget(store, command, options, patience, throttle, cancel);

        tally.Incarnation = await target.Incarnation();
        await sources.Confirm();
        if (command.Mode == ReconcileMode.Rebuild)
        {
            await CopyFromAny(command, nodes, target, tally, patience, cancel);
        }

        var isMerged = command.Mode != ReconcileMode.Rebuild || !Mutants.rebuiltFromOneAlone();
        if (isMerged && command.Mode is (ReconcileMode.Delta or ReconcileMode.Rebuild))
        {
            await new DeltaPass(sources, target, tally, options, patience, log, cancel).Run();
        }
        else if (command.Mode == ReconcileMode.Copy && !sources.IsItself(0))
        {
            await CopyPass.Run(command, sources, target, tally, options);
        }

        if (command.Mode != ReconcileMode.Copy)
        {
            await ChangeCarry.Run(sources, target);
        }

        // What was read and what was put count only if both ends are still what they were.
        await sources.Confirm();
        if (await target.Incarnation() != tally.Incarnation)
        {
            throw ReconcileEndedException.NotServing();
        }

        if (command.Mode == ReconcileMode.Rebuild)
        {
            await target.Serve(tally.Incarnation);
        }

        return tally.Complete();
    }

    /// <summary>
    /// The bulk of a rebuilding, at the speed of a copy, going on behind what an earlier try has put. It need not be whole:
    /// the merge of all sources follows. So a source that fails is left for the next, and in the end for the merge.
    /// </summary>
    private async Task CopyFromAny(
        ReconcileCommand command,
        INode[] nodes,
        ReconcileTarget target,
        ReconcileTally tally,
        Patience patience,
        CancellationToken cancel
    )
    {
        tally.IsBeforeMerge = true;
        for (var source = 0; source < nodes.Length; source++)
        {
            var copy = command.From(await target.LastKey(), [command.Sources[source]]);
            var one = new ReconcileSources(copy, [nodes[source]], options.Name, options, patience, cancel);
            try
            {
                await CopyPass.Run(copy, one, target, tally, options);
                break;
            }
            catch (ReconcileEndedException e) when (e.Reply.IsSourceFailed)
            {
                log($"rebuilding {command.Store}: {e.Reply}");
            }
        }

        tally.IsBeforeMerge = false;
    }

    private bool IsItself(ReconcileCommand command, SourceReplica source) =>
        source.Node == options.Name && source.Store.Equals(command.Store);

    private string? Objection(ReconcileCommand command) =>
        command switch
        {
            { Sources.Length: 0 } => "a reconcile needs a source, and none is given",
            { Mode: ReconcileMode.Copy, Sources.Length: > 1 } =>
                $"a copy reads from one source, and {command.Sources.Length} are given",
            { DocumentsPerSecond: < 0 } =>
                $"documents per second are 0 (unlimited) or more, not {command.DocumentsPerSecond}",
            { Mode: < ReconcileMode.Copy or > ReconcileMode.ChangeLog } =>
                $"mode {command.Mode} is not known: Copy, Delta, Rebuild and ChangeLog are",
            { Mode: ReconcileMode.Rebuild } when Array.Exists(command.Sources, source => IsItself(command, source)) =>
                "a store is rebuilt from others, not from itself",
            _ => null,
        };
}
