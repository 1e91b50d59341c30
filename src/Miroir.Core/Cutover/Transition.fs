namespace Miroir.Core.Cutover

open Miroir.Core
open Miroir.Core.Cutover

[<RequireQualifiedAccess>]
module Transition =

    let private reject code message : Result<State * Effect list, Rejection> =
        Error { Code = code; Message = message }

    let private initial (atUnixMs: int64) (plan: Plan) : State =
        let members (replicas: Replica[]) = replicas |> Array.map Member.Of

        {
            Plan = plan
            Limits = plan.Limits
            Status = Running
            Routes = plan.Moves |> Array.map (fun m -> m.Route.Shard, m.Route) |> Map.ofArray
            Moves = [|
                for planned in plan.Moves ->
                    {
                        Source = planned.Route.Shard
                        Targets = planned.Targets
                        Step = Queued
                        Attempt = 1
                        Owners = members planned.Route.OwnerReplicas
                        Takers = planned.Targets |> Array.map (Route.TargetReplicas >> members)
                        JointEpoch = 0L
                        DrainTimer = 0L
                        Certificates = [||]
                        Reason = ""
                        Held = false
                        StepSinceUnixMs = atUnixMs
                        DrainMs = 0L
                        Writer = Chore.Fresh
                        OpenWrites = { Count = 0; OldestMs = 0L }
                        DeltaCompared = 0L
                        DeltaCopied = 0L
                        Leftovers = [||]
                    }
            |]
            CutoverOrdered = false
            Outstanding = Map.empty
            Publishing = Map.empty
            Writers = Map.empty
            RetentionTimer = 0L
            NextSequence = 1L
            Timeline = [ "ComputingAssignments", atUnixMs, "" ]
            StartedAtUnixMs = atUnixMs
            FinishedAtUnixMs = 0L
            NowUnixMs = atUnixMs
        }

    let private conclude (d: Draft) : Result<State * Effect list, Rejection> =
        Progress.advance d
        let phase = Phase.ofState d.State

        match d.State.Timeline with
        | (last, _, _) :: _ when last = phase -> ()
        | timeline ->
            d.State <- {
                d.State with
                    Timeline = (phase, d.State.NowUnixMs, "") :: timeline
            }

        Ok(d.State, d.Effects)

    let start (atUnixMs: int64) (plan: Plan) : Result<State * Effect list, Rejection> =
        if plan.Limits.IsUnproven && not (Mutants.skipDeltaGateLeftOut ()) then
            Error Rejection.UnsafeCutover
        else
            conclude (Draft(initial atUnixMs plan))

    let private answered (d: Draft) (sequence: int64) (answer: Answer) =
        match d.State.Outstanding |> Map.tryFind sequence with
        // A late or repeated answer: what it was about is over.
        | None -> ()
        | Some(_, purpose) ->
            match purpose, answer with
            | ForChore(i, replica, kind), Progressed p -> Answers.progress d i replica kind p
            | _ ->
                d.State <- {
                    d.State with
                        Outstanding = d.State.Outstanding.Remove sequence
                }

                match purpose with
                | ForChore(i, replica, kind) -> Answers.chore d i replica kind answer
                | ForRest(i, replica, kind) ->
                    match Move.tryMember replica (d.Move i) with
                    | Some m -> d.SetChore i replica kind { m.Chore kind with Status = Idle }
                    | None -> ()
                | ForWriter i -> Answers.writer d i answer
                | ForDrain i -> d.ChangeMove i (fun m -> { m with DrainTimer = -1L })
                | ForRetention -> d.State <- { d.State with RetentionTimer = -1L }
                | ForPublish -> Answers.publish d sequence answer
                | ForNothing -> ()

    /// Copies that run are stopped; they go on from where they are.
    let private restartCopies (d: Draft) =
        let running =
            d.State.Outstanding
            |> Map.toArray
            |> Array.choose (fun (_, (_, purpose)) ->
                match purpose with
                | ForChore(i, replica, Filling) -> Some(i, replica)
                | _ -> None)

        d.Withdraw(function
            | ForChore(_, _, Filling) -> true
            | _ -> false)

        for i, replica in running do
            d.ChangeMove
                i
                (Move.mapMember replica (fun m -> {
                    m with
                        CopiedBefore = m.Copied
                        BytesBefore = m.CopiedBytes
                        Chores = m.Chores.Add(Filling, Chore.Fresh)
                }))

    let private hasRetired (state: State) =
        not (Mutants.abortAfterRetirement ())
        && state.Moves |> Array.exists (fun m -> m.Step >= Retiring && m.Step <= Finished)

    let private ordered (d: Draft) (order: Order) : Result<unit, Rejection> =
        let refuse code message : Result<unit, Rejection> =
            Error { Code = code; Message = message }

        match order, d.State.Status with
        | Order.Cutover, (Running | Paused) ->
            d.State <- {
                d.State with
                    CutoverOrdered = true
                    Moves =
                        d.State.Moves
                        |> Array.map (fun m -> {
                            m with
                                Held = false
                                // A drain that has run out of time is given as much again.
                                DrainTimer = max 0L m.DrainTimer
                        })
            }

            Ok()
        | Order.Cutover, _ -> refuse "migration_not_running" "only a migration that runs can be cut over"
        | Pause, Running ->
            restartCopies d
            d.State <- { d.State with Status = Paused }
            Ok()
        | Pause, Paused
        | Resume, Running -> Ok()
        | Resume, Paused ->
            d.State <- { d.State with Status = Running }
            Ok()
        | (Pause | Resume), _ -> refuse "migration_not_running" "only a migration that runs can be paused or resumed"
        | Order.Abort _, Aborting _ -> Ok()
        | Order.Abort why, (Running | Paused) ->
            if hasRetired d.State then
                refuse
                    "source_retired"
                    "the first shard has retired, so the old owners no longer have every write: let it finish, then reshard in the other direction"
            else
                d.State <- { d.State with Status = Aborting why }
                Ok()
        | Order.Abort _, _ -> refuse "migration_not_running" "only a migration that runs can be aborted"
        | Tune(throttle, drainTimeoutMs), _ ->
            d.State <- {
                d.State with
                    Limits = {
                        d.State.Limits with
                            Throttle = (if throttle < 0 then d.State.Limits.Throttle else throttle)
                            DrainTimeoutMs =
                                (if drainTimeoutMs < 0 then
                                     d.State.Limits.DrainTimeoutMs
                                 else
                                     drainTimeoutMs)
                    }
            }

            if throttle >= 0 then
                restartCopies d

            Ok()
        | Certify(source, certificate), (Running | Paused) ->
            match d.State.Moves |> Array.tryFindIndex (fun m -> m.Source = source) with
            | None -> refuse "no_such_route" $"{source} is not moved by this migration"
            | Some i ->
                match Proof.whyNot (d.Move i) certificate with
                | "" ->
                    Proof.certify d i certificate
                    Ok()
                | why -> refuse "certificate_refused" why
        | Certify _, _ -> refuse "migration_not_running" "only a migration that runs waits for certificates"
        | AssignWriter(shard, router, incarnation), _ ->
            match d.State.Routes |> Map.tryFind shard with
            | Some route when route.Stage <> Retired ->
                d.State <- {
                    d.State with
                        Writers = d.State.Writers.Add(shard, (router, incarnation))
                }

                Ok()
            | _ -> refuse "no_such_route" $"no route of {shard} is this migration's"

    let step (state: State) (observation: Observation) : Result<State * Effect list, Rejection> =
        let d =
            Draft(
                {
                    state with
                        NowUnixMs = max state.NowUnixMs observation.AtUnixMs
                }
            )

        match observation.Event with
        | Started _ -> reject "already_started" $"migration {state.Plan.Migration} has started"
        | _ when state.IsEnded -> reject "migration_ended" $"migration {state.Plan.Migration} has ended"
        | Answered(sequence, answer) ->
            answered d sequence answer
            conclude d
        | Ordered order ->
            match ordered d order with
            | Ok() -> conclude d
            | Error why -> Error why

    let recover (journal: Observation seq) : Result<State, Rejection> =
        let folder (state: Result<State option, Rejection>) (observation: Observation) =
            match state, observation.Event with
            | Error why, _ -> Error why
            | Ok None, Started plan -> start observation.AtUnixMs plan |> Result.map (fst >> Some)
            | Ok None, _ ->
                Error {
                    Rejection.Code = "journal_damaged"
                    Message = "the journal does not begin with a plan"
                }
            | Ok(Some s), _ -> step s observation |> Result.map (fst >> Some)

        match Seq.fold folder (Ok None) journal with
        | Ok(Some state) -> Ok state
        | Ok None ->
            Error {
                Rejection.Code = "journal_damaged"
                Message = "the journal is empty"
            }
        | Error why -> Error why

    let outstanding (state: State) : Effect list =
        state.Outstanding |> Map.toList |> List.map (snd >> fst)
