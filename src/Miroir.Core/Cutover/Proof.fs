namespace Miroir.Core.Cutover

open System
open Miroir.Core
open Miroir.Core.Cutover

/// From Joint to the certificate: the barrier, the delta pass, and the proof that Switched needs.
[<RequireQualifiedAccess>]
module internal Proof =

    let joining (d: Draft) =
        d.State.Moves
        |> Array.filter (fun m -> m.Step >= Joining && m.Step <= Activating)
        |> Array.length

    let confirmedOwners (move: Move) =
        if Mutants.jointBarrierLeftOut () then
            move.Owners
        else
            move.Owners |> Array.filter (fun m -> m.Is(Fencing, Done))

    /// The writes that began before Joint are waited for since an operator wants to know of them: whatever becomes of
    /// them, none can be acknowledged any more by what stands in for the older epoch once the barrier is confirmed.
    let private askWriter (d: Draft) i =
        let writer = (d.SourceRoute i).Writer

        let isAnothers =
            match (d.Move i).Writer.Status with
            | Busy sequence ->
                match d.State.Outstanding |> Map.tryFind sequence with
                | Some({ Action = AskWriter(router, _) }, _) -> router <> writer.Router
                | _ -> false
            | _ -> false

        if isAnothers then
            d.Withdraw(function
                | ForWriter m -> m = i
                | _ -> false)

            d.ChangeMove i (fun m -> { m with Writer = Chore.Fresh })

        let move = d.Move i

        if move.Writer.Status = Idle then
            if not d.State.Limits.AwaitWrites || writer.IsNone then
                d.ChangeMove i (fun m -> {
                    m with
                        Writer = { m.Writer with Status = Done }
                })
            else
                let stamp = {
                    Shard = move.Source
                    Epoch = move.JointEpoch
                }

                let sequence = d.Issue (AskWriter(writer.Router, stamp)) (ForWriter i)

                d.ChangeMove i (fun m -> {
                    m with
                        Writer = { m.Writer with Status = Busy sequence }
                })

    let draining (d: Draft) i =
        let move = d.Move i
        let route = d.SourceRoute i

        if move.DrainTimer = 0L then
            let timer = d.Issue (Wait d.State.Limits.DrainTimeoutMs) (ForDrain i)
            d.ChangeMove i (fun m -> { m with DrainTimer = timer })

        for owner in (if Mutants.jointBarrierLeftOut () then [||] else move.Owners) do
            d.Ensure i owner Fencing (fun () ->
                RaiseBarrier(
                    owner.Replica.Node,
                    {
                        Stamp = route.Stamp
                        Store = owner.Replica.Store
                        Route = Some route
                    }
                ))

        askWriter d i
        let isTimedOut = (d.Move i).DrainTimer = -1L

        let isConfirmed =
            (confirmedOwners (d.Move i)).Length >= Quorum.barrier move.Owners.Length

        if
            (isConfirmed && (d.Move i).Writer.Status = Done)
            || (isTimedOut && Mutants.drainTimeoutIgnored ())
        then
            d.Withdraw(function
                | ForDrain m
                | ForWriter m -> m = i
                | _ -> false)

            d.ChangeMove i (fun m -> {
                m with
                    DrainTimer = 0L
                    Reason = if isTimedOut then "" else m.Reason
                    DrainMs = m.DrainMs + d.State.NowUnixMs - m.StepSinceUnixMs
            })

            d.SetStep i DeltaPass
        elif isTimedOut && isConfirmed then
            d.ChangeMove i (fun m -> {
                m with
                    Reason =
                        $"writes that began before the cutover were still open after {d.State.Limits.DrainTimeoutMs} ms: 'writes list --stuck' shows them, 'writes fail' gives one up; the shard goes on when there is none"
            })
        elif isTimedOut then
            Filling.fallBack
                d
                i
                $"the owners did not confirm the barrier within {d.State.Limits.DrainTimeoutMs} ms: say cutover again when they are reachable"
                true

    let emptyPass: ReconcileProgress = {
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
    let enough (d: Draft) (move: Move) (kind: TaskKind) =
        move.Takers
        |> Array.forall (fun members ->
            let finished, rest = members |> Array.partition (fun m -> m.Is(kind, Done))

            finished.Length >= Quorum.write members.Length
            && rest |> Array.forall (fun m -> (m.Chore kind).Failures >= 3))

    let tooManyFailures (d: Draft) (move: Move) (kind: TaskKind) =
        Move.takers move
        |> Array.tryPick (fun m ->
            let chore = m.Chore kind

            if chore.Failures >= d.State.Limits.MaxDeltaFailures then
                Some $"{m.Replica.Node}: {chore.LastError}"
            else
                None)

    let deltaPass (d: Draft) i =
        let route = d.SourceRoute i

        let sources =
            match confirmedOwners (d.Move i) with
            | [||] when Mutants.drainTimeoutIgnored () || Mutants.barrierOneTooFew () -> (d.Move i).Owners
            | confirmed -> confirmed

        Filling.eachTaker (d.Move i) (fun target taker ->
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
                            Range = Filling.overlap route target
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
            | Some why -> Filling.fallBack d i $"the delta pass does not come to an end ({why})" false
            | None -> ()

    /// Asks the certificate's holders for their incarnations. Some: all asked, with those that are what they were.
    let check (d: Draft) i : Member[][] option =
        let route = d.SourceRoute i

        for m in Move.takers (d.Move i) do
            if Mutants.incarnationsNotChecked () then
                d.Succeed i m.Replica Checking
            elif m.Is(Passing, Done) then
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

    let isProven (move: Move) (holders: Member[][]) =
        Array.forall2
            (fun (h: Member[]) (members: Member[]) -> h.Length >= Quorum.write members.Length)
            holders
            move.Takers

    let certificates (move: Move) (holders: Member[][]) : Certificate[] =
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

    let proving (d: Draft) i =
        match check d i with
        | None -> ()
        | Some holders when isProven (d.Move i) holders ->
            if d.PublishNext i (fun route -> { route with Stage = Stage.Switched }) then
                d.ChangeMove i (fun m -> {
                    m with
                        Certificates = certificates m holders
                })

                d.SetStep i Activating
        | Some _ ->
            Filling.fallBack d i "a target lost its store, or could not be asked, before it was switched to" false
