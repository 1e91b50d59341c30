namespace Miroir.Core.Cutover

open System
open Miroir.Core
open Miroir.Core.Cutover

/// What an answer to an effect means for the replica that it was about. Facts only: what follows from them is
/// decided in Progress.
[<RequireQualifiedAccess>]
module internal Answers =

    let private describe (refusal: Refusal) = $"{refusal.Code}: {refusal.Message}"

    let private remember (d: Draft) i replica change =
        d.ChangeMove i (Move.mapMember replica change)

    /// The store is not what it was: everything this attempt did to it is void. Not so an owner's barrier, which is the
    /// node's: it stays one of those whose merge is needed, in the incarnation that it was confirmed in. A pass that
    /// finds it in another fails for that, and the barrier begins again with other owners (were it forgotten instead, the
    /// merge would go on without it, of too few).
    let private storeLost (d: Draft) i replica =
        let isOwner = (d.Move i).Owners |> Array.exists (fun o -> o.Replica = replica)

        remember d i replica (fun m -> {
            m with
                Incarnation = (if isOwner then m.Incarnation else Guid.Empty)
                Position = None
                Pass = None
                Chores =
                    if isOwner then
                        m.Chores |> Map.filter (fun kind _ -> kind = Fencing)
                    else
                        Map.empty
        })

    /// Others that count on the store have lost it too, as long as their owners still hold everything.
    let private lostToOthers (d: Draft) i replica =
        d.State.Moves
        |> Array.iteri (fun j other ->
            if j <> i && other.Step >= Draining && other.Step <= Holding then
                storeLost d j replica)

    let private making (d: Draft) i replica answer =
        match answer with
        | MakeAnswered(Made incarnation)
        | BarrierAnswered(Confirmed incarnation) ->
            remember d i replica (fun m ->
                if m.Incarnation <> Guid.Empty && m.Incarnation <> incarnation then
                    {
                        m with
                            Incarnation = incarnation
                            Position = None
                            Pass = None
                            Chores = Map.empty
                    }
                else
                    { m with Incarnation = incarnation })

            d.Succeed i replica Making
        | BarrierAnswered ConfirmedNotServing ->
            lostToOthers d i replica
            d.Fail i replica Making "the store was lost while another source counts on it"
        | BarrierAnswered(BarrierAbove epoch)
        | MakeAnswered(MakeStaleEpoch epoch) ->
            d.Fail i replica Making $"the node knows epoch {epoch} of the route already"
        | BarrierAnswered(BarrierRefused refusal)
        | MakeAnswered(MakeRefused refusal) -> d.Fail i replica Making (describe refusal)
        | Unreachable why -> d.Fail i replica Making why
        | _ -> d.Fail i replica Making "the node answered something else"

    let private noteProgress (d: Draft) i replica (p: ReconcileProgress) =
        remember d i replica (fun m -> {
            m with
                Position =
                    match p.Position with
                    | null -> m.Position
                    | key -> Some key
                Copied = m.CopiedBefore + p.Copied
                CopiedBytes = m.BytesBefore + p.CopiedBytes
        })

    let private endOfReconcile (d: Draft) i replica kind why =
        remember d i replica (fun m -> {
            m with
                CopiedBefore = m.Copied
                BytesBefore = m.CopiedBytes
        })

        d.Fail i replica kind why

    let private filling (d: Draft) i replica answer =
        match answer with
        | ReconcileAnswered(Progress p) when p.IsComplete ->
            noteProgress d i replica p

            remember d i replica (fun m -> {
                m with
                    CopiedBefore = m.Copied
                    BytesBefore = m.CopiedBytes
            })

            d.Succeed i replica Filling
        | ReconcileAnswered(ReconcileStaleEpoch epoch) ->
            endOfReconcile d i replica Filling $"a newer epoch ({epoch}) of the route was met"
        | ReconcileAnswered ReconcileNotServing ->
            storeLost d i replica
            d.Fail i replica Filling "the target has no such store"
        | ReconcileAnswered(SourceFailed(node, why)) -> endOfReconcile d i replica Filling $"source {node}: {why}"
        | ReconcileAnswered(ReconcileRefused refusal) -> endOfReconcile d i replica Filling (describe refusal)
        | Unreachable why -> endOfReconcile d i replica Filling why
        | _ -> endOfReconcile d i replica Filling "the copy ended without an end"

    let private barrier (d: Draft) i replica kind answer (confirmed: Guid -> unit) =
        match answer with
        // No proof may name a store that says of itself that it is none.
        | BarrierAnswered(Confirmed incarnation) when incarnation <> Guid.Empty -> confirmed incarnation
        | BarrierAnswered(Confirmed _) -> d.Fail i replica kind "the node names no incarnation of its store"
        | BarrierAnswered ConfirmedNotServing ->
            d.Fail i replica kind "the barrier stands, but the store does not serve"
        | BarrierAnswered(BarrierAbove epoch) -> d.Fail i replica kind $"the barrier stands at epoch {epoch} already"
        | BarrierAnswered(BarrierRefused refusal) -> d.Fail i replica kind (describe refusal)
        | Unreachable why -> d.Fail i replica kind why
        | _ -> d.Fail i replica kind "the node answered something else"

    let private fencing (d: Draft) i replica answer =
        barrier d i replica Fencing answer (fun incarnation ->
            remember d i replica (fun m -> { m with Incarnation = incarnation })
            d.Succeed i replica Fencing)

    /// A check that finds another incarnation is done, and says so by forgetting the one it had.
    let private checking (d: Draft) i replica answer =
        barrier d i replica Checking answer (fun incarnation ->
            match Move.tryMember replica (d.Move i) with
            | Some m when m.Incarnation = incarnation -> d.Succeed i replica Checking
            | _ ->
                storeLost d i replica
                d.Succeed i replica Checking)

    /// Asked again after a while, for as long as the source is kept.
    let private watching (d: Draft) i replica answer =
        let rest () =
            // Seldom: each time is in the journal for as long as the migration is.
            let sequence =
                d.Issue (Wait(10 * d.State.Limits.MaxRetryMs)) (ForRest(i, replica, Watching))

            d.SetChore i replica Watching {
                Status = Resting sequence
                Failures = 0
                LastError = ""
            }

        let isWhatItWas incarnation =
            match Move.tryMember replica (d.Move i) with
            | Some m -> m.Incarnation = incarnation
            | None -> false

        let isOwner = (d.Move i).Owners |> Array.exists (fun o -> o.Replica = replica)

        match answer with
        | BarrierAnswered(Confirmed incarnation) when isWhatItWas incarnation -> rest ()
        | BarrierAnswered(Confirmed incarnation) when incarnation <> Guid.Empty ->
            if isOwner then
                // It serves again only since it dominates the others, and it stands behind this epoch: as good an owner
                // as before. What it held as a target is not what was proven.
                remember d i replica (fun m -> {
                    m with
                        Incarnation = incarnation
                        Pass = None
                        Chores = m.Chores.Remove Passing
                })
            else
                storeLost d i replica

            rest ()
        | BarrierAnswered ConfirmedNotServing ->
            if not isOwner then
                storeLost d i replica

            d.Fail i replica Watching "the store was lost"
        | other -> barrier d i replica Watching other ignore

    let private passes (d: Draft) i replica =
        d.Move i |> Move.tryMember replica |> Option.map (fun m -> m.Chore Passing)

    let private passing (d: Draft) i replica answer =
        match answer with
        | ReconcileAnswered(Progress p) when p.IsComplete && p.Incarnation = Guid.Empty ->
            d.Fail i replica Passing "the node names no incarnation of its store"
        | ReconcileAnswered(Progress p) when p.IsComplete ->
            // What was compared is this incarnation, whichever one was made or confirmed before.
            remember d i replica (fun m -> {
                m with
                    Pass = Some p
                    Incarnation = p.Incarnation
            })

            d.ChangeMove i (fun m -> {
                m with
                    DeltaCompared = m.DeltaCompared + p.Compared
                    DeltaCopied = m.DeltaCopied + p.Copied
            })

            d.Succeed i replica Passing
        | ReconcileAnswered(SourceFailed(node, why)) ->
            // An owner of the merge is lost: only another that confirms the barrier replaces it, and all begins again.
            // The one that failed rests first, so that others are asked before it; the failure counts, so that an
            // owner that the coordinator reaches and the target does not can't keep the shard in Joint for ever.
            let passes = passes d i replica

            d.WithdrawMove i
            d.ChangeMove i (Move.forget [ Fencing; Passing ])
            passes |> Option.iter (d.SetChore i replica Passing)
            d.Fail i replica Passing $"source {node}: {why}"

            for owner in (d.Move i).Owners do
                if owner.Replica.Node = node then
                    d.Fail i owner.Replica Fencing $"it failed as a source: {why}"

            d.ChangeMove i (fun m -> {
                m with
                    Reason = $"source {node}: {why}"
            })

            if not (Mutants.finalReadBeforeTheBarrier () && (d.Move i).Step < Joining) then
                d.SetStep i Draining
        | ReconcileAnswered ReconcileNotServing ->
            // The failures count: an owner that lost its store is not made again here, and the others go on without it.
            let passes = passes d i replica
            storeLost d i replica
            passes |> Option.iter (d.SetChore i replica Passing)
            d.Fail i replica Passing "the target has no such store"
        | ReconcileAnswered(ReconcileStaleEpoch epoch) ->
            d.Fail i replica Passing $"a newer epoch ({epoch}) of the route was met"
        | ReconcileAnswered(ReconcileRefused refusal) -> d.Fail i replica Passing (describe refusal)
        | Unreachable why -> d.Fail i replica Passing why
        | _ -> d.Fail i replica Passing "the delta pass ended without an end"

    let private dropping (d: Draft) i replica answer =
        match answer with
        | DropAnswered(Dropped | AlreadyGone) -> d.Succeed i replica Dropping
        | DropAnswered NotTheSame ->
            d.ChangeMove i (fun m -> {
                m with
                    Leftovers = Array.append m.Leftovers [| replica |] |> Array.distinct
            })

            d.Succeed i replica Dropping
        | DropAnswered(DropStaleEpoch epoch) ->
            d.Fail i replica Dropping $"the node knows a newer epoch ({epoch}) of the route"
        | DropAnswered(DropRefused refusal) -> d.Fail i replica Dropping (describe refusal)
        | Unreachable why -> d.Fail i replica Dropping why
        | _ -> d.Fail i replica Dropping "the node answered something else"

    /// Failures in a row after which a writer is not asked any more: nothing rests on its answer.
    [<Literal>]
    let private MaxWriterFailures = 3

    let writer (d: Draft) (i: int) (answer: Answer) =
        let failed why (m: Move) =
            let failures = m.Writer.Failures + 1

            {
                m with
                    Writer = {
                        Status = if failures < MaxWriterFailures then Idle else Done
                        Failures = failures
                        LastError = why
                    }
                    OpenWrites = { Count = 0; OldestMs = 0L }
            }

        d.ChangeMove i (fun m ->
            match answer with
            | WritesOpen writes -> {
                m with
                    Writer = {
                        Chore.Fresh with
                            Status = if writes.Count = 0 then Done else Idle
                    }
                    OpenWrites = writes
              }
            | Unreachable why -> failed why m
            | _ -> failed "the router answered something else" m)

    let chore (d: Draft) (i: int) (replica: Replica) (kind: TaskKind) (answer: Answer) =
        match kind with
        | Making -> making d i replica answer
        | Filling -> filling d i replica answer
        | Fencing -> fencing d i replica answer
        | Passing -> passing d i replica answer
        | Checking -> checking d i replica answer
        | Watching -> watching d i replica answer
        | Ending -> barrier d i replica Ending answer (fun _ -> d.Succeed i replica Ending)
        | Dropping -> dropping d i replica answer

    /// A long effect goes on; it stays outstanding.
    let progress (d: Draft) (i: int) (replica: Replica) (kind: TaskKind) (p: ReconcileProgress) =
        match kind with
        | Filling -> noteProgress d i replica p
        | _ -> ()

    let publish (d: Draft) (sequence: int64) (answer: Answer) =
        match d.State.Publishing |> Map.tryFind sequence with
        | None -> ()
        | Some pending ->
            d.State <- {
                d.State with
                    Publishing = d.State.Publishing.Remove sequence
            }

            let await action =
                let next = d.Issue action ForPublish

                d.State <- {
                    d.State with
                        Publishing = d.State.Publishing.Add(next, pending)
                }

            let shards = pending.Changes |> Array.map _.Shard

            let isFound (fits: RouteChange -> Route option -> bool) (found: Route option[]) =
                found.Length = pending.Changes.Length
                && Array.forall2 fits pending.Changes found

            match answer with
            | Published -> d.Apply pending.Changes
            | Inspected found when found |> isFound (fun c f -> c.Route = f) ->
                if Option.isSome pending.Layout then
                    // The routes are as wanted; publishing again makes sure of the index's record.
                    await (Publish(pending.Changes, pending.Layout))
                else
                    d.Apply pending.Changes
            | Inspected found when
                found
                |> isFound (fun c f ->
                    match f with
                    | Some route -> route.Epoch = c.FromEpoch
                    | None -> c.FromEpoch = 0L)
                ->
                await (Publish(pending.Changes, pending.Layout))
            | PublishConflict
            | Inspected _ -> d.State <- { d.State with Status = Deposed }
            | PublishUnknown _ -> await (Inspect shards)
            | Elapsed -> await (Inspect shards)
            | _ -> await (Wait d.State.Limits.RetryMs)
