/// What a pass says, and the exit status that follows from it.
module Miroir.Ctl.Tests.PassTests

open NUnit.Framework
open FsCheck
open FsCheck.FSharp
open Miroir.Ports
open Miroir.Scripting
open Miroir.Ctl.Tests.PassGen
open Miroir.Ctl.Tests.PassServer

let private kinds = [ "verify"; "run"; "dry-run"; "apply"; "scrub" ]

/// What keeps any pass from speaking for all that it was asked.
let private blind: (string * (PassView -> PassView)) list =
    let first change (pass: PassView) = {
        pass with
            Shards = pass.Shards |> Array.mapi (fun i s -> if i = 0 then change s else s)
    }

    [
        "failed", (fun pass -> { pass with Status = "Failed" })
        "a shard failed", first (fun s -> { s with State = "Failed" })
        "a shard left out",
        (fun pass -> {
            pass with
                Shards = Array.tail pass.Shards
        })
    ]

[<Test>]
let ``a pass that did not see everything is never clean, and knows no loss`` () =
    let any =
        gen {
            let! kind = Gen.elements kinds
            let! count = Gen.choose (1, 20)
            let! missing = Gen.choose (0, 3)
            let! outcome = Gen.elements [ "Repaired"; "Planned"; "Reported" ]
            let! name, spoil = Gen.elements blind
            return name, spoil (clean kind count |> withMissing missing outcome)
        }

    Check.One(
        Config.QuickThrowOnFailure,
        Prop.forAll (Arb.fromGen any) (fun (_, pass) ->
            not (AntiEntropy.isClean pass) && (AntiEntropy.dataLoss pass).IsNone)
    )

[<Test>]
let ``exit status is 1 exactly where a verify finds, a plan lacks, or a repair leaves a difference`` () =
    for kind in kinds do
        for missing in [ 0; 1; 11 ] do
            for outcome in [ "Repaired"; "Planned"; "Reported" ] do
                let pass = clean kind 4 |> withMissing missing outcome

                let expected =
                    match kind with
                    | _ when missing = 0 -> true
                    | "verify" -> false
                    | "dry-run" -> outcome = "Planned"
                    | _ -> outcome = "Repaired"

                Assert.That(AntiEntropy.isClean pass, Is.EqualTo expected, $"{kind}: {missing} {outcome}")

[<Test>]
let ``a document that was looked at once more keeps no pass from being clean`` () =
    for kind in kinds do
        let pass = {
            clean kind 4 with
                Divergences = { DivergenceCounts.Zero with Hot = 3L }
        }

        Assert.That(AntiEntropy.isClean pass, kind)
        Assert.That(AntiEntropy.dataLoss pass, Is.EqualTo(Some 0L), kind)
        Assert.That((run pass "anti-entropy verify --index packages").Out, Does.Contain "3 looked at once more", kind)

[<Test>]
let ``documents of a replica that was filled hide none that was not repaired`` () =
    let pass = clean "run" 2 |> withMissing 3 "a replica still differs"

    let filled = {
        pass with
            Repaired = 1000L
            Shards = pass.Shards |> Array.map (fun s -> { s with Repaired = 500L })
    }

    Assert.That(AntiEntropy.unrepaired filled, Is.EqualTo 3L)
    Assert.That(AntiEntropy.isClean filled, Is.False)

[<Test>]
let ``corruption without a majority is not planned for`` () =
    let pass = clean "dry-run" 2 |> withMissing 1 "Planned"

    let corrupt keep = {
        pass with
            Documents = pass.Documents |> Array.map (fun d -> { d with Kind = "Corrupt"; Keep = keep })
    }

    Assert.That(AntiEntropy.isClean (corrupt ""), Is.False)
    Assert.That(AntiEntropy.isClean (corrupt "00112233445566778899aabbccddeeff"), Is.True)

[<TestCaseSource(nameof kinds)>]
let ``a pass that could not compare a shard exits 1`` (kind: string) =
    for name, spoil in blind do
        let command =
            match kind with
            | "verify"
            | "scrub" -> $"anti-entropy {kind} --index packages"
            | "dry-run" -> "anti-entropy run --dry-run --index packages"
            | _ -> "anti-entropy run --index packages"

        Assert.That((run (spoil (clean kind 4)) command).Status, Is.EqualTo 1, name)
