module Miroir.Core.Tests.ReadsTests

open System
open System.Text
open NUnit.Framework
open FsCheck
open FsCheck.FSharp
open FsCheck.NUnit
open Miroir.Core
open Miroir.Core.Tests.WritesExamples


let private document version =
    Document.Live(key, version, ReadOnlyMemory(Encoding.UTF8.GetBytes "{}"), Guid.Empty, Origin.Client)

let private versions = [
    DocumentVersion.Zero
    { Term = 1L; Clock = 1L }
    { Term = 1L; Clock = 2L }
    { Term = 2L; Clock = 1L }
]

type Answers = {
    Under: Route
    Given: (Replica * DocumentVersion option) list
}

type AnswerSets =
    static member Answers() =
        gen {
            let! under = routes 3L 1L
            let replicas = (ReadMachine.start under 0UL).Replicas
            let! order = Gen.shuffle replicas

            let! given =
                Gen.listOfLength
                    order.Length
                    (Gen.frequency [ 5, Gen.map Some (Gen.elements versions); 1, Gen.constant None ])

            return {
                Under = under
                Given = List.zip (List.ofArray order) given
            }
        }
        |> Arb.fromGen

let private toInput (replica, given: DocumentVersion option) =
    match given with
    | None -> ReadInput.NoAnswer(3L, replica)
    | Some version when version.IsZero -> ReadInput.Replied(3L, replica, Absent)
    | Some version -> ReadInput.Replied(3L, replica, Found(document version))

[<Property(Arbitrary = [| typeof<AnswerSets> |], MaxTest = 2000)>]
let ``a read answers only with the highest version heard of, once a write quorum of each set holds it`` (a: Answers) =
    let rec go (state: ReadState) heard rest =
        match state.Verdict, rest with
        | ReadVerdict.Asking, answer :: rest -> go (ReadMachine.step state (toInput answer)) (answer :: heard) rest
        | ReadVerdict.Asking, [] -> false
        | ReadVerdict.Found finding, _ ->
            let highest = heard |> List.choose snd |> List.max

            let holders = heard |> List.filter (fun (_, v) -> v = Some highest) |> List.map fst

            finding.Version = highest
            && (a.Under.Plan 0UL).Quorums
               |> Array.forall (fun set ->
                   (set |> Array.filter (fun r -> List.contains r holders) |> Array.length)
                   >= Quorum.write set.Length)
        | ReadVerdict.PassToWriter _, _ -> true
        | _ -> false

    go (ReadMachine.start a.Under 0UL) [] a.Given

[<Property(Arbitrary = [| typeof<AnswerSets> |], MaxTest = 1000)>]
let ``the writer finds whatever a write quorum of every set holds or more`` (a: Answers) =
    let step state answer =
        let struct (state, _) = WriterRead.step state (toInput answer)
        state

    let ended = List.fold step (WriterRead.start a.Under 0UL) a.Given

    let acknowledged =
        versions
        |> List.filter (fun version ->
            (a.Under.Plan 0UL).Quorums
            |> Array.forall (fun set ->
                let holding r =
                    a.Given
                    |> List.exists (fun (replica, v) ->
                        replica = r
                        && (match v with
                            | Some v -> v >= version
                            | None -> false))

                (set |> Array.filter holding |> Array.length) >= Quorum.write set.Length))

    match ended.Verdict with
    | ReadVerdict.Found finding -> acknowledged |> List.forall (fun version -> finding.Version >= version)
    | _ -> true

[<Test>]
let ``a read that meets a newer epoch starts again`` () =
    let owned = route 3L Owned [| "n1"; "n2"; "n3" |] [||] 1L
    let newer = route 5L Joint [| "n1" |] [| "n2" |] 1L

    let state =
        ReadMachine.step
            (ReadMachine.start owned 0UL)
            (ReadInput.Replied(3L, owned.OwnerReplicas[0], ReadStaleEpoch(5L, Some newer)))

    Assert.That(state.Verdict, Is.EqualTo(ReadVerdict.StartAgain(5L, Some newer)))

// --- the base rule, and inspection

[<Property>]
let ``the base is the greater of what was found and what was issued`` (PositiveInt found) (PositiveInt issued) =
    let found: Finding = {
        Document = document { Term = 1L; Clock = int64 found }
        Version = { Term = 1L; Clock = int64 found }
        IsConfirmed = true
        IsHeld = true
    }

    let remembered =
        (Issued.Empty 4).Remember(document { Term = 1L; Clock = int64 issued })

    let b = remembered.BaseOf(key, found)

    b.Version.Clock = max found.Version.Clock (int64 issued)
    && b.IsConfirmed = (found.Version.Clock >= int64 issued)

[<Test>]
let ``what was issued is kept until that or a later version is acknowledged, and never pushed out`` () =
    let issued = (Issued.Empty 1).Remember(document { Term = 1L; Clock = 5L })
    Assert.That(issued.HasRoomFor(Key.Of "other"), Is.False)
    Assert.That(issued.HasRoomFor key)
    Assert.That(issued.Settle(key, { Term = 1L; Clock = 4L }).Count, Is.EqualTo 1)
    Assert.That(issued.Settle(key, { Term = 1L; Clock = 6L }).Count, Is.EqualTo 0)

/// What one key's writer does, in the key's queue: 0 gives a version of which it hears no more, 1 has the last one
/// acknowledged, 2 has an earlier one put back.
[<Property>]
let ``nothing at or above which a key's versions may still come is taken for settled`` (steps: byte list) =
    let issue (issued: Issued, open': int list, next: int) (step: byte) =
        match int step % 3, open' with
        | 0, _
        | _, [] -> issued.Remember(document { Term = 1L; Clock = int64 next }), next :: open', next + 1
        | 1, last :: _ -> issued.Settle(key, { Term = 1L; Clock = int64 last }), [], next
        | _, _ ->
            let back = List.last open'
            issued.Settle(key, { Term = 1L; Clock = int64 back }), List.filter ((<) back) open', next

    let issued, open', _ = List.fold issue (Issued.Empty 4, [], 1) steps

    match issued.Since, open' with
    | ValueNone, open' -> open'.IsEmpty
    | ValueSome since, [] -> since.Clock > 0L
    | ValueSome since, open' -> since.Clock <= int64 (List.min open')

[<Property>]
let ``inspection completes what is there, runs again only what nothing newer hides`` (NonNegativeInt at) conditional =
    let found: UpdateBase = {
        Document = null
        Version = { Term = 1L; Clock = int64 at }
        IsConfirmed = true
    }

    let issued = { Term = 1L; Clock = 10L }
    let checkedBase = { Term = 1L; Clock = 5L }

    let decision =
        Inspection.decide issued (if conditional then ValueSome checkedBase else ValueNone) found

    match decision with
    | InspectionDecision.Complete -> at = 10
    | InspectionDecision.RunAgain -> at < 10 && (not conditional || at = 5)
    | InspectionDecision.GiveUp _ -> at > 10 || (conditional && at <> 5)

// --- intents
