namespace Miroir.Core

open System

type PutPurpose =
    | NewVersion = 0
    | PutBack = 1

type ReplicaProgress =
    | Awaited = 0
    | Holding = 1
    | Missing = 2
    | Barred = 3
    | Full = 4

[<RequireQualifiedAccess>]
type WriteVerdict =
    | Open
    | Acknowledged of WasLive: bool
    | Inspect of EndedBy: Route
    | Overtaken of Stored: DocumentVersion
    | DiskFull of Refusal
    | Unknown of Why: string

[<RequireQualifiedAccess>]
type WriteInput =
    | Replied of Epoch: int64 * Replica: Replica * Reply: PutReply
    | NoAnswer of Epoch: int64 * Replica: Replica
    | RouteIs of Route
    | Retry
    | Deadline
    | GivenUp of Why: string

[<RequireQualifiedAccess>]
type WriteEffect =
    | Send of Epoch: int64 * Replicas: Replica[]
    | LearnRoute of Epoch: int64 * Route: Route option

[<Sealed>]
type WriteState
    internal
    (
        version: DocumentVersion,
        keyHash: uint64,
        purpose: PutPurpose,
        route: Route,
        quorums: Replica[][],
        replicas: Replica[],
        progress: ReplicaProgress[],
        wasLive: bool,
        mayLand: bool,
        lastTrouble: string,
        verdict: WriteVerdict
    ) =
    static member internal IsMissing(progress: ReplicaProgress) =
        progress = ReplicaProgress.Missing || progress = ReplicaProgress.Full

    member _.Version = version
    member _.Route = route
    member _.Replicas = replicas
    member _.Progress = progress
    member _.Verdict = verdict
    member _.IsOpen = verdict.IsOpen
    member _.HasMissing = Array.exists WriteState.IsMissing progress
    member _.HasAwaited = Array.IndexOf(progress, ReplicaProgress.Awaited) >= 0
    member internal _.KeyHash = keyHash
    member internal _.Purpose = purpose
    member internal _.Quorums = quorums
    member internal _.WasLive = wasLive
    /// Whether some node may have stored this version, or may yet, without its answer being counted under this epoch.
    member internal _.MayLand = mayLand
    member internal _.LastTrouble = lastTrouble

    member internal _.With(progress', wasLive', mayLand', lastTrouble', verdict') =
        WriteState(
            version,
            keyHash,
            purpose,
            route,
            quorums,
            replicas,
            progress',
            wasLive',
            mayLand',
            lastTrouble',
            verdict'
        )

    member internal this.Decided(verdict') =
        this.With(progress, wasLive, mayLand, lastTrouble, verdict')

[<RequireQualifiedAccess>]
module WriteMachine =

    /// Everything starts from nothing under a route: no answer of another epoch is carried over.
    let private under (route: Route) keyHash version purpose wasLive mayLand lastTrouble =
        let plan = route.Plan keyHash
        let replicas = Sets.distinct plan.Quorums plan.Extra

        let state =
            WriteState(
                version,
                keyHash,
                purpose,
                route,
                plan.Quorums,
                replicas,
                Array.zeroCreate replicas.Length,
                wasLive,
                mayLand,
                lastTrouble,
                WriteVerdict.Open
            )

        struct (state, [ WriteEffect.Send(route.Epoch, replicas) ])

    let start (route: Route) keyHash version purpose =
        under route keyHash version purpose false false ""

    let private unchanged (state: WriteState) : struct (WriteState * WriteEffect list) = struct (state, [])

    /// A replica now has this progress; acknowledged once every set has its write quorum.
    let private mark (state: WriteState) (i: int) (now: ReplicaProgress) (wasLive: bool) (trouble: string) =
        let progress = Array.copy state.Progress
        progress[i] <- now
        let wasLive = state.WasLive || wasLive

        let verdict =
            if
                now = ReplicaProgress.Holding
                && Sets.everySet state.Quorums Quorum.write state.Replicas (fun r ->
                    progress[r] = ReplicaProgress.Holding)
            then
                WriteVerdict.Acknowledged wasLive
            else
                WriteVerdict.Open

        state.With(progress, wasLive, state.MayLand, (if trouble = "" then state.LastTrouble else trouble), verdict)

    let private mayLand (state: WriteState) =
        if state.MayLand then
            state
        else
            state.With(state.Progress, state.WasLive, true, state.LastTrouble, state.Verdict)

    let private failed (state: WriteState) i (trouble: string) =
        // A replica that answered once that it holds the version does not lose it by being asked again.
        if state.Progress[i] = ReplicaProgress.Awaited then
            struct (mark state i ReplicaProgress.Missing false trouble, [])
        else
            unchanged state

    /// A full disk is no passing trouble: to wait for it until the deadline would tell the client less, and later. But
    /// only what is certain is told: every put of this version that was ever sent, under each epoch so far, has been
    /// answered, and each answer was a refusal, which a node gives only for what it has not stored. (Every send has one
    /// answer; where it was given up as unanswered, or an epoch ended over it, MayLand stays true for good.) Nothing
    /// follows a verdict, so that nothing of it can land later. What a put-back holds is somewhere by its nature.
    let private isCertainlyFull (state: WriteState) =
        state.Purpose = PutPurpose.NewVersion
        && not state.MayLand
        && Array.forall WriteState.IsMissing state.Progress
        && state.Quorums
           |> Array.exists (fun set ->
               let full =
                   Sets.count set state.Replicas (fun i -> state.Progress[i] = ReplicaProgress.Full)

               set.Length - full < Quorum.write set.Length)

    let private full (state: WriteState) i (refusal: Refusal) =
        if state.Progress[i] <> ReplicaProgress.Awaited then
            unchanged state
        else
            let node = state.Replicas[i].Node
            let trouble = $"{node}: {refusal.Message}"
            struct (mark state i ReplicaProgress.Full false trouble, [])

    /// After an answer that was no "stored".
    let private unlessFull struct (state: WriteState, effects: WriteEffect list) =
        if state.IsOpen && isCertainlyFull state then
            let refusal: Refusal = {
                Code = RefusalCode.DiskFull
                Message = state.LastTrouble
            }

            struct (state.Decided(WriteVerdict.DiskFull refusal), effects)
        else
            struct (state, effects)

    let private barred (state: WriteState) i trouble effects =
        if
            state.Progress[i] = ReplicaProgress.Holding
            || state.Progress[i] = ReplicaProgress.Barred
        then
            unchanged state
        else
            struct (mark state i ReplicaProgress.Barred false trouble, effects)

    let private held (state: WriteState) i wasLive =
        if state.Progress[i] = ReplicaProgress.Holding then
            unchanged state
        else
            struct (mark state i ReplicaProgress.Holding wasLive "", [])

    let private replied (state: WriteState) i (reply: PutReply) =
        let node = state.Replicas[i].Node

        match reply with
        | Applied previousWasLive -> held state i previousWasLive
        | Superseded stored when stored.Term = state.Version.Term && not (Versions.isLater state.Version stored) ->
            held state i false
        | Superseded stored when Versions.isLater stored state.Version && Mutants.supersededCountedAcrossTerms () ->
            held state i false
        | Superseded stored when Versions.isLater stored state.Version ->
            // A greater version of a later term may rest on a state that never saw this one: it proves nothing.
            match state.Purpose with
            | PutPurpose.PutBack -> struct (state.Decided(WriteVerdict.Overtaken stored), [])
            | _ -> barred (mayLand state) i $"{node} holds {stored}, of a later term" []
        | Superseded stored -> failed (mayLand state) i $"{node} would not take {state.Version} over {stored}"
        | StaleEpoch(epoch, route) when epoch > state.Route.Epoch ->
            barred state i $"{node} follows epoch {epoch}" [ WriteEffect.LearnRoute(epoch, route) ]
        | StaleEpoch(epoch, _) -> failed state i $"{node} refused epoch {state.Route.Epoch}, being at {epoch} itself"
        | NotServing -> failed state i $"{node} does not serve {state.Replicas[i].Store}" |> unlessFull
        | Refused refusal when refusal.Code = RefusalCode.DiskFull -> full state i refusal |> unlessFull
        | Refused refusal -> failed state i $"{node}: {refusal.Message}" |> unlessFull

    let private toReplica (state: WriteState) (epoch: int64) (replica: Replica) act =
        if epoch <> state.Route.Epoch && not (Mutants.epochOfAnswersIgnored ()) then
            unchanged state
        else
            match Sets.indexOf state.Replicas replica with
            | -1 -> unchanged state
            | i -> act i

    let private routeIs (state: WriteState) (route: Route) =
        if route.Epoch <= state.Route.Epoch || route.Shard <> state.Route.Shard then
            unchanged state
        elif
            route.Stage = Retired
            || (route.Writer <> state.Route.Writer && not (Mutants.putGoesOnInAnotherTerm ()))
        then
            struct (state.Decided(WriteVerdict.Inspect route), [])
        else
            let isOpenOrHeld =
                state.Progress
                |> Array.exists (fun p -> p = ReplicaProgress.Awaited || p = ReplicaProgress.Holding)

            let struct (fresh, effects) =
                under
                    route
                    state.KeyHash
                    state.Version
                    state.Purpose
                    state.WasLive
                    (state.MayLand || isOpenOrHeld)
                    state.LastTrouble

            if Mutants.answersCarriedAcrossEpochs () then
                let carried =
                    fresh.Replicas
                    |> Array.map (fun replica ->
                        match Sets.indexOf state.Replicas replica with
                        | i when i >= 0 && state.Progress[i] = ReplicaProgress.Holding -> ReplicaProgress.Holding
                        | _ -> ReplicaProgress.Awaited)

                struct (fresh.With(carried, fresh.WasLive, fresh.MayLand, fresh.LastTrouble, WriteVerdict.Open), effects)
            else
                struct (fresh, effects)

    let step (state: WriteState) (input: WriteInput) : struct (WriteState * WriteEffect list) =
        if not state.IsOpen then
            unchanged state
        else
            match input with
            | WriteInput.Replied(epoch, replica, reply) ->
                toReplica state epoch replica (fun i -> replied state i reply)
            | WriteInput.NoAnswer(epoch, replica) ->
                toReplica state epoch replica (fun i -> failed (mayLand state) i $"{replica.Node} did not answer")
            | WriteInput.RouteIs route -> routeIs state route
            | WriteInput.Retry ->
                let again = ResizeArray<Replica>()
                let progress = Array.copy state.Progress

                for i in 0 .. progress.Length - 1 do
                    if WriteState.IsMissing progress[i] then
                        progress[i] <- ReplicaProgress.Awaited
                        again.Add state.Replicas[i]

                if again.Count = 0 then
                    unchanged state
                else
                    struct (state.With(progress, state.WasLive, state.MayLand, state.LastTrouble, WriteVerdict.Open),
                            [ WriteEffect.Send(state.Route.Epoch, again.ToArray()) ])
            | WriteInput.GivenUp why -> struct (state.Decided(WriteVerdict.Unknown why), [])
            | WriteInput.Deadline ->
                let waiting = [
                    for i in 0 .. state.Replicas.Length - 1 do
                        if state.Progress[i] <> ReplicaProgress.Holding then
                            state.Replicas[i].Node
                ]

                let trouble =
                    if state.LastTrouble = "" then
                        ""
                    else
                        $"; last: {state.LastTrouble}"

                let missing = String.Join(", ", waiting)

                let why =
                    $"no write quorum confirmed {state.Version} under {state.Route.Stamp} in time; missing: {missing}{trouble}"

                struct (state.Decided(WriteVerdict.Unknown why), [])
