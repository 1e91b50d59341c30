/// The cutover, whatever the world does: nothing acknowledged is lost, nothing is left behind, and it ends.
module Miroir.Core.Tests.CutoverTests

open System
open NUnit.Framework
open FsCheck.NUnit
open Miroir.Core
open Miroir.Core.Cutover
open Miroir.Core.Tests.Run

let private quick = {
    Limits.Default with
        MaxDeltaFailures = 5
        MaxDropFailures = 100
        RetryMs = 1
        MaxRetryMs = 4
}

let private shapes: (string * (Limits -> Plan))[] = [|
    "split 1 -> 4", plan (shards 1 4 2)
    "split 2 -> 3", plan (shards 2 3 2)
    "merge 4 -> 2", plan (shards 4 2 2)
    "merge 3 -> 2", plan (shards 3 2 3)
    "one copy", plan (shards 2 3 1)
    "one copy merged", plan (shards 3 1 1)
    "five copies", plan (shards 2 3 5)
    "rebalance",
    plan {
        shards 4 4 2 with
            Before = 3
            After = [ 0; 1; 3 ]
    }
    "{a,b} -> {b,c}", rebalance [| "a"; "b" |] [| "b"; "c" |]
    "{a,b,c} -> {b,c,d}", rebalance [| "a"; "b"; "c" |] [| "b"; "c"; "d" |]
    "{a,b,c} -> {d,e,f}", rebalance [| "a"; "b"; "c" |] [| "d"; "e"; "f" |]
    "{a} -> {b}", rebalance [| "a" |] [| "b" |]
|]

let private limitsOf (seed: int) =
    let random = Random(seed * 17 + 3)

    {
        quick with
            MaxJoint = 1 + random.Next 3
            MaxRetiring = 1 + random.Next 3
            MaxCopies = 1 + random.Next 4
            RetainSourceMs = random.Next 2 * 100
            SkipDeltaPass = random.Next 4 = 0
    }

let private holds (name: string) (seed: int) (outcome: Outcome) =
    Assert.That(outcome.Broken, Is.Empty, $"{name}, seed {seed}, after {outcome.Steps} steps")

let private names = shapes |> Array.map fst

let private planOf (name: string) =
    shapes |> Array.find (fst >> (=) name) |> snd

[<TestCaseSource(nameof names)>]
let ``without faults a migration completes`` (name: string) =
    let outcome = run (planOf name quick) calm 1
    holds name 1 outcome
    Assert.That((outcome.State.Status = Complete), Is.True)
    Assert.That(outcome.FellBack, Is.False)

[<TestCaseSource(nameof names)>]
let ``without its delta pass a migration completes once anti-entropy has compared it`` (name: string) =
    for seed in 1..6 do
        let outcome =
            run
                (planOf name {
                    limitsOf seed with
                        SkipDeltaPass = true
                })
                (hostile seed)
                seed

        holds name seed outcome
        Assert.That((outcome.State.Status = Complete), Is.True)

        for move in outcome.State.Moves do
            Assert.That(move.Certificates.Length, Is.EqualTo move.Targets.Length)

[<TestCaseSource(nameof names)>]
let ``through every fault it ends and loses nothing`` (name: string) =
    for seed in 1..8 do
        run (planOf name (limitsOf seed)) (hostile seed) seed |> holds name seed

[<TestCaseSource(nameof names)>]
let ``aborted at any step everything is as it was`` (name: string) =
    for seed in 1..6 do
        let hostility = {
            hostile seed with
                Ending = AbortedAt(Random(seed).Next 1200)
        }

        run (planOf name (limitsOf seed)) hostility seed |> holds name seed

[<Property(MaxTest = 30)>]
let ``any seed keeps the promise`` (seed: int) =
    let name, make = shapes[abs (seed % shapes.Length)]
    run (make (limitsOf seed)) (hostile seed) seed |> holds name seed

[<Test>]
let ``the runs meet what they are for`` () =
    let outcomes = [
        for name, make in shapes do
            for seed in 1..4 do
                let ending = if seed % 4 = 0 then AbortedAt 160 else Wanted
                run (make (limitsOf seed)) { hostile seed with Ending = ending } seed
    ]

    let some (what: string) test =
        Assert.That(List.exists test outcomes, Is.True, what)

    some "completes" (fun o -> o.State.Status = Complete)
    some "aborts" (fun o -> o.State.Status.IsAborted)
    some "falls back" _.FellBack
    some "a store is lost" _.SawLoss
    some "a delta pass copies" (fun o -> o.DeltaCopied > 0L)
    some "writes are acknowledged" (fun o -> o.Acknowledged > 50)

    let seen = outcomes |> List.map _.Seen |> Set.unionMany

    for step in
        [
            Opening
            Step.Copying
            Ready
            Joining
            Draining
            DeltaPass
            Proving
            Activating
            Holding
            Reproving
            Retiring
            Closing
            Cleaning
            Finished
            FallingBack
            Undoing
            Clearing
            Undone
        ] do
        Assert.That(seen.Contains step, Is.True, string step)

#if MUTANTS
[<Test; NonParallelizable>]
let ``a delta pass that is left out is found`` () =
    Mutants.activate [| "delta-pass-left-out" |]

    try
        let found =
            Seq.init 200 id
            |> Seq.exists (fun seed ->
                let _, make = shapes[seed % shapes.Length]

                let hostility = {
                    calm with
                        Steps = 800
                        Faults = { Repeat = 0; Lose = 20 }
                }

                not (run (make quick) hostility seed).Broken.IsEmpty)

        Assert.That(found, Is.True)
    finally
        Mutants.activate [||]
#endif
