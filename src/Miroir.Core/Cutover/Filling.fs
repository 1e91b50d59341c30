namespace Miroir.Core.Cutover

open System
open Miroir.Core
open Miroir.Core.Cutover

/// The copy: staging is made on the targets and filled; and the way back to it from Joint and Switched.
[<RequireQualifiedAccess>]
module internal Filling =

    let overlap (source: Route) (target: TargetShard) : HashRange =
        match source.Range.Intersect target.Range with
        | ValueSome range -> range
        | ValueNone -> invalidOp $"{target.Shard} does not overlap {source.Shard}"

    /// Members that both own the store and take it over have nothing to make or to fill.
    let isOwner (move: Move) (replica: Replica) =
        move.Owners |> Array.exists (fun o -> o.Replica = replica)

    let eachTaker (move: Move) (action: TargetShard -> Member -> unit) =
        Array.iter2 (fun target members -> Array.iter (action target) members) move.Targets move.Takers

    let runningCopies (state: State) =
        state.Outstanding
        |> Map.filter (fun _ (_, purpose) ->
            match purpose with
            | ForChore(_, _, Filling) -> true
            | _ -> false)
        |> Map.count

    let raiseOwners (d: Draft) i =
        // Not needed for safety, and not waited for: so that nothing older lingers on an owner.
        let route = d.SourceRoute i

        for replica in route.OwnerReplicas do
            d.Issue
                (RaiseBarrier(
                    replica.Node,
                    {
                        Stamp = route.Stamp
                        Store = replica.Store
                        Route = Some route
                    }
                ))
                ForNothing
            |> ignore

    /// Back to Copying: every acknowledged write is on a write quorum of the owners too, so nothing is lost.
    let fallBack (d: Draft) (i: int) (why: string) (held: bool) =
        if d.PublishNext i (fun route -> { route with Stage = Stage.Copying }) then
            d.WithdrawMove i
            d.ChangeMove i (Move.forget [ Fencing; Passing; Checking; Watching ])

            d.ChangeMove i (fun m -> {
                m with
                    Attempt = m.Attempt + 1
                    JointEpoch = 0L
                    Writer = Chore.Fresh
                    OpenWrites = { Count = 0; OldestMs = 0L }
                    Certificates = [||]
                    Reason = why
                    Held = held || m.Attempt >= 8
            })

            d.SetStep i FallingBack

    /// Another source's quorum needs this target's store, or will from now on.
    let isCountedOn (d: Draft) i (store: ShardId) =
        d.State.Moves
        |> Seq.indexed
        |> Seq.exists (fun (j, other) ->
            j <> i
            && other.Step >= Joining
            && other.Step <= Finished
            && other.Targets |> Array.exists (fun t -> t.Shard = store))

    /// A staging store that was lost since it was made, and can be made again: no other source ends in it yet.
    let lostStaging (d: Draft) i : Member option =
        let move = d.Move i

        let isEnding (store: ShardId) =
            d.State.Moves
            |> Array.exists (fun other ->
                other.Step >= Reproving
                && other.Step <= Finished
                && other.Targets |> Array.exists (fun t -> t.Shard = store))

        Move.takers move
        |> Array.tryFind (fun m ->
            not (isOwner move m.Replica)
            && not (m.Is(Making, Done))
            && not (isEnding m.Replica.Store))

    let copying (d: Draft) i =
        let route = d.SourceRoute i
        let owners = route.Owners

        eachTaker (d.Move i) (fun target taker ->
            let m = taker.Replica

            if isOwner (d.Move i) m then
                d.Succeed i m Making
                d.Succeed i m Filling
            else
                d.Ensure i taker Making (fun () ->
                    if isCountedOn d i m.Store then
                        // Made for another source already. Were it lost, an empty one in its place would pass for a
                        // member that holds nothing: it is asked for, and made again when nobody counts on it.
                        RaiseBarrier(
                            m.Node,
                            {
                                Stamp = route.Stamp
                                Store = m.Store
                                Route = Some route
                            }
                        )
                    else
                        MakeStore(
                            m.Node,
                            {
                                Stamp = route.Stamp
                                Store = m.Store
                                Range = target.Range
                                Migration = d.State.Plan.Migration
                                Attempt = (d.Move i).Attempt
                            }
                        ))

                let current = Move.tryMember m (d.Move i) |> Option.defaultValue taker

                if
                    current.Is(Making, Done)
                    && current.Is(Filling, Idle)
                    && runningCopies d.State < d.State.Limits.MaxCopies
                then
                    d.Ensure i current Filling (fun () ->
                        // Another owner at each failure: the first may be the one that is down.
                        let source = owners[(current.Chore Filling).Failures % owners.Length]
                        let throttle = d.State.Limits.Throttle

                        Reconcile(
                            m.Node,
                            {
                                Stamp = route.Stamp
                                Store = m.Store
                                Range = overlap route target
                                Sources = [|
                                    {
                                        Node = source
                                        Address = ""
                                        Store = route.Shard
                                        Incarnation = Guid.Empty
                                    }
                                |]
                                Mode = ReconcileMode.Copy
                                After =
                                    (match current.Position with
                                     | Some key -> key
                                     | None -> null)
                                DocumentsPerSecond =
                                    (if throttle = 0 then
                                         0
                                     else
                                         max 1 (throttle / d.State.Limits.MaxCopies))
                                Migration = d.State.Plan.Migration
                                Attempt = (d.Move i).Attempt
                            }
                        )))

        if Move.takers (d.Move i) |> Array.forall (fun m -> m.Is(Filling, Done)) then
            d.SetStep i Ready
