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

    /// What the proof of a certificate from elsewhere has to be: of this Joint, by owners that confirmed its barrier,
    /// held by a write quorum of the target, all of them in the incarnations that are known. "" where it is.
    let whyNot (move: Move) (certificate: Certificate) : string =
        let known (members: Member[]) (named: (Replica * Guid)[]) =
            named.Length = (named |> Array.distinctBy fst).Length
            && named
               |> Array.forall (fun (replica, incarnation) ->
                   incarnation <> Guid.Empty
                   && members
                      |> Array.exists (fun m -> m.Replica = replica && m.Incarnation = incarnation))

        match move.Targets |> Array.tryFindIndex (fun t -> t.Shard = certificate.Target) with
        | None -> $"{certificate.Target} is no target of {move.Source}"
        | Some at ->
            let takers = move.Takers[at]

            if Mutants.certificateNotExamined () then
                ""
            elif move.Step <> Holding then
                $"{move.Source} is not kept in Switched: it is {move.Step}"
            elif certificate.JointEpoch <> move.JointEpoch then
                $"it is of Joint epoch {certificate.JointEpoch}, not {move.JointEpoch}"
            elif not (known takers certificate.Holders) then
                "a holder is no node of the target, or has another store than the one that was made"
            elif certificate.Holders.Length < Quorum.write takers.Length then
                $"{certificate.Holders.Length} holders are no write quorum of {takers.Length}"
            elif not (known (confirmedOwners move) certificate.Sources) then
                "a source is no owner that confirmed the Joint barrier, or has another store now"
            elif certificate.Sources.Length < Quorum.barrier move.Owners.Length then
                $"{certificate.Sources.Length} sources are too few of {move.Owners.Length} owners"
            else
                ""

    /// The certificate stands for the delta pass that was skipped.
    let certify (d: Draft) i (certificate: Certificate) =
        let pass = {
            emptyPass with
                Compared = certificate.Entries
                Copied = certificate.Copied
                MergeDigest = certificate.Digest
                Watermark = certificate.Watermark
        }

        for replica, _ in certificate.Holders do
            d.ChangeMove i (Move.mapMember replica (fun m -> { m with Pass = Some pass }))
            d.Succeed i replica Passing

        d.ChangeMove i (fun m ->
            let others =
                m.Certificates |> Array.filter (fun c -> c.Target <> certificate.Target)

            let order (c: Certificate) =
                m.Targets |> Array.findIndex (fun t -> t.Shard = c.Target)

            {
                m with
                    Certificates = Array.append others [| certificate |] |> Array.sortBy order
                    Reason = ""
            })

    /// Every target is proven, by a delta pass or by what stands for it.
    let isReleased (move: Move) =
        move.Certificates.Length = move.Targets.Length
        || Mutants.certificateNotAwaited ()

    let private switch (d: Draft) i : bool =
        d.PublishNext i (fun route -> { route with Stage = Stage.Switched })

    /// The delta passes of a move go out, where they are not out yet.
    let private pass (d: Draft) i =
        let route = d.SourceRoute i

        let sources =
            match confirmedOwners (d.Move i) with
            | [||] when
                Mutants.drainTimeoutIgnored ()
                || Mutants.barrierOneTooFew ()
                || Mutants.finalReadBeforeTheBarrier ()
                ->
                (d.Move i).Owners
            | confirmed -> confirmed

        Filling.eachTaker (d.Move i) (fun target taker ->
            if Mutants.deltaPassLeftOut () || d.State.Limits.IsUnproven then
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

    /// What a fault makes of it: the passes of a move that is not in Joint yet.
    let passEarly (d: Draft) i =
        if Move.takers (d.Move i) |> Array.forall (fun m -> m.Is(Filling, Done)) then
            pass d i
        else
            d.SetStep i Copying

    let private compare (d: Draft) i =
        pass d i
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

    let deltaPass (d: Draft) i =
        // Without anti-entropy a plan that skips was refused, unless that rule is left out to see what it is worth.
        if d.State.Limits.SkipDeltaPass && d.State.Limits.AntiEntropy then
            if switch d i then
                d.SetStep i Activating
        else
            compare d i

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

    /// What a fault makes of it: Switched with the makings' word for it that anything was compared.
    let activateUndrained (d: Draft) i =
        if switch d i then
            for m in Move.takers (d.Move i) do
                d.ChangeMove i (Move.mapMember m.Replica (fun m -> { m with Pass = Some emptyPass }))
                d.Succeed i m.Replica Passing

            d.ChangeMove i (fun m -> {
                m with
                    Certificates = certificates m m.Takers
            })

            d.SetStep i Activating

    let proving (d: Draft) i =
        match check d i with
        | None -> ()
        | Some holders when isProven (d.Move i) holders ->
            if switch d i then
                d.ChangeMove i (fun m -> {
                    m with
                        Certificates = certificates m holders
                })

                d.SetStep i Activating
        | Some _ ->
            Filling.fallBack d i "a target lost its store, or could not be asked, before it was switched to" false
