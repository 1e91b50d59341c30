module Miroir.Ctl.Tests.PlanFileTests

open System.Text.Json.Nodes
open NUnit.Framework
open FsCheck
open FsCheck.FSharp
open Miroir.Scripting

let private check property =
    Check.One(Config.QuickThrowOnFailure, property)

let private plans = Arb.fromGen PassGen.plan

[<Test>]
let ``a plan that was written is read as it was`` () =
    check (Prop.forAll plans (fun plan -> PlanFile.read "p.json" (PlanFile.write plan) = Ok plan))

[<Test>]
let ``a plan that was cut off is none, and its file is named`` () =
    let cut =
        gen {
            let! plan = PassGen.plan
            let text = (PlanFile.write plan).TrimEnd()
            let! length = Gen.choose (0, text.Length - 1)
            return text.Substring(0, length)
        }

    check (
        Prop.forAll (Arb.fromGen cut) (fun text ->
            match PlanFile.read "p.json" text with
            | Error why -> why.StartsWith "p.json: "
            | Ok _ -> false)
    )

let private objectAt (path: string) (root: JsonNode) =
    match path with
    | "" -> root.AsObject()
    | "layout" -> (nonNull root["layout"]).AsObject()
    | _ ->
        let documents = (nonNull root["documents"]).AsArray()
        (nonNull documents[0]).AsObject()

/// Every field there is: its object's path and its name.
let private fields = [
    for name in [ "index"; "layout"; "pass"; "madeAtUnixMs"; "divergences"; "documents" ] -> "", name
    for name in [ "generation"; "shardCount" ] -> "layout", name
    for name in
        [
            "key"
            "generation"
            "shard"
            "kind"
            "version"
            "keep"
            "lacking"
            "outcome"
        ] -> "documents[0]", name
]

[<Test>]
let ``a field that is missing or of another type is named`` () =
    let spoilt =
        gen {
            let! document = PassGen.document
            let! plan = PassGen.plan
            let! path, name = Gen.elements fields
            let! isGone = Gen.elements [ true; false ]
            let! other = Gen.elements [ "null"; "true"; "{}"; "1.5"; "-1" ]
            let text = PlanFile.write { plan with Documents = [| document |] }
            let root = nonNull (JsonNode.Parse text)
            let at = objectAt path root

            if isGone then
                at.Remove name |> ignore
            else
                at[name] <- JsonNode.Parse other

            return (if path = "" then name else $"{path}.{name}"), isGone, other, root.ToJsonString()
        }

    check (
        Prop.forAll (Arb.fromGen spoilt) (fun (field, isGone, other, text) ->
            match PlanFile.read "p.json" text with
            // An object in place of the layout lacks the layout's fields.
            | Error why when field = "layout" && other = "{}" && not isGone -> why.StartsWith "p.json: layout."
            | Error why -> why.StartsWith $"p.json: {field}: "
            | Ok _ -> false)
    )

[<TestCase("key",
           "\"\"",
           "p.json: documents[0].key: is none: a document id is 1 to 512 bytes of UTF-8; this one is empty")>]
[<TestCase("kind",
           "\"InFlight\"",
           "p.json: documents[0].kind: must be one of Missing, Stale, LacksTombstone, Corrupt, not \"InFlight\"")>]
[<TestCase("version",
           "\"seven\"",
           "p.json: documents[0].version: must be term.clock such as 1.117652365836091393, not \"seven\"")>]
[<TestCase("keep", "\"xyz\"", "p.json: documents[0].keep: must be 32 hexadecimal digits, or empty, not \"xyz\"")>]
[<TestCase("lacking", "[\"n1: -\", 4]", "p.json: documents[0].lacking[1]: expected text, not 4")>]
[<TestCase("shard", "16", "p.json: documents[0].shard: layout 1 has shards 0 to 15, not 16")>]
[<TestCase("generation", "0", "p.json: documents[0].generation: must be a layout's generation, from 1 on, not 0")>]
let ``what is wrong with a value is told`` (name: string) (value: string) (told: string) =
    let pass = PassGen.clean "dry-run" 16 |> PassGen.withMissing 1 "Planned"
    let text = PlanFile.write (PlanFile.ofPass PassGen.layout pass)
    let root = nonNull (JsonNode.Parse text)
    (objectAt "documents[0]" root)[name] <- JsonNode.Parse value

    match PlanFile.read "p.json" (root.ToJsonString()) with
    | Error why -> Assert.That(why, Is.EqualTo told)
    | Ok _ -> Assert.Fail "it was taken"

[<Test>]
let ``what a dry run only reports is in no plan`` () =
    let pass = PassGen.clean "dry-run" 16 |> PassGen.withMissing 3 "Planned"
    let documents = pass.Documents |> Array.copy

    documents[1] <- {
        documents[1] with
            Outcome = "Reported"
    }

    let plan = PlanFile.ofPass PassGen.layout { pass with Documents = documents }

    Assert.That(plan.Documents |> Array.map _.Key, Is.EqualTo<string[]> [| "k0"; "k2" |])
    Assert.That(plan.Divergences, Is.EqualTo 3L)
