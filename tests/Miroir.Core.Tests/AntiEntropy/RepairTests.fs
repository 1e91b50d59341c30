/// Repairs of one key, with any replicas answering: what may be put, and where it ends.
module Miroir.Core.Tests.RepairTests

open System
open FsCheck.FSharp
open Miroir.Core
open Miroir.Core.Tests.Replicas
open NUnit.Framework

let private key = keys[0]

/// What a replica has: version and content, and whether its body is not what its digest was taken of.
type Held = {
    Version: int
    Content: int
    IsRotten: bool
}

let private documentIn (held: Held) =
    documentOf key held.Version held.Content

let private copyOf (held: Held option) (isAnswering: bool) : Copy =
    match held with
    | _ when not isAnswering -> Copy.Silent
    | None -> Copy.Has null
    | Some held when held.IsRotten -> Copy.Rotten
    | Some held -> Copy.Has(documentIn held)

let private heldOf (document: Document) : Held =
    seq {
        for version in 1..8 do
            for content in 0..2 do
                {
                    Version = version
                    Content = content
                    IsRotten = false
                }
    }
    |> Seq.find (fun held ->
        let made = documentIn held
        made.Version = document.Version && made.Entry.Digest = document.Entry.Digest)

/// What a store has after a mending: puts only grow; a heal replaces wrong content of the same version.
let private apply (held: Held option) (mending: Mending) : Held option =
    let put (document: Document) (held: Held option) =
        match held with
        | Some there when (documentIn there).Version >= document.Version -> held
        | _ -> Some(heldOf document)

    let heal (document: Document) (wrong: Digest) (held: Held option) =
        match held with
        | Some there when
            (documentIn there).Version = document.Version
            && (there.IsRotten || (documentIn there).Entry.Digest = wrong)
            ->
            Some(heldOf document)
        | _ -> held

    match mending with
    | Mending.Nothing -> held
    | Mending.Put document -> put document held
    | Mending.Replace(document, wrong) -> heal document wrong held
    | Mending.PutAndReplace document -> put document held |> heal document document.Entry.Digest

let private setsGen =
    gen {
        let! size = Gen.choose (1, 5)
        let first = [| 0 .. size - 1 |]
        // While a shard moves there are two sets, which may share replicas.
        let! isMoving = Gen.elements [ false; true ]
        let! shift = Gen.choose (0, size)

        return
            if isMoving then
                [| first; first |> Array.map (fun i -> i + shift) |]
            else
                [| first |]
    }

let private replicasOf (sets: int[][]) = 1 + (sets |> Array.concat |> Array.max)

let private subsetOf (count: int) =
    Gen.frequency [ 5, Gen.constant true; 1, Gen.constant false ]
    |> Gen.arrayOfLength count

let private sound version = {
    Version = version
    Content = 0
    IsRotten = false
}

[<Test>]
let ``No version below an acknowledged one is ever picked`` () =
    let world =
        gen {
            let! sets = setsGen
            let count = replicasOf sets
            let! acknowledged = Gen.choose (1, 8)

            // A write quorum of each set had it acknowledged; others have anything.
            let! quorums = sets |> Array.map (fun set -> Gen.shuffle set) |> Gen.sequenceToArray

            let holders =
                quorums
                |> Array.collect (fun set -> Array.truncate (Quorum.write set.Length) set)

            let! anything =
                Gen.frequency [ 1, Gen.constant None; 3, Gen.choose (1, 8) |> Gen.map Some ]
                |> Gen.arrayOfLength count

            let! more = Gen.choose (0, 8) |> Gen.arrayOfLength count

            let! rotten =
                Gen.frequency [ 1, Gen.constant true; 6, Gen.constant false ]
                |> Gen.arrayOfLength count

            let! answering = subsetOf count

            let held =
                Array.init count (fun i ->
                    let version =
                        if Array.contains i holders then
                            Some(max acknowledged more[i])
                        else
                            anything[i]

                    version
                    |> Option.map (fun version -> {
                        sound version with
                            IsRotten = rotten[i]
                    }))

            return sets, acknowledged, held, answering
        }

    hold 2000 world (fun (sets, acknowledged, held, answering) ->
        match Repair.plan sets (Array.map2 copyOf held answering) ValueNone with
        | RepairPlan.Impossible _ -> ()
        | RepairPlan.Send(version, mendings) ->
            Assert.That(version, Is.GreaterThanOrEqualTo (documentIn (sound acknowledged)).Version)

            for i in 0 .. held.Length - 1 do
                match apply held[i] mendings[i], held[i] with
                | Some after, Some before -> Assert.That(after.Version, Is.AtLeast before.Version)
                | None, Some _ -> Assert.Fail "a repair took something away"
                | _ -> ()

                if not answering[i] then
                    Assert.That(mendings[i].IsNothing))

[<Test>]
let ``Repairs in any order, with any replicas answering, converge to the join, and then change nothing`` () =
    let world =
        gen {
            let! sets = setsGen
            let count = replicasOf sets

            let! held =
                Gen.frequency [
                    1, Gen.constant None
                    4, Gen.choose (1, 8) |> Gen.map (fun v -> Some(sound v))
                ]
                |> Gen.arrayOfLength count

            let! rounds = Gen.listOf (subsetOf count) |> Gen.resize 6
            return sets, held, rounds
        }

    hold 1000 world (fun (sets, held, rounds) ->
        let join =
            held
            |> Array.choose id
            |> Array.map _.Version
            |> Array.append [| 0 |]
            |> Array.max

        let repair (held: Held option[]) answering =
            match Repair.plan sets (Array.map2 copyOf held answering) ValueNone with
            | RepairPlan.Impossible _ -> held
            | RepairPlan.Send(version, mendings) ->
                let after = Array.map2 apply held mendings

                for i in 0 .. held.Length - 1 do
                    if answering[i] && not version.IsZero then
                        Assert.That((documentIn after[i].Value).Version, Is.EqualTo version)

                after

        let everyone = Array.create held.Length true
        let after = repair (List.fold repair held rounds) everyone

        for copy in after do
            Assert.That(copy |> Option.map _.Version |> Option.defaultValue 0, Is.EqualTo join)

        match Repair.plan sets (Array.map2 copyOf after everyone) ValueNone with
        | RepairPlan.Send(_, mendings) -> Assert.That(mendings |> Array.forall _.IsNothing)
        | impossible -> Assert.Fail $"{impossible}")

[<Test>]
let ``Wrong content is healed by the majority, a rotten copy by a sound one, and refused where there is none`` () =
    let world =
        gen {
            let! count = Gen.choose (1, 5)

            let! contents =
                Gen.frequency [
                    5, Gen.constant (Some 0)
                    2, Gen.constant (Some 1)
                    1, Gen.constant (Some 2)
                    2, Gen.constant None
                ]
                |> Gen.arrayOfLength count

            let! keep = Gen.elements [ None; Some 0; Some 1 ]
            return contents, keep
        }

    hold 1000 world (fun (contents, keep) ->
        // Everyone has version 5; None is a rotten copy of it.
        let held =
            contents
            |> Array.map (fun content ->
                Some {
                    Version = 5
                    Content = defaultArg content 0
                    IsRotten = content.IsNone
                })

        let digest content = (documentOf key 5 content).Entry.Digest
        let sets = [| [| 0 .. held.Length - 1 |] |]
        let trusted = Array.choose id contents

        let kept =
            match keep with
            | Some content when Array.contains content trusted -> ValueSome content
            | _ ->
                trusted
                |> Array.countBy id
                |> Array.tryFind (fun (_, count) -> count * 2 > trusted.Length)
                |> function
                    | Some(content, _) -> ValueSome content
                    | None -> ValueNone

        let isEnough = trusted.Length >= held.Length - Quorum.write held.Length + 1
        let asked = keep |> Option.map digest |> Option.toValueOption

        match Repair.plan sets (held |> Array.map (fun copy -> copyOf copy true)) asked, kept with
        | RepairPlan.Send(_, mendings), ValueSome content ->
            Assert.That(isEnough)

            for after in Array.map2 apply held mendings do
                Assert.That((after = Some { sound 5 with Content = content }))
        | RepairPlan.Send _, ValueNone -> Assert.Fail "there was nothing to choose by"
        | RepairPlan.Impossible why, ValueSome _ -> Assert.That(isEnough, Is.False, why)
        | RepairPlan.Impossible why, ValueNone -> Assert.That(why, Is.Not.Empty))

[<Test>]
let ``A repair is known for one: its origin says so, and its operation stays`` () =
    let document = documentOf key 5 0

    match Repair.plan [| [| 0; 1 |] |] [| Copy.Has document; Copy.Has null |] ValueNone with
    | RepairPlan.Send(_, [| Mending.Nothing; Mending.Put put |]) ->
        Assert.That(put.Entry.Origin, Is.EqualTo Origin.AntiEntropy)
        Assert.That(put.Entry.OperationId, Is.EqualTo document.Entry.OperationId)
        Assert.That(put.Body.Span.SequenceEqual document.Body.Span)
    | other -> Assert.Fail $"{other}"

[<Test>]
let ``A deletion that has content is not trusted`` () =
    let document = documentOf key 5 0
    let entry = document.Entry

    let dead =
        Document(Entry(entry.Key, entry.Version, true, entry.Digest, entry.OperationId, entry.Origin), document.Body)

    match Repair.plan [| [| 0; 1; 2 |] |] [| Copy.Has dead; Copy.Has document; Copy.Has document |] ValueNone with
    | RepairPlan.Send(_, [| Mending.PutAndReplace put; Mending.Nothing; Mending.Nothing |]) ->
        Assert.That(put.IsTombstone, Is.False)
    | other -> Assert.Fail $"{other}"

[<Test>]
let ``Two copies that differ name no winner, and it says what to do`` () =
    let copies = [| Copy.Has(documentOf key 5 0); Copy.Has(documentOf key 5 1) |]

    match Repair.plan [| [| 0; 1 |] |] copies ValueNone with
    | RepairPlan.Impossible why -> Assert.That(why, Does.Contain "say which to keep")
    | other -> Assert.Fail $"{other}"
