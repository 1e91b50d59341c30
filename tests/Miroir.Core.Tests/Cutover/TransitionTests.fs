/// The transition as a function: total, and bounded, whatever it is told.
module Miroir.Core.Tests.TransitionTests

open System
open NUnit.Framework
open FsCheck
open FsCheck.FSharp
open FsCheck.NUnit
open Miroir.Core
open Miroir.Core.Cutover
open Miroir.Core.Tests.Run

let private plans =
    [|
        plan (shards 2 3 2)
        plan (shards 3 2 2)
        rebalance [| "a"; "b" |] [| "b"; "c" |]
        rebalance [| "a" |] [| "b" |]
        rebalance [| "a"; "b"; "c" |] [| "c"; "d"; "e" |]
    |]
    |> Array.map (fun make ->
        make {
            Limits.Default with
                MaxDeltaFailures = 3
        })

/// An answer that would please: so that arbitrary answers reach the later steps too.
let pleasing (effect: Effect) (incarnation: Guid) : Answer =
    match effect.Action with
    | Publish _ -> Published
    | MakeStore _ -> MakeAnswered(Made incarnation)
    | RaiseBarrier _ -> BarrierAnswered(Confirmed incarnation)
    | Reconcile _ ->
        ReconcileAnswered(
            Progress {
                Position = null
                Compared = 1L
                Copied = 1L
                CopiedBytes = 1L
                CopiedTombstones = 0L
                MergeDigest = Digest.Zero
                Watermark = DocumentVersion.Zero
                Incarnation = incarnation
                IsComplete = true
            }
        )
    | DropStore _ -> DropAnswered Dropped
    | Inspect shards -> Inspected(Array.map (fun _ -> None) shards)
    | AskWriter _ -> WritesOpen { Count = 0; OldestMs = 0L }
    | Wait _
    | Cancel _ -> Elapsed

/// What to say next: to which of the effects outstanding (or to none of them), and what.
type Saying =
    | Please of which: int
    | Say of which: int * Answer
    | SayToNobody of sequence: int64 * Answer
    | Order of Order
    | Assign of which: int * router: string
    | StartAgain

let private sayings: Gen<Saying list> =
    let which = Gen.choose (0, 50)

    Gen.frequency [
        20, Gen.map Please which
        4, Gen.map2 (fun which answer -> Say(which, answer)) which Arbitrary.answer
        1, Gen.map2 (fun sequence answer -> SayToNobody(sequence, answer)) Arbitrary.int64 Arbitrary.answer
        1, Gen.map Order Arbitrary.order
        1, Gen.constant (Order Order.Cutover)
        1, Gen.map2 (fun which router -> Assign(which, router)) which Arbitrary.name
        1, Gen.constant StartAgain
    ]
    |> Gen.listOfLength 120

let private tell (plan: Plan) (state: State) (saying: Saying) =
    let pick which =
        List.tryItem (which % (max 1 state.Outstanding.Count)) (Transition.outstanding state)

    let event =
        match saying with
        | Please which ->
            match pick which with
            | Some effect -> Answered(effect.Sequence, pleasing effect (Guid(1, 2s, 3s, Array.zeroCreate 8)))
            | None -> Ordered Order.Cutover
        | Say(which, answer) ->
            match pick which with
            | Some effect -> Answered(effect.Sequence, answer)
            | None -> Answered(1L, answer)
        | SayToNobody(sequence, answer) -> Answered(sequence, answer)
        | Order order -> Ordered order
        | Assign(which, router) ->
            let shards = Seq.toArray state.Routes.Keys
            Ordered(AssignWriter(shards[which % shards.Length], router, 1L))
        | StartAgain -> Started plan

    { AtUnixMs = 5L; Event = event }

let started (plan: Plan) =
    match Transition.start 1L plan with
    | Ok(state, _) -> state
    | Error why -> failwith why.Message

[<Test>]
let ``without anti-entropy no migration may skip its delta pass`` () =
    for plan in plans do
        let unproven = {
            plan with
                Limits = {
                    plan.Limits with
                        SkipDeltaPass = true
                        AntiEntropy = false
                }
        }

        match Transition.start 1L unproven with
        | Error why -> Assert.That(why.Code, Is.EqualTo "UnsafeCutoverNoAntiEntropy")
        | Ok _ -> Assert.Fail "it was started"

        let nodes =
            plan.Moves
            |> Seq.collect (fun m -> m.Targets |> Seq.collect _.Nodes)
            |> Seq.distinct
            |> Seq.map (fun name -> {
                NodeInfo.Name = name
                Address = "http://" + name
                Zone = ""
                Weight = 1.0
                CapacityBytes = 0L
                Role = Active
            })
            |> Seq.toArray

        let routes = plan.Moves |> Array.map _.Route

        match Planning.compute 1L plan.Index routes nodes 5 unproven.Limits with
        | Error why -> Assert.That(why.Code, Is.EqualTo "UnsafeCutoverNoAntiEntropy")
        | Ok _ -> Assert.Fail "it was planned"

[<Property(MaxTest = 150)>]
let ``anything said in any state is taken or refused and never throws`` () =
    Prop.forAll (Arb.fromGen (Gen.zip (Gen.elements plans) sayings)) (fun (plan, sayings) ->
        let mutable state = started plan
        let mutable journal = [ { AtUnixMs = 1L; Event = Started plan } ]

        for saying in sayings do
            let observation = tell plan state saying

            match Transition.step state observation with
            | Error why -> Assert.That(why.Code, Is.Not.Empty)
            | Ok(next, _) ->
                journal <- observation :: journal
                state <- next

        Transition.recover (List.rev journal) = Ok state)

[<Property(MaxTest = 150)>]
let ``a source is dropped only by the rules, whatever the nodes say`` () =
    Prop.forAll (Arb.fromGen (Gen.zip (Gen.elements plans) sayings)) (fun (plan, sayings) ->
        let mutable state = started plan

        for saying in sayings do
            match Transition.step state (tell plan state saying) with
            | Error _ -> ()
            | Ok(next, effects) ->
                state <- next
                Assert.That(Safety.check next, Is.Empty)
                Assert.That(List.collect (Safety.allows next) effects, Is.Empty))

/// What may be said twice: every answer, and every order that names a state to be in.
let private isRepeatable (event: Event) =
    match event with
    | Answered _
    | Ordered(Order.Cutover | Pause | Resume | Order.Abort _) -> true
    | Started _
    | Ordered _ -> false

[<Property(MaxTest = 100)>]
let ``what is said twice is as if said once`` () =
    Prop.forAll (Arb.fromGen (Gen.zip (Gen.elements plans) sayings)) (fun (plan, sayings) ->
        let mutable state = started plan

        for saying in sayings do
            let observation = tell plan state saying

            match Transition.step state observation with
            | Error _ -> ()
            | Ok(next, _) ->
                let isProgress =
                    match observation.Event with
                    // The effect goes on, and more of it may be told.
                    | Answered(sequence, _) -> next.Outstanding.ContainsKey sequence
                    | _ -> false

                if isRepeatable observation.Event && not isProgress then
                    match Transition.step next observation with
                    | Ok(again, effects) ->
                        Assert.That((again = next), Is.True, string observation.Event)
                        Assert.That(List.isEmpty effects, Is.True, string observation.Event)
                    | Error why -> Assert.That(why.Code, Is.AnyOf("migration_ended", "migration_not_running"))

                state <- next)

[<Property(MaxTest = 60)>]
let ``a crash before any of a transition's effects forgets none whose answer counts`` () =
    Prop.forAll (Arb.fromGen (Gen.zip (Gen.elements plans) sayings)) (fun (plan, sayings) ->
        let mutable state = started plan
        let mutable journal = [ { AtUnixMs = 1L; Event = Started plan } ]

        for at, saying in List.indexed sayings do
            let observation = tell plan state saying

            match Transition.step state observation with
            | Error _ -> ()
            | Ok(next, effects) ->
                journal <- observation :: journal

                if at % 10 = 0 then
                    match Transition.recover (List.rev journal) with
                    | Error why -> Assert.Fail why.Message
                    | Ok recovered ->
                        Assert.That((recovered = next), Is.True)
                        let again = Transition.outstanding recovered

                        for effect in effects do
                            if next.Outstanding.ContainsKey effect.Sequence then
                                Assert.That(List.contains effect again, Is.True, string effect.Action)

                        for earlier in Transition.outstanding state do
                            if next.Outstanding.ContainsKey earlier.Sequence then
                                Assert.That(List.contains earlier again, Is.True, string earlier.Action)

                state <- next)

[<Property(MaxTest = 150)>]
let ``no owner's store is dropped without a write quorum of certified holders for each target`` () =
    Prop.forAll (Arb.fromGen (Gen.zip (Gen.elements plans) sayings)) (fun (plan, sayings) ->
        let mutable state = started plan

        for saying in sayings do
            match Transition.step state (tell plan state saying) with
            | Error _ -> ()
            | Ok(next, effects) ->
                for effect in effects do
                    match effect.Action with
                    | DropStore(node, command) ->
                        for move in next.Moves do
                            let isOwners =
                                move.Source = command.Store
                                && move.Owners |> Array.exists (fun o -> o.Replica.Node = node)

                            if isOwners then
                                for target in move.Targets do
                                    let holders =
                                        move.Certificates
                                        |> Array.filter (fun c ->
                                            c.Target = target.Shard && c.JointEpoch = move.JointEpoch)
                                        |> Array.collect _.Holders
                                        |> Array.filter (fun (r, incarnation) ->
                                            Array.contains r.Node target.Nodes && incarnation <> Guid.Empty)
                                        |> Array.distinctBy fst

                                    Assert.That(
                                        holders.Length,
                                        Is.GreaterThanOrEqualTo(Quorum.write target.Nodes.Length)
                                    )
                    | _ -> ()

                state <- next)

[<Test>]
let ``a journal that is empty or has no plan is refused`` () =
    let refused journal =
        match Transition.recover journal with
        | Error why -> why.Code = "journal_damaged"
        | Ok _ -> false

    Assert.That(refused [], Is.True)

    Assert.That(
        refused [
            {
                AtUnixMs = 1L
                Event = Ordered Order.Cutover
            }
        ],
        Is.True
    )

/// Pleases until the predicate holds.
let until (holds: State -> bool) (state: State) =
    let rec go n (state: State) =
        if holds state then
            state
        elif n = 0 then
            failwith $"it never came to pass: %A{state.Status} %A{state.Moves |> Array.map _.Step}"
        else
            let timers, others =
                Transition.outstanding state |> List.partition (fun e -> e.Action.IsWait)

            match others @ timers with
            | [] -> failwith "nothing is outstanding"
            | effect :: _ ->
                let answer = pleasing effect (Guid(1, 2s, 3s, Array.zeroCreate 8))

                match
                    Transition.step state {
                        AtUnixMs = 2L
                        Event = Answered(effect.Sequence, answer)
                    }
                with
                | Ok(next, _) -> go (n - 1) next
                | Error why -> failwith why.Message

    go 500 state

let told event state =
    match Transition.step state { AtUnixMs = 3L; Event = event } with
    | Ok(next, effects) -> next, effects
    | Error why -> failwith why.Message

let isAt step (state: State) =
    state.Moves |> Array.forall (fun m -> m.Step = step)

let private moving () =
    plan (shards 1 2 2) Limits.Default |> started |> until (isAt Ready)

[<Test>]
let ``a drain that runs out of time falls back and waits to be told again`` () =
    let draining, _ = moving () |> told (Ordered Order.Cutover)
    let draining = draining |> until (isAt Draining)
    let back, _ = draining |> told (Answered(draining.Moves[0].DrainTimer, Elapsed))
    Assert.That((back.Moves[0].Step = FallingBack), Is.True)
    let held = back |> until (isAt Ready)
    Assert.That(held.Moves[0].Held, Is.True)
    Assert.That(held.Moves[0].Reason, Does.Contain "cutover")
    Assert.That((held.Outstanding.Count = 0), Is.True)
    let again, _ = held |> told (Ordered Order.Cutover)
    let complete = again |> until _.IsEnded
    Assert.That((complete.Status = Complete), Is.True)

/// Draining, with the barrier confirmed and a write from before it open.
let private stuck () =
    let draining, _ = moving () |> told (Ordered Order.Cutover)
    let draining = draining |> until (isAt Draining)

    let asked = Transition.outstanding draining |> List.find _.Action.IsAskWriter

    let told', effects =
        draining
        |> told (Answered(asked.Sequence, WritesOpen { Count = 2; OldestMs = 900L }))

    let barriers = Transition.outstanding told' |> List.filter _.Action.IsRaiseBarrier

    (told', barriers)
    ||> List.fold (fun state barrier ->
        state
        |> told (Answered(barrier.Sequence, BarrierAnswered(Confirmed(Guid(1, 2s, 3s, Array.zeroCreate 8)))))
        |> fst),
    effects

[<Test>]
let ``a drain waits for writes from before it, and asks again`` () =
    let waiting, effects = stuck ()
    Assert.That(effects |> List.exists _.Action.IsAskWriter, Is.True)
    Assert.That((waiting.Moves[0].Step = Draining), Is.True)
    Assert.That(waiting.Moves[0].OpenWrites.Count, Is.EqualTo 2)
    Assert.That((Safety.check waiting), Is.Empty)

[<Test>]
let ``a drain that runs out of time behind its barrier stays, says why, and goes on with the last write`` () =
    let waiting, _ = stuck ()

    let late, _ = waiting |> told (Answered(waiting.Moves[0].DrainTimer, Elapsed))

    Assert.That((late.Moves[0].Step = Draining), Is.True)
    Assert.That(Phase.ofState late, Is.EqualTo "CutoverDraining")
    Assert.That(late.Moves[0].Reason, Does.Contain "writes list --stuck")
    let again, effects = late |> told (Ordered Order.Cutover)
    Assert.That((again.Moves[0].DrainTimer > 0L), Is.True, "cutover, said again, gives it as much time again")
    Assert.That(effects |> List.exists _.Action.IsWait, Is.True)

    for state in [ late; again ] do
        let complete = state |> until _.IsEnded
        Assert.That((complete.Status = Complete), Is.True)

[<Test>]
let ``a writer that gives no answer keeps no drain waiting`` () =
    let mutable state, _ = stuck ()

    for _ in 1..3 do
        let asked = Transition.outstanding state |> List.find _.Action.IsAskWriter
        state <- state |> told (Answered(asked.Sequence, Unreachable "down")) |> fst

    Assert.That((state.Moves[0].Step = DeltaPass), Is.True)

[<Test>]
let ``a drain asks the writer named last`` () =
    let waiting, _ = stuck ()

    let named, _ =
        waiting |> told (Ordered(AssignWriter(waiting.Moves[0].Source, "other", 7L)))

    let publish = Transition.outstanding named |> List.find _.Action.IsPublish
    let state, _ = named |> told (Answered(publish.Sequence, Published))

    let asked =
        Transition.outstanding state
        |> List.choose (fun e ->
            match e.Action with
            | AskWriter(router, _) -> Some router
            | _ -> None)

    Assert.That((asked = [ "other" ]), Is.True, $"{asked}")

[<Test>]
let ``after the first shard has retired there is no way back`` () =
    let state, _ = moving () |> told (Ordered Order.Cutover)
    let retiring = state |> until (isAt Retiring)

    match
        Transition.step retiring {
            AtUnixMs = 4L
            Event = Ordered(Order.Abort "late")
        }
    with
    | Error why -> Assert.That(why.Code, Is.EqualTo "source_retired")
    | Ok _ -> Assert.Fail "it was aborted"

[<Test>]
let ``a conflict in the metadata deposes, and a deposed one does nothing more`` () =
    let state, _ = moving () |> told (Ordered Order.Cutover)
    let publish = Transition.outstanding state |> List.find _.Action.IsPublish
    let deposed, effects = state |> told (Answered(publish.Sequence, PublishConflict))
    Assert.That((deposed.Status = Deposed), Is.True)
    Assert.That((effects = []), Is.True)

    for event in [ Ordered Order.Cutover; Answered(publish.Sequence, Published) ] do
        Assert.That((Transition.step deposed { AtUnixMs = 9L; Event = event } |> Result.isError), Is.True)

[<Test>]
let ``a migration answers for a new shard's route from when it begins to publish it`` () =
    let incarnation = Guid(1, 2s, 3s, Array.zeroCreate 8)

    let rec follow steps seen (state: State) =
        match Transition.outstanding state with
        | _ when state.IsEnded || steps = 0 -> seen
        | [] -> seen
        | effects ->
            let published =
                effects
                |> List.collect (fun effect ->
                    match effect.Action with
                    | Publish(changes, _) -> [ for change in changes -> change.Shard ]
                    | _ -> [])

            Assert.That(published |> List.filter (state.AnswersFor >> not), Is.Empty)
            let isNew (shard: ShardId) = not (state.Routes.ContainsKey shard)

            // Only when nothing else goes on does time pass.
            let next =
                effects
                |> List.tryFind (fun effect -> not effect.Action.IsWait)
                |> Option.defaultValue effects.Head

            state
            |> told (Answered(next.Sequence, pleasing next incarnation))
            |> fst
            |> follow (steps - 1) (seen || List.exists isNew published)

    let isSeen =
        plan (shards 2 4 1) Limits.Default
        |> started
        |> until (isAt Ready)
        |> told (Ordered Order.Cutover)
        |> fst
        |> follow 500 false

    Assert.That(isSeen, Is.True, "no route was new")
