namespace Miroir.Core

open System

[<RequireQualifiedAccess>]
type ReadInput =
    | Replied of Epoch: int64 * Replica: Replica * Reply: ReadReply
    | NoAnswer of Epoch: int64 * Replica: Replica
    | Retry
    | OutOfPatience

[<Struct>]
type Finding = {
    Document: Document | null
    Version: DocumentVersion
    IsConfirmed: bool
    IsHeld: bool
}

[<RequireQualifiedAccess>]
type ReadVerdict =
    | Asking
    | Found of Finding
    | PassToWriter of Why: string
    | StartAgain of Epoch: int64 * Route: Route option

/// One replica's part in a read.
[<Struct>]
type internal Heard =
    | Nothing
    | Failed
    | Holds of (Document | null)

    member this.Version =
        match this with
        | Holds held ->
            match held with
            | null -> DocumentVersion.Zero
            | document -> document.Version
        | _ -> DocumentVersion.Zero

[<Sealed>]
type ReadState
    internal
    (
        route: Route,
        quorums: Replica[][],
        preferred: Replica[],
        replicas: Replica[],
        heard: Heard[],
        trouble: string,
        verdict: ReadVerdict
    ) =
    member _.Route = route
    member _.Replicas = replicas
    member _.Verdict = verdict
    member _.IsOpen = verdict.IsAsking

    member _.HasFailed =
        Array.exists
            (function
            | Failed -> true
            | _ -> false)
            heard

    member internal _.Quorums = quorums
    member internal _.Heard = heard
    member internal _.Trouble = trouble

    member internal _.With(heard', trouble', verdict') =
        ReadState(route, quorums, preferred, replicas, heard', trouble', verdict')

    member internal this.Hearing(i: int, what: Heard, why: string) =
        let heard' = Array.copy heard
        heard'[i] <- what
        this.With(heard', (if why = "" then trouble else why), verdict)

    /// The highest version heard of. Where several replies carry it, the body is the preferred side's.
    member internal this.Highest: Finding =
        let mutable version = DocumentVersion.Zero

        for h in heard do
            if Versions.isLater h.Version version then
                version <- h.Version

        let holds i =
            match heard[i] with
            | Holds _ -> Versions.areSame heard[i].Version version
            | _ -> false

        let body: Document | null =
            if version.IsZero then
                null
            else
                let all = seq { 0 .. replicas.Length - 1 } |> Seq.filter holds

                let at =
                    all
                    |> Seq.tryFind (fun i -> Sets.indexOf preferred replicas[i] >= 0)
                    |> Option.defaultWith (fun () -> Seq.head all)

                match heard[at] with
                | Holds document -> document
                | _ -> null

        {
            Document = body
            Version = version
            IsConfirmed = Sets.everySet quorums Quorum.write replicas holds
            // Of the sets of a stage the owners' is the first.
            IsHeld = Sets.everySet (Array.truncate 1 quorums) Quorum.write replicas holds
        }

module internal Reading =

    let start (route: Route) (keyHash: uint64) : ReadState =
        let plan = route.Plan keyHash
        let replicas = Sets.distinct plan.Quorums [||]

        ReadState(
            route,
            plan.Quorums,
            plan.Eventual,
            replicas,
            Array.create replicas.Length Heard.Nothing,
            "",
            ReadVerdict.Asking
        )

    /// The reply taken down, or None where it changes nothing.
    let hear (state: ReadState) (input: ReadInput) : ReadState option =
        let at (epoch: int64) replica act =
            if epoch <> state.Route.Epoch then
                None
            else
                match Sets.indexOf state.Replicas replica with
                | -1 -> None
                | i -> act i

        let fail i why =
            match state.Heard[i] with
            | Heard.Nothing -> Some(state.Hearing(i, Failed, why))
            | _ -> None

        let hold i (document: Document | null) =
            match state.Heard[i] with
            // The first answer stands: a second one is of another moment, or the same reply again.
            | Holds _ -> None
            | _ -> Some(state.Hearing(i, Holds document, ""))

        match input with
        | ReadInput.Replied(epoch, replica, reply) ->
            at epoch replica (fun i ->
                match reply with
                | Found document -> hold i document
                | Absent -> hold i null
                | ReadStaleEpoch(known, route) when known > epoch && not (Mutants.readDoesNotStartAgain ()) ->
                    Some(state.With(state.Heard, state.Trouble, ReadVerdict.StartAgain(known, route)))
                | ReadStaleEpoch(known, _) -> fail i $"{replica.Node} refused epoch {epoch}, being at {known} itself"
                | ReadNotServing -> fail i $"{replica.Node} does not serve {replica.Store}"
                | ReadRefused refusal -> fail i $"{replica.Node}: {refusal.Message}")
        | ReadInput.NoAnswer(epoch, replica) -> at epoch replica (fun i -> fail i $"{replica.Node} did not answer")
        | ReadInput.Retry
        | ReadInput.OutOfPatience -> None

    let why (state: ReadState) =
        let trouble = if state.Trouble = "" then "" else $": {state.Trouble}"
        $"no write quorum of {state.Route.Stamp} was seen to hold one version{trouble}"

[<RequireQualifiedAccess>]
module ReadMachine =

    let start route keyHash = Reading.start route keyHash

    /// No reply still to come could make any version confirmed in every set.
    let private isHopeless (state: ReadState) (highest: DocumentVersion) =
        let could i =
            match state.Heard[i] with
            | Heard.Nothing -> true
            | Holds _ -> Versions.areSame state.Heard[i].Version highest
            | Failed -> false

        not (Sets.everySet state.Quorums Quorum.write state.Replicas could)

    let step (state: ReadState) (input: ReadInput) : ReadState =
        if not state.IsOpen then
            state
        else
            match input with
            | ReadInput.OutOfPatience ->
                state.With(state.Heard, state.Trouble, ReadVerdict.PassToWriter(Reading.why state))
            | _ ->
                match Reading.hear state input with
                | None -> state
                | Some heard when not heard.IsOpen -> heard
                | Some heard ->
                    let highest = heard.Highest

                    let isHeard i =
                        match heard.Heard[i] with
                        | Holds _ -> true
                        | _ -> false

                    if
                        highest.IsConfirmed
                        || (Mutants.readNotConfirmed ()
                            && Sets.everySet heard.Quorums Quorum.write heard.Replicas isHeard)
                    then
                        heard.With(heard.Heard, heard.Trouble, ReadVerdict.Found highest)
                    elif isHopeless heard highest.Version then
                        heard.With(heard.Heard, heard.Trouble, ReadVerdict.PassToWriter(Reading.why heard))
                    else
                        heard

[<RequireQualifiedAccess>]
module WriterRead =

    let start route keyHash = Reading.start route keyHash

    let private isHeard (state: ReadState) i =
        match state.Heard[i] with
        | Holds _ -> true
        | _ -> false

    let step (state: ReadState) (input: ReadInput) : struct (ReadState * Replica[]) =
        if not state.IsOpen then
            struct (state, [||])
        else
            match input with
            | ReadInput.Retry ->
                let heard = Array.copy state.Heard
                let again = ResizeArray<Replica>()

                for i in 0 .. heard.Length - 1 do
                    match heard[i] with
                    | Failed ->
                        heard[i] <- Heard.Nothing
                        again.Add state.Replicas[i]
                    | _ -> ()

                if again.Count = 0 then
                    struct (state, [||])
                else
                    struct (state.With(heard, state.Trouble, state.Verdict), again.ToArray())
            | ReadInput.OutOfPatience ->
                struct (state.With(state.Heard, state.Trouble, ReadVerdict.PassToWriter(Reading.why state)), [||])
            | _ ->
                match Reading.hear state input with
                | None -> struct (state, [||])
                | Some heard when
                    heard.IsOpen
                    && Sets.everySet heard.Quorums Quorum.write heard.Replicas (isHeard heard)
                    ->
                    struct (heard.With(heard.Heard, heard.Trouble, ReadVerdict.Found heard.Highest), [||])
                | Some heard -> struct (heard, [||])
