namespace Miroir.Core.Cutover

open System
open Miroir.Core
open Miroir.Core.Cutover

/// What follows from the facts of a state: which effects go out, which stage is published next. Every rule of the
/// stage table (docs/cutover.md) that says "not before" is a condition here.
[<RequireQualifiedAccess>]
module internal Progress =

    let private stamp (d: Draft) i = (d.SourceRoute i).Stamp

    let private overlap (source: Route) (target: TargetShard) : HashRange =
        match source.Range.Intersect target.Range with
        | ValueSome range -> range
        | ValueNone -> invalidOp $"{target.Shard} does not overlap {source.Shard}"

    /// Members that both own the store and take it over have nothing to make or to fill.
    let private isOwner (move: Move) (replica: Replica) =
        move.Owners |> Array.exists (fun o -> o.Replica = replica)

    let private eachTaker (move: Move) (action: TargetShard -> Member -> unit) =
        Array.iter2 (fun target members -> Array.iter (action target) members) move.Targets move.Takers

    let private runningCopies (state: State) =
        state.Outstanding
        |> Map.filter (fun _ (_, purpose) ->
            match purpose with
            | ForChore(_, _, Filling) -> true
            | _ -> false)
        |> Map.count

    let private raiseOwners (d: Draft) i =
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
            d.ChangeMove i (Move.forget [ Fencing; Passing; Checking ])

            d.ChangeMove i (fun m -> {
                m with
                    Attempt = m.Attempt + 1
                    JointEpoch = 0L
                    Certificates = [||]
                    Reason = why
                    Held = held || m.Attempt >= 8
            })

            d.SetStep i FallingBack

    /// Another source's quorum needs this target's store, or will from now on.
    let private isCountedOn (d: Draft) i (store: ShardId) =
        d.State.Moves
        |> Seq.indexed
        |> Seq.exists (fun (j, other) ->
            j <> i
            && other.Step >= Joining
            && other.Step <= Finished
            && other.Targets |> Array.exists (fun t -> t.Shard = store))

    /// A staging store that was lost since it was made, and can be made again: no other source ends in it yet.
    let private lostStaging (d: Draft) i : Member option =
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

    let private copying (d: Draft) i =
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

    let private joining (d: Draft) =
        d.State.Moves
        |> Array.filter (fun m -> m.Step >= Joining && m.Step <= Activating)
        |> Array.length

    let private confirmedOwners (move: Move) =
        move.Owners |> Array.filter (fun m -> m.Is(Fencing, Done))

    let private draining (d: Draft) i =
        let move = d.Move i
        let route = d.SourceRoute i

        if move.DrainTimer = 0L then
            let timer = d.Issue (Wait d.State.Limits.DrainTimeoutMs) (ForDrain i)
            d.ChangeMove i (fun m -> { m with DrainTimer = timer })

        for owner in move.Owners do
            d.Ensure i owner Fencing (fun () ->
                RaiseBarrier(
                    owner.Replica.Node,
                    {
                        Stamp = route.Stamp
                        Store = owner.Replica.Store
                        Route = Some route
                    }
                ))

        if (confirmedOwners (d.Move i)).Length >= Quorum.barrier move.Owners.Length then
            d.Withdraw(function
                | ForDrain m -> m = i
                | _ -> false)

            d.ChangeMove i (fun m -> {
                m with
                    DrainTimer = 0L
                    DrainMs = m.DrainMs + d.State.NowUnixMs - m.StepSinceUnixMs
            })

            d.SetStep i DeltaPass
        elif (d.Move i).DrainTimer = -1L then
            fallBack
                d
                i
                $"the owners did not confirm the barrier within {d.State.Limits.DrainTimeoutMs} ms: say cutover again when they are reachable"
                true

    let private emptyPass: ReconcileProgress = {
        Position = null
        Compared = 0L
        Copied = 0L
        CopiedBytes = 0L
        CopiedTombstones = 0L
        MergeDigest = Digest.Zero
        Watermark = DocumentVersion.Zero
        Incarnation = Guid.Empty
        IsComplete = true
    }

    /// W members of every target have `kind` done, and every other one has failed a few times: no use waiting longer.
    let private enough (d: Draft) (move: Move) (kind: TaskKind) =
        move.Takers
        |> Array.forall (fun members ->
            let finished, rest = members |> Array.partition (fun m -> m.Is(kind, Done))

            finished.Length >= Quorum.write members.Length
            && rest |> Array.forall (fun m -> (m.Chore kind).Failures >= 3))

    let private tooManyFailures (d: Draft) (move: Move) (kind: TaskKind) =
        Move.takers move
        |> Array.tryPick (fun m ->
            let chore = m.Chore kind

            if chore.Failures >= d.State.Limits.MaxDeltaFailures then
                Some $"{m.Replica.Node}: {chore.LastError}"
            else
                None)

    let private deltaPass (d: Draft) i =
        let route = d.SourceRoute i
        let sources = confirmedOwners (d.Move i)

        eachTaker (d.Move i) (fun target taker ->
            if Mutants.deltaPassLeftOut () then
                d.ChangeMove i (Move.mapMember taker.Replica (fun m -> { m with Pass = Some emptyPass }))
                d.Succeed i taker.Replica Passing
            else
                d.Ensure i taker Passing (fun () ->
                    Reconcile(
                        taker.Replica.Node,
                        {
                            Stamp = route.Stamp
                            Store = taker.Replica.Store
                            Range = overlap route target
                            Sources = [|
                                for s in sources ->
                                    {
                                        Node = s.Replica.Node
                                        Address = ""
                                        Store = s.Replica.Store
                                        Incarnation = s.Incarnation
                                    }
                            |]
                            Mode = ReconcileMode.Delta
                            After = null
                            DocumentsPerSecond = 0
                            Migration = d.State.Plan.Migration
                            Attempt = (d.Move i).Attempt
                        }
                    )))

        let move = d.Move i

        if enough d move Passing then
            // Passes that still fail are given up: a late one must not send a proven shard back to Draining.
            d.WithdrawMove i
            d.ChangeMove i (Move.forget [ Checking ])
            d.SetStep i Proving
        else
            match tooManyFailures d move Passing with
            | Some why -> fallBack d i $"the delta pass does not come to an end ({why})" false
            | None -> ()

    /// Asks the certificate's holders for their incarnations. Some: all asked, with those that are what they were.
    let private check (d: Draft) i : Member[][] option =
        let route = d.SourceRoute i

        for m in Move.takers (d.Move i) do
            if m.Is(Passing, Done) then
                d.Ensure i m Checking (fun () ->
                    RaiseBarrier(
                        m.Replica.Node,
                        {
                            Stamp = route.Stamp
                            Store = m.Replica.Store
                            Route = Some route
                        }
                    ))

        let move = d.Move i

        let settled (m: Member) =
            m.Is(Checking, Done)
            || not (m.Is(Passing, Done))
            || (m.Chore Checking).Failures >= d.State.Limits.MaxDeltaFailures

        if Move.takers move |> Array.forall settled then
            Some(
                move.Takers
                |> Array.map (
                    Array.filter (fun m -> m.Is(Checking, Done) && m.Is(Passing, Done) && m.Incarnation <> Guid.Empty)
                )
            )
        else
            None

    let private isProven (move: Move) (holders: Member[][]) =
        Array.forall2
            (fun (h: Member[]) (members: Member[]) -> h.Length >= Quorum.write members.Length)
            holders
            move.Takers

    let private certificates (move: Move) (holders: Member[][]) : Certificate[] =
        let held = Array.map (fun (m: Member) -> m.Replica, m.Incarnation)

        Array.map2
            (fun (target: TargetShard) (h: Member[]) ->
                let passes = h |> Array.choose _.Pass

                {
                    Target = target.Shard
                    JointEpoch = move.JointEpoch
                    Holders = held h
                    Sources = held (confirmedOwners move)
                    Entries = passes |> Array.map _.Compared |> Array.max
                    Copied = passes |> Array.sumBy _.Copied
                    Digest = passes[0].MergeDigest
                    Watermark = passes |> Array.map _.Watermark |> Array.max
                })
            move.Targets
            holders

    let private proving (d: Draft) i =
        match check d i with
        | None -> ()
        | Some holders when isProven (d.Move i) holders ->
            if d.PublishNext i (fun route -> { route with Stage = Stage.Switched }) then
                d.ChangeMove i (fun m -> {
                    m with
                        Certificates = certificates m holders
                })

                d.SetStep i Activating
        | Some _ -> fallBack d i "a target lost its store, or could not be asked, before it was switched to" false

    /// The certificate as it was given, held by as many of the same incarnations still.
    let private reproving (d: Draft) i =
        match check d i with
        | None -> ()
        | Some holders when isProven (d.Move i) holders ->
            let route = d.SourceRoute i

            let ended = {
                route with
                    Epoch = route.Epoch + 1L
                    Stage = Retired
            }

            let changes =
                if d.State.Plan.KeepsLayout then
                    [|
                        {
                            Shard = route.Shard
                            FromEpoch = route.Epoch
                            Route =
                                Some {
                                    ended with
                                        Stage = Owned
                                        Owners = (d.Move i).Targets[0].Nodes
                                        Targets = [||]
                                        Fences = [||]
                                        Migration = 0L
                                        Writer = {
                                            route.Writer with
                                                Term = route.Writer.Term + 1L
                                        }
                                }
                        }
                    |]
                else
                    [|
                        yield {
                            Shard = route.Shard
                            FromEpoch = route.Epoch
                            Route = Some ended
                        }
                        for target in (d.Move i).Targets do
                            yield
                                match d.State.Routes.TryFind target.Shard with
                                | Some known -> {
                                    Shard = target.Shard
                                    FromEpoch = known.Epoch
                                    Route =
                                        Some {
                                            known with
                                                Epoch = known.Epoch + 1L
                                                Fences = Array.append known.Fences [| ended.Stamp |]
                                                Writer = {
                                                    known.Writer with
                                                        Term = max known.Writer.Term route.Writer.Term + 1L
                                                }
                                        }
                                  }
                                | None -> {
                                    Shard = target.Shard
                                    FromEpoch = 0L
                                    Route =
                                        Some {
                                            Shard = target.Shard
                                            Range = target.Range
                                            Epoch = 1L
                                            Stage = Owned
                                            Owners = target.Nodes
                                            Targets = [||]
                                            Writer = {
                                                route.Writer with
                                                    Term = route.Writer.Term + 1L
                                            }
                                            Fences = [| ended.Stamp |]
                                            Migration = 0L
                                        }
                                  }
                    |]

            if d.Publish changes None then
                d.SetStep i Retiring
        | Some _ -> fallBack d i "a target lost its store, or could not be asked, before the source was to retire" false

    let private closing (d: Draft) i =
        let route = d.SourceRoute i

        for m in Move.takers (d.Move i) do
            d.Ensure i m Ending (fun () ->
                RaiseBarrier(
                    m.Replica.Node,
                    {
                        Stamp = route.Stamp
                        Store = m.Replica.Store
                        Route = Some route
                    }
                ))

        if
            (d.Move i).Takers
            |> Array.forall (fun members ->
                (members |> Array.filter (fun m -> m.Is(Ending, Done))).Length
                >= Quorum.barrier members.Length)
        then
            d.SetStep i Cleaning

    /// Drops what `pick` names; true when none is left to wait for. Staging is dropped in whichever incarnation: it was
    /// made for this migration, and a late making may have put another in its place.
    let private dropAll (d: Draft) i (pick: Move -> Member[]) (isStaging: bool) =
        let route = d.SourceRoute i
        let move = d.Move i

        for m in pick move do
            if (m.Chore Dropping).Failures < d.State.Limits.MaxDropFailures then
                d.Ensure i m Dropping (fun () ->
                    DropStore(
                        m.Replica.Node,
                        {
                            Stamp = route.Stamp
                            Store = m.Replica.Store
                            Incarnation = (if isStaging then Guid.Empty else m.Incarnation)
                            Migration = (if isStaging then d.State.Plan.Migration else 0L)
                        }
                    ))

        let left = pick (d.Move i) |> Array.filter (fun m -> not (m.Is(Dropping, Done)))

        if
            left
            |> Array.forall (fun m -> (m.Chore Dropping).Failures >= d.State.Limits.MaxDropFailures)
        then
            d.ChangeMove i (fun m -> {
                m with
                    Leftovers = Array.append m.Leftovers (left |> Array.map _.Replica) |> Array.distinct
            })

            true
        else
            false

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
                raiseOwners d i

            d.SetStep i Copying
        | Draining
        | DeltaPass
        | Proving
        | Holding when Option.isSome (lostStaging d i) ->
            let lost = (lostStaging d i).Value.Replica
            fallBack d i $"{lost} lost its store: it is made again before the shard can be switched to it" false
        | Copying when mayBegin -> copying d i
        | Ready when
            mayBegin
            && d.State.CutoverOrdered
            && not m.Held
            && joining d < d.State.Limits.MaxJoint
            ->
            if d.PublishNext i (fun r -> { r with Stage = Joint }) then
                d.ChangeMove i (fun m -> {
                    m with
                        JointEpoch = (d.SourceRoute i).Epoch + 1L
                        Reason = ""
                })

                d.SetStep i Joining
        | Joining when stage = Some Joint -> d.SetStep i Draining
        | Draining -> draining d i
        | DeltaPass -> deltaPass d i
        | Proving -> proving d i
        | Activating when stage = Some Switched -> d.SetStep i Holding
        | Holding when
            mayBegin
            && d.State.RetentionTimer = -1L
            && (d.State.Moves
                |> Array.filter (fun o -> o.Step >= Reproving && o.Step <= Cleaning)
                |> Array.length)
                <
                d.State.Limits.MaxRetiring
            ->
            d.ChangeMove i (Move.forget [ Checking ])
            d.SetStep i Reproving
        | Reproving -> reproving d i
        | Retiring when stage = Some Retired || (d.State.Plan.KeepsLayout && stage = Some Owned) -> d.SetStep i Closing
        | Closing -> closing d i
        | Cleaning ->
            if dropAll d i Move.leaving false then
                d.SetStep i Finished
        | Undoing when stage = Some Owned ->
            raiseOwners d i
            d.SetStep i Clearing
        | Clearing when d.State.Moves |> Array.forall (fun o -> o.Step >= Clearing) ->
            if dropAll d i Move.staging true then
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
                d.ChangeMove i (Move.forget [ Making; Filling; Fencing; Passing; Checking ])
                d.ChangeMove i (fun m -> { m with Certificates = [||] })
                d.SetStep i Undoing

    /// Writers that were named while their shard's route was being published.
    let private writers (d: Draft) =
        for KeyValue(shard, (router, incarnation)) in d.State.Writers do
            match d.State.Routes |> Map.tryFind shard with
            | Some route when route.Stage <> Retired && not (route.Writer.Is(router, incarnation)) ->
                let next = {
                    route with
                        Epoch = route.Epoch + 1L
                        Writer = {
                            Router = router
                            Incarnation = incarnation
                            Term = route.Writer.Term + 1L
                        }
                }

                if
                    d.Publish
                        [|
                            {
                                Shard = shard
                                FromEpoch = route.Epoch
                                Route = Some next
                            }
                        |]
                        None
                then
                    d.State <- {
                        d.State with
                            Writers = d.State.Writers.Remove shard
                    }
            | _ ->
                d.State <- {
                    d.State with
                        Writers = d.State.Writers.Remove shard
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
