namespace Miroir.Ports

open System
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open Miroir.Core
open Miroir.Core.Cutover

/// What the interpreter of the cutover's effects needs of the world.
type IWorld =
    /// Throws UnreachableException for a name that is not in the metadata.
    abstract Node: name: string -> INode
    /// Base address of a node, for another node to reach it.
    abstract Address: name: string -> string
    /// All or nothing. What the metadata hold already counts as published.
    abstract Publish: changes: RouteChange[] * layout: LayoutChange option * cancel: CancellationToken -> Task<Answer>
    abstract Inspect: shards: ShardId[] * cancel: CancellationToken -> Task<Answer>
    /// Asks a router, which waits a while for them to end, for the writes that began under an older epoch.
    abstract Drain: router: string * stamp: RouteStamp * cancel: CancellationToken -> Task<Answer>
    abstract Time: TimeProvider
    /// Longest wait for the answer to a make, a barrier or a drop, ms.
    abstract CallTimeoutMs: int
    /// Longest silence of a copy or a delta pass before it counts as unreachable, ms.
    abstract SilenceTimeoutMs: int
    /// Shortest time between two progress answers of one copy, ms: each is journalled.
    abstract ProgressEveryMs: int

/// Every effect, as one call to the world, and its answer. No policy: what to do about an answer is the core's.
[<RequireQualifiedAccess>]
module Perform =

    let private call (world: IWorld) (cancel: CancellationToken) (ask: CancellationToken -> Task<Answer>) =
        task {
            use limit =
                new CancellationTokenSource(TimeSpan.FromMilliseconds(float world.CallTimeoutMs), world.Time)

            use both = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token)

            try
                return! ask both.Token
            with
            | :? UnreachableException as e -> return Unreachable e.Message
            | :? OperationCanceledException when not cancel.IsCancellationRequested ->
                return Unreachable $"no answer within {world.CallTimeoutMs} ms"
        }

    let private single (answers: 'T[]) : 'T = answers[0]

    let private reconcile (world: IWorld) node (command: ReconcileCommand) (emit: Func<Answer, Task>) cancel =
        task {
            let command = {
                command with
                    Sources =
                        command.Sources
                        |> Array.map (fun s -> {
                            s with
                                Address = world.Address s.Node
                        })
            }

            use silence = new CancellationTokenSource()
            use both = CancellationTokenSource.CreateLinkedTokenSource(cancel, silence.Token)
            let allowed = TimeSpan.FromMilliseconds(float world.SilenceTimeoutMs)

            use timer =
                world.Time.CreateTimer((fun _ -> silence.Cancel()), null, allowed, Timeout.InfiniteTimeSpan)

            let every = TimeSpan.FromMilliseconds(float world.ProgressEveryMs)
            let mutable last = world.Time.GetTimestamp()
            let mutable final: Answer voption = ValueNone

            try
                let replies =
                    (world.Node node).Reconcile(command, both.Token).GetAsyncEnumerator both.Token

                try
                    let mutable more = true

                    while more do
                        let! next = replies.MoveNextAsync()
                        timer.Change(allowed, Timeout.InfiniteTimeSpan) |> ignore

                        if not next then
                            more <- false
                        else
                            match replies.Current with
                            | Progress p when not p.IsComplete ->
                                if world.Time.GetElapsedTime last >= every then
                                    last <- world.Time.GetTimestamp()
                                    do! emit.Invoke(Progressed p)
                            | ending ->
                                final <- ValueSome(ReconcileAnswered ending)
                                more <- false
                finally
                    replies.DisposeAsync().AsTask() |> ignore
            with
            | :? UnreachableException as e -> final <- ValueSome(Unreachable e.Message)
            | :? OperationCanceledException when not cancel.IsCancellationRequested ->
                final <- ValueSome(Unreachable $"no progress within {world.SilenceTimeoutMs} ms")

            return
                match final with
                | ValueSome answer -> answer
                | ValueNone -> Unreachable "the stream ended before its end was told"
        }

    let private perform
        (world: IWorld)
        (effect: Effect)
        (emit: Func<Answer, Task>)
        (cancel: CancellationToken)
        : Task<Answer voption> =
        task {
            match effect.Action with
            | Publish(changes, layout) ->
                let! answer = call world cancel (fun limit -> world.Publish(changes, layout, limit))

                return
                    // Whether a publish that was not answered has happened is not known.
                    match answer with
                    | Unreachable why -> ValueSome(PublishUnknown why)
                    | known -> ValueSome known
            | Inspect shards ->
                let! answer = call world cancel (fun limit -> world.Inspect(shards, limit))
                return ValueSome answer
            | MakeStore(node, command) ->
                let! answer =
                    call world cancel (fun limit ->
                        task {
                            let! reply = (world.Node node).Make(command, limit)
                            return MakeAnswered reply
                        })

                return ValueSome answer
            | RaiseBarrier(node, command) ->
                let! answer =
                    call world cancel (fun limit ->
                        task {
                            let! replies = (world.Node node).RaiseBarriers([| command |], limit)
                            return BarrierAnswered(single replies)
                        })

                return ValueSome answer
            | DropStore(node, command) ->
                let! answer =
                    call world cancel (fun limit ->
                        task {
                            let! reply = (world.Node node).Drop(command, limit)
                            return DropAnswered reply
                        })

                return ValueSome answer
            | Reconcile(node, command) ->
                let! answer = reconcile world node command emit cancel
                return ValueSome answer
            | AskWriter(router, stamp) ->
                let! answer = call world cancel (fun limit -> world.Drain(router, stamp, limit))
                return ValueSome answer
            | Wait milliseconds ->
                do! Task.Delay(TimeSpan.FromMilliseconds(float milliseconds), world.Time, cancel)
                return ValueSome Elapsed
            // The interpreter stops the effect itself: it knows what runs.
            | Cancel _ -> return ValueNone
        }

    /// Performs one effect. `emit` is given the answers that come before the last; the last is returned, or nothing
    /// where none is wanted. Throws OperationCanceledException only when `cancel` is.
    let effect
        (world: IWorld)
        (effect: Effect)
        (emit: Func<Answer, Task>)
        (cancel: CancellationToken)
        : Task<Answer voption> =
        task {
            Failpoints.before effect
            let! answer = perform world effect emit cancel
            Failpoints.after effect
            return answer
        }
