namespace Miroir.Explorer

open System.Collections.Concurrent
open System.Threading
open Miroir.Core
open Miroir.Core.Cutover

/// What came of one observation: the next state, what goes out, and what the numbers of the effects still awaited are
/// now (they are given anew, so that states that differ in numbers alone are one).
type Stepped = {
    Next: Coordinator
    /// Sequence 0: no answer is awaited.
    Sent: (int64 * Action)[]
    Renamed: struct (int64 * int64)[]
    Broken: string
    IsRefused: bool
}

/// The shipped transition, stepped once for each state and observation.
[<RequireQualifiedAccess>]
module Coordination =

    /// Numbers from here on are not given anew: a mutant names effects by what they are about.
    [<Literal>]
    let Kept = 1_000_000L

    let private interned = ConcurrentDictionary<Fingerprint, Coordinator>()
    let private folded = ConcurrentDictionary<int, Coordinator>()
    let private stepped = ConcurrentDictionary<struct (int * Fingerprint), Stepped>()
    let private started = ConcurrentDictionary<Fingerprint, Stepped>()
    let mutable private count = 0

    let mutable private folds = true

    /// Everything known is forgotten: another configuration, or another fault. `isReduced`: failures are counted up to
    /// where nothing looks further; otherwise a few more are (not all, or the states would have no end).
    let reset (isReduced: bool) =
        folds <- isReduced
        interned.Clear()
        folded.Clear()
        stepped.Clear()
        started.Clear()
        count <- 0

    let private intern (state: State) : Coordinator =
        let print = Encoder.Of(fun e -> Encode.state e state)

        match interned.TryGetValue print with
        | true, known -> known
        | _ -> interned.GetOrAdd(print, Coordinator(Interlocked.Increment &count, state, print))

    /// Failures are counted up to where nothing looks further, so that retrying for ever is a circle. A copy's choose
    /// which owner it reads from, in turn; all others are held against limits.
    let private fold (isTight: bool) (limits: Limits) (owners: int) (kind: TaskKind) failures =
        match kind with
        | Filling -> failures % (if isTight then owners else 2 * owners)
        | _ ->
            let most = List.max [ 3; limits.MaxDeltaFailures; limits.MaxDropFailures ]
            min failures (if isTight then most else most + 2)

    let private foldMember isTight limits owners (m: Member) = {
        m with
            Chores =
                m.Chores
                |> Map.map (fun kind c -> {
                    c with
                        Failures = fold isTight limits owners kind c.Failures
                })
    }

    let private foldMove isTight limits (m: Move) =
        let members = Array.map (foldMember isTight limits m.Owners.Length)

        {
            m with
                Owners = members m.Owners
                Takers = Array.map members m.Takers
        }

    /// The state, with failures counted up to where nothing looks further.
    let reduced (coordinator: Coordinator) : Coordinator =
        if folds then
            coordinator
        else
            match folded.TryGetValue coordinator.Number with
            | true, known -> known
            | _ ->
                let state = coordinator.State

                let less =
                    intern {
                        state with
                            Moves = state.Moves |> Array.map (foldMove true state.Limits)
                    }

                folded.GetOrAdd(coordinator.Number, less)

    let private renumber (state: State) : State * (int64 -> int64) =
        let order =
            state.Outstanding.Keys
            |> Seq.filter (fun s -> s < Kept)
            |> Seq.sort
            |> Seq.mapi (fun i s -> s, int64 i + 1L)
            |> Map.ofSeq

        let rename s =
            if s <= 0L || s >= Kept then
                s
            else
                order |> Map.tryFind s |> Option.defaultValue 0L

        let chore (c: Chore) = {
            c with
                Status =
                    (match c.Status with
                     | Busy s -> Busy(rename s)
                     | Resting s -> Resting(rename s)
                     | other -> other)
                LastError = ""
        }

        let member' (m: Member) = {
            m with
                Chores = m.Chores |> Map.map (fun _ c -> chore c)
        }

        let move (given: Move) =
            let m = foldMove folds state.Limits given

            {
                m with
                    Owners = m.Owners |> Array.map member'
                    Takers = m.Takers |> Array.map (Array.map member')
                    DrainTimer = rename m.DrainTimer
                    Writer = chore m.Writer
                    DeltaCompared = 0L
                    DeltaCopied = 0L
                    Reason = ""
            }

        let renumbered = {
            state with
                Moves = state.Moves |> Array.map move
                Outstanding =
                    state.Outstanding
                    |> Map.toSeq
                    |> Seq.map (fun (s, (effect, purpose)) -> rename s, ({ effect with Sequence = rename s }, purpose))
                    |> Map.ofSeq
                Publishing =
                    state.Publishing
                    |> Map.toSeq
                    |> Seq.map (fun (s, p) -> rename s, p)
                    |> Map.ofSeq
                RetentionTimer = rename state.RetentionTimer
                NextSequence = int64 order.Count + 1L
                Timeline = []
        }

        if state.IsEnded then
            // Nothing is awaited, and nothing more follows.
            {
                renumbered with
                    Moves = [||]
                    Outstanding = Map.empty
                    Publishing = Map.empty
                    Writers = Map.empty
                    Routes = Map.empty
                    NextSequence = 1L
            },
            (fun _ -> 0L)
        else
            renumbered, rename

    let mutable private judgesSafety = true

    /// Whether `Safety` is held against each step: a mutant's run is to be told by what happens to documents.
    let judge (safety: bool) = judgesSafety <- safety

    let private conclude (before: int64 seq) (outcome: Result<State * Effect list, Rejection>) : Stepped voption =
        match outcome with
        | Error _ -> ValueNone
        | Ok(state, effects) ->
            let broken =
                if not judgesSafety then
                    ""
                else
                    let all = [
                        yield! Safety.check state
                        for effect in effects do
                            yield! Safety.allows state effect
                    ]

                    match all with
                    | [] -> ""
                    | first :: _ -> $"the coordinator breaks a rule: {first}"

            let broken =
                if state.Status = Deposed then
                    "the only leader takes itself for deposed"
                else
                    broken

            let next, rename = renumber state

            let isAwaited s = state.Outstanding.ContainsKey s

            ValueSome {
                Next = intern next
                Sent = [|
                    for effect in effects do
                        match effect.Action with
                        | Cancel _ -> ()
                        | action ->
                            (if isAwaited effect.Sequence then
                                 rename effect.Sequence
                             else
                                 0L),
                            action
                |]
                Renamed = [|
                    for s in before do
                        struct (s, (if isAwaited s || s >= Kept then rename s else 0L))
                |]
                Broken = broken
                IsRefused = false
            }

    let private begin' (plan: Plan) : Stepped =
        match Transition.start 0L plan with
        | Error why -> failwith why.Message
        | Ok(state, effects) ->
            match
                Transition.step state {
                    AtUnixMs = 0L
                    Event = Ordered Order.Cutover
                }
            with
            | Error why -> failwith why.Message
            | Ok(state, more) ->
                match conclude [] (Ok(state, effects @ more)) with
                | ValueSome done' -> done'
                | ValueNone -> failwith "a migration did not start"

    /// A migration's first state. Within a configuration, its number and the routes it starts from say the rest of its
    /// plan.
    let start (plan: Plan) : Stepped =
        let print =
            Encoder.Of(fun e ->
                e.Num plan.Migration
                e.Each plan.Moves (fun m -> Encode.route e m.Route))

        match started.TryGetValue print with
        | true, known -> known
        | _ -> started.GetOrAdd(print, begin' plan)

    /// A coordinator that has nothing to do.
    let idle (plan: Plan) : Coordinator =
        match Transition.start 0L plan with
        | Error why -> failwith why.Message
        | Ok(state, _) -> intern (fst (renumber { state with Status = Complete }))

    let step (coordinator: Coordinator) (event: Event) (print: Fingerprint) : Stepped =
        let key = struct (coordinator.Number, print)

        match stepped.TryGetValue key with
        | true, known -> known
        | _ ->
            let state = coordinator.State

            let result =
                match conclude state.Outstanding.Keys (Transition.step state { AtUnixMs = 0L; Event = event }) with
                | ValueSome done' -> done'
                | ValueNone -> {
                    Next = coordinator
                    Sent = [||]
                    Renamed = [||]
                    Broken = ""
                    IsRefused = true
                  }

            stepped.GetOrAdd(key, result)
