namespace Miroir.Core.Cutover

open System
open Miroir.Core
open Miroir.Core.Cutover

/// What follows from the facts of a state: which effects go out, which stage is published next. Every rule of the
/// stage table (docs/cutover.md) that says "not before" is a condition here.
[<RequireQualifiedAccess>]
module internal Progress =

    /// One shard's next step, if the facts allow one. `mayBegin`: neither paused nor aborting.
    let private move (d: Draft) (i: int) (mayBegin: bool) =
        let m = d.Move i
        let route = d.State.Routes |> Map.tryFind m.Source
        let stage = route |> Option.map _.Stage

        match m.Step with
        | Queued when mayBegin ->
            let migration = d.State.Plan.Migration

            if
                d.PublishNext i (fun r -> {
                    r with
                        Stage = Stage.Copying
                        Targets = m.Targets
                        Migration = migration
                })
            then
                d.SetStep i Opening
        | Opening
        | FallingBack when stage = Some Stage.Copying ->
            if m.Step = FallingBack then
                Filling.raiseOwners d i

            d.SetStep i Copying
        | Draining
        | DeltaPass
        | Proving
        | Holding when Option.isSome (Filling.lostStaging d i) ->
            let lost = (Filling.lostStaging d i).Value.Replica
            Filling.fallBack d i $"{lost} lost its store: it is made again before the shard can be switched to it" false
        | Copying when mayBegin -> Filling.copying d i
        | Ready when
            mayBegin
            && d.State.CutoverOrdered
            && not m.Held
            && Proof.joining d < d.State.Limits.MaxJoint
            ->
            if Mutants.finalReadBeforeTheBarrier () && not (Proof.enough d m Passing) then
                Proof.passEarly d i
            elif d.PublishNext i (fun r -> { r with Stage = Joint }) then
                d.ChangeMove i (fun m -> {
                    m with
                        JointEpoch = (d.SourceRoute i).Epoch + 1L
                        Reason = ""
                })

                d.SetStep i Joining
        | Joining when
            stage = Some Joint
            && Mutants.activatedBeforeTheDrain ()
            && Move.takers m |> Array.forall (fun taker -> taker.Incarnation <> Guid.Empty)
            ->
            Proof.activateUndrained d i
        | Joining when stage = Some Joint -> d.SetStep i Draining
        | Draining -> Proof.draining d i
        | DeltaPass -> Proof.deltaPass d i
        | Proving -> Proof.proving d i
        | Activating when stage = Some Switched -> d.SetStep i Holding
        | Holding ->
            let retiring =
                d.State.Moves
                |> Array.filter (fun o -> o.Step >= Reproving && o.Step <= Cleaning)

            Keeping.holding
                d
                i
                (mayBegin
                 && d.State.RetentionTimer = -1L
                 && retiring.Length < d.State.Limits.MaxRetiring)
        | Reproving -> Ending.reproving d i
        | Retiring when stage = Some Retired || (d.State.Plan.KeepsLayout && stage = Some Owned) -> d.SetStep i Closing
        | Closing -> Ending.closing d i
        | Cleaning ->
            if Ending.dropAll d i Move.leaving false then
                d.SetStep i Finished
        | Undoing when stage = Some Owned ->
            Filling.raiseOwners d i
            d.SetStep i Clearing
        | Clearing when d.State.Moves |> Array.forall (fun o -> o.Step >= Clearing) ->
            if Ending.dropAll d i Move.staging true then
                d.SetStep i Undone
        | _ -> ()

    let private undo (d: Draft) (i: int) =
        match (d.Move i).Step with
        | Queued -> d.SetStep i Undone
        | Opening
        | Joining
        | Activating
        | FallingBack
        | Undoing
        | Clearing
        | Undone -> ()
        | _ ->
            if
                d.PublishNext i (fun r -> {
                    r with
                        Stage = Owned
                        Targets = [||]
                        Migration = 0L
                })
            then
                d.WithdrawMove i
                d.ChangeMove i (Move.forget [ Making; Filling; Fencing; Passing; Checking; Watching ])
                d.ChangeMove i (fun m -> { m with Certificates = [||] })
                d.SetStep i Undoing

    /// Writers that were named while their shard's route was being published. All that can be, at once: a router that is
    /// gone was the writer of many shards, and each waits for its next.
    let private writers (d: Draft) =
        let isWanted shard (router, incarnation) =
            match d.State.Routes |> Map.tryFind shard with
            | Some route -> route.Stage <> Retired && not (route.Writer.Is(router, incarnation))
            | None -> false

        d.State <- {
            d.State with
                Writers = d.State.Writers |> Map.filter isWanted
        }

        let free = d.State.Writers |> Map.filter (fun shard _ -> not (d.IsPublishing shard))

        let changes = [|
            for KeyValue(shard, (router, incarnation)) in free do
                let route = d.Route shard

                {
                    Shard = shard
                    FromEpoch = route.Epoch
                    Route = Some(route.WrittenBy(router, incarnation))
                }
        |]

        if changes.Length > 0 && d.Publish changes None then
            d.State <- {
                d.State with
                    Writers = d.State.Writers |> Map.filter (fun shard _ -> not (free.ContainsKey shard))
            }

    let private finish (d: Draft) =
        let ended status =
            d.State <- {
                d.State with
                    Status = status
                    FinishedAtUnixMs = d.State.NowUnixMs
            }

        let all step =
            d.State.Moves |> Array.forall (fun m -> m.Step = step)

        match d.State.Status with
        // A writer's publish on its way would be answered to nobody.
        | _ when not d.State.Publishing.IsEmpty -> ()
        | Running
        | Paused when all Finished ->
            if d.State.Plan.KeepsLayout then
                ended Complete
            else
                let changes = [|
                    for m in d.State.Moves ->
                        {
                            Shard = m.Source
                            FromEpoch = (d.Route m.Source).Epoch
                            Route = None
                        }
                |]

                let layout = {
                    Index = d.State.Plan.Index.Uid
                    Layout = d.State.Plan.To
                    LastGeneration = d.State.Plan.To.Generation
                }

                if d.Publish changes (Some layout) then
                    d.State <- { d.State with Status = Completing }
        | Completing when
            d.State.Moves
            |> Array.forall (fun m -> not (d.State.Routes.ContainsKey m.Source))
            ->
            ended Complete
        | Aborting why when all Undone -> ended (Aborted why)
        | _ -> ()

    let private retention (d: Draft) =
        if
            d.State.RetentionTimer = 0L
            && d.State.Moves |> Array.forall (fun m -> m.Step >= Holding && m.Step <= Finished)
        then
            let timer =
                if d.State.Limits.RetainSourceMs = 0 then
                    -1L
                else
                    d.Issue (Wait d.State.Limits.RetainSourceMs) ForRetention

            d.State <- { d.State with RetentionTimer = timer }

    /// Until nothing more follows. Bounded: every round hands out an effect or moves a shard on.
    let rec advance (d: Draft) =
        let before = d.State

        if not before.IsEnded then
            writers d
            let mayBegin = before.Status = Running

            for i in 0 .. before.Moves.Length - 1 do
                match d.State.Status with
                | Aborting _ -> undo d i
                | _ -> ()

                move d i mayBegin

            retention d
            finish d

            let steps (s: State) = s.Moves |> Array.map _.Step

            if
                d.State.NextSequence <> before.NextSequence
                || d.State.Status <> before.Status
                || d.State.RetentionTimer <> before.RetentionTimer
                || steps d.State <> steps before
            then
                advance d
