module Miroir.Core.Tests.WritesTests

open System
open System.Text
open NUnit.Framework
open FsCheck
open FsCheck.FSharp
open FsCheck.NUnit
open Miroir.Core
open Miroir.Core.Tests.WritesExamples

/// What can happen to a write that starts under epoch 3 and may go on under 4: for each epoch, any reply of any replica.
type Story = {
    First: Route
    Second: Route
    Inputs: WriteInput list
}

let private story =
    gen {
        let! first = routes 3L 1L
        let! second = routes 4L 1L

        let all =
            [| first; second |]
            |> Array.collect (fun r ->
                let plan = r.Plan 0UL

                Sets.distinct plan.Quorums plan.Extra
                |> Array.map (fun replica -> r.Epoch, replica))

        let input =
            gen {
                let! epoch, replica = Gen.elements all
                let! reply = replies

                return!
                    Gen.frequency [
                        12, Gen.constant (WriteInput.Replied(epoch, replica, reply))
                        2, Gen.constant (WriteInput.NoAnswer(epoch, replica))
                        1, Gen.constant WriteInput.Retry
                        1, Gen.elements [ WriteInput.RouteIs first; WriteInput.RouteIs second ]
                    ]
            }

        let! inputs = Gen.listOf input

        return {
            First = first
            Second = second
            Inputs = inputs
        }
    }

type Stories =
    static member Story() = Arb.fromGen story

let private start (route: Route) =
    let struct (state, _) = WriteMachine.start route 0UL ours PutPurpose.NewVersion
    state

let private next state input =
    let struct (state, _) = WriteMachine.step state input
    state

let private play (s: Story) = List.fold next (start s.First) s.Inputs

let private holds reply =
    match reply with
    | Applied _ -> true
    | Superseded stored -> stored.Term = ours.Term && stored.Clock >= ours.Clock
    | _ -> false

/// The rule in its simplest words: some epoch, entered in order, had W holders in each of its own sets.
let private mayBeAcknowledged (s: Story) =
    let heldUnder (route: Route) inputs =
        inputs
        |> List.choose (function
            | WriteInput.Replied(epoch, replica, reply) when epoch = route.Epoch && holds reply -> Some replica
            | _ -> None)
        |> fun held ->
            (route.Plan 0UL).Quorums
            |> Array.forall (fun set ->
                (set |> Array.filter (fun r -> List.contains r held) |> Array.length)
                >= Quorum.write set.Length)

    let changed =
        s.Inputs
        |> List.tryFindIndex (function
            | WriteInput.RouteIs r -> r.Epoch = 4L
            | _ -> false)

    match changed with
    | None -> heldUnder s.First s.Inputs
    | Some at ->
        heldUnder s.First (List.take at s.Inputs)
        || heldUnder s.Second (List.skip at s.Inputs)

[<Property(Arbitrary = [| typeof<Stories> |], MaxTest = 2000)>]
let ``a write is acknowledged exactly when one epoch had a write quorum of each of its sets`` (s: Story) =
    (play s).Verdict.IsAcknowledged = mayBeAcknowledged s

[<Property(Arbitrary = [| typeof<Stories> |], MaxTest = 1000)>]
let ``each input twice is the same as once`` (s: Story) =
    let twice =
        List.fold (fun state input -> next (next state input) input) (start s.First) s.Inputs

    let once = play s
    twice.Verdict = once.Verdict && twice.Progress = once.Progress

[<Property(Arbitrary = [| typeof<Stories> |], MaxTest = 1000)>]
let ``nothing follows a verdict`` (s: Story) =
    let ended = next (play s) WriteInput.Deadline

    s.Inputs
    |> List.forall (fun input ->
        let struct (after, effects) = WriteMachine.step ended input
        obj.ReferenceEquals(after, ended) && effects.IsEmpty)

[<Property(Arbitrary = [| typeof<Stories> |], MaxTest = 1000)>]
let ``the order of replies of one epoch does not decide whether a write is acknowledged`` (s: Story) (seed: int) =
    let replies =
        s.Inputs
        |> List.filter (function
            | WriteInput.Replied _ -> true
            | _ -> false)

    let shuffled =
        let random = Random seed

        replies
        |> List.map (fun r -> random.Next(), r)
        |> List.sortBy fst
        |> List.map snd

    let verdict inputs =
        (play { s with Inputs = inputs }).Verdict.IsAcknowledged

    verdict replies = verdict shuffled

[<Property(Arbitrary = [| typeof<Stories> |], MaxTest = 1000)>]
let ``a new epoch sends to every node of its stage`` (s: Story) =
    let before = play s

    if before.IsOpen && before.Route.Epoch = 3L then
        let struct (after, effects) = WriteMachine.step before (WriteInput.RouteIs s.Second)

        match effects with
        | [ WriteEffect.Send(4L, replicas) ] ->
            replicas = after.Replicas
            && after.Progress |> Array.forall (fun p -> p = ReplicaProgress.Awaited)
        | _ -> false
    else
        true

[<Test>]
let ``the stories told reach an acknowledgement under either epoch, and none`` () =
    let ends = story |> Gen.sampleWithSize 40 300 |> Array.map play

    for epoch in [ 3L; 4L ] do
        Assert.That(ends |> Seq.exists (fun e -> e.Verdict.IsAcknowledged && e.Route.Epoch = epoch), Is.True)
        Assert.That(ends |> Seq.exists (fun e -> e.IsOpen && e.Route.Epoch = epoch), Is.True)

[<Test>]
let ``a route with another writer or term, or none to follow, ends in inspection`` () =
    let state = start (route 3L Owned [| "n1" |] [||] 1L)

    for ended in
        [
            route 4L Owned [| "n1" |] [||] 2L
            route 4L Retired [| "n1" |] [| "n2" |] 1L
            {
                route 4L Owned [| "n1" |] [||] 1L with
                    Writer = { writer 1L with Incarnation = 2L }
            }
        ] do
        Assert.That((next state (WriteInput.RouteIs ended)).Verdict, Is.EqualTo(WriteVerdict.Inspect ended))

[<Test>]
let ``a put back stops where a later term has written`` () =
    let owned = route 3L Owned [| "n1" |] [||] 2L
    let struct (state, _) = WriteMachine.start owned 0UL ours PutPurpose.PutBack
    let later = { Term = 2L; Clock = 1L }

    let after =
        next state (WriteInput.Replied(3L, owned.OwnerReplicas[0], Superseded later))

    Assert.That(after.Verdict, Is.EqualTo(WriteVerdict.Overtaken later))

[<Test>]
let ``a write counts no later term as its own`` () =
    let owned = route 3L Owned [| "n1" |] [||] 1L

    let after =
        next (start owned) (WriteInput.Replied(3L, owned.OwnerReplicas[0], Superseded { Term = 2L; Clock = 1L }))

    Assert.That(after.IsOpen)
    Assert.That(after.HasMissing, Is.False)

// --- reads

[<Property(MaxTest = 500)>]
let ``a writer begins only once enough replicas of every set stand behind all barriers`` (answers: bool list) =
    let owners = [| "n1"; "n2"; "n3" |]

    let joint = {
        route 3L Joint owners [| "m1"; "m2"; "m3" |] 1L with
            Fences = [| { Shard = shard 0; Epoch = 2L } |]
    }

    let started = Activation.start joint

    let asked = Activation.outstanding started |> List.ofArray

    let answered =
        asked
        |> List.mapi (fun i asked -> asked, List.tryItem i answers = Some true)
        |> List.filter snd
        |> List.map fst

    let ended =
        List.fold
            (fun state (struct (replica, command)) -> Activation.replied state replica command (Confirmed Guid.Empty))
            started
            answered

    let standsBehindAll (replica: Replica) =
        asked
        |> List.filter (fun (struct (r, _)) -> r = replica)
        |> List.forall (fun one -> List.contains one answered)

    let enough =
        joint.QuorumSets
        |> Array.forall (fun set ->
            (set |> Array.filter standsBehindAll |> Array.length)
            >= Quorum.barrier set.Length)

    ended.IsActive = enough

/// What happens to a put that is on its way, or to the write itself.
type Event =
    | StoresAndAnswers
    | StoresUnanswered
    | IsFull
    | IsBusy
    | IsNotThere
    | IsStale
    /// Counted as unanswered, and still on its way.
    | IsLate
    | TimeToRetry
    | RouteMoves

let private events =
    Gen.frequency [
        8, Gen.constant IsFull
        1, Gen.elements [ StoresAndAnswers; StoresUnanswered; IsBusy; IsNotThere; IsStale; IsLate ]
        2, Gen.elements [ TimeToRetry; RouteMoves ]
    ]
    |> Gen.map2 (fun at event -> at, event) (Gen.choose (0, 7))

type FullDisks = {
    Before: Route
    After: Route
    Events: (int * Event) list
}

type FullDisksStories =
    static member FullDisks() =
        gen {
            let! before = routes 3L 1L
            let! after = routes 4L 1L
            let! events = Gen.listOf events

            return {
                Before = before
                After = after
                Events = events
            }
        }
        |> Arb.fromGen

let private diskFull = {
    refused with
        Code = RefusalCode.DiskFull
}

/// The write's end, whether any node stored it, and the puts that are still on their way.
let private endOf (s: FullDisks) =
    let mutable isStored = false
    let onTheirWay = ResizeArray<int64 * Replica>()

    let send effects =
        for effect in effects do
            match effect with
            | WriteEffect.Send(epoch, replicas) -> onTheirWay.AddRange(replicas |> Array.map (fun r -> epoch, r))
            | WriteEffect.LearnRoute _ -> ()

    let struct (first, effects) =
        WriteMachine.start s.Before 0UL ours PutPurpose.NewVersion

    send effects
    let mutable state = first

    let feed input =
        let struct (next, effects) = WriteMachine.step state input
        state <- next
        send effects

    for at, event in s.Events do
        match event with
        | TimeToRetry -> feed WriteInput.Retry
        | RouteMoves -> feed (WriteInput.RouteIs s.After)
        | _ when onTheirWay.Count = 0 -> ()
        | _ ->
            let at = at % onTheirWay.Count
            let epoch, replica = onTheirWay[at]

            if event <> IsLate then
                onTheirWay.RemoveAt at

            if event = StoresAndAnswers || event = StoresUnanswered then
                isStored <- true

            match event with
            | StoresAndAnswers -> WriteInput.Replied(epoch, replica, Applied false)
            | IsFull -> WriteInput.Replied(epoch, replica, Refused diskFull)
            | IsBusy -> WriteInput.Replied(epoch, replica, Refused refused)
            | IsNotThere -> WriteInput.Replied(epoch, replica, NotServing)
            | IsStale -> WriteInput.Replied(epoch, replica, StaleEpoch(epoch + 1L, None))
            | _ -> WriteInput.NoAnswer(epoch, replica)
            |> feed

    state, isStored, onTheirWay.Count

[<Property(Arbitrary = [| typeof<FullDisksStories> |], MaxTest = 5000)>]
let ``what is refused for full disks is stored nowhere and on its way nowhere`` (s: FullDisks) =
    let state, isStored, onTheirWay = endOf s
    not state.Verdict.IsDiskFull || (not isStored && onTheirWay = 0)

[<Test>]
let ``full disks are found in many stories, and not in all`` () =
    let ends =
        FullDisksStories.FullDisks().Generator
        |> Gen.sampleWithSize 20 300
        |> Array.map endOf

    let full = ends |> Array.filter (fun (state, _, _) -> state.Verdict.IsDiskFull)
    Assert.That(full.Length, Is.GreaterThan 20)
    Assert.That(full.Length, Is.LessThan 280)

[<Test>]
let ``a full disk ends a write at once where no quorum is left without it`` () =
    let one = route 3L Owned [| "n1" |] [||] 1L
    let three = route 3L Owned [| "n1"; "n2"; "n3" |] [||] 1L

    let answer (route: Route) reply state at =
        next state (WriteInput.Replied(3L, route.OwnerReplicas[at], reply))

    Assert.That((answer one (Refused diskFull) (start one) 0).Verdict.IsDiskFull)

    let twoFull = List.fold (answer three (Refused diskFull)) (start three) [ 0; 1 ]

    Assert.That(twoFull.IsOpen, "the third is not answered yet")
    Assert.That((answer three (Refused diskFull) twoFull 2).Verdict.IsDiskFull)
    Assert.That((answer three (Refused refused) twoFull 2).Verdict.IsDiskFull)
    Assert.That((answer three (Applied false) twoFull 2).IsOpen, "the third has it")

    let oneFull = answer three (Refused diskFull) (start three) 0

    Assert.That(
        (List.fold (answer three (Applied false)) oneFull [ 1; 2 ]).Verdict.IsAcknowledged,
        "two of three are a quorum"
    )
