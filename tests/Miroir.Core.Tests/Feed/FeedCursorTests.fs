/// How far a reader is in a change feed.
module Miroir.Core.Tests.FeedCursorTests

open System
open FsCheck
open FsCheck.FSharp
open Miroir.Core
open NUnit.Framework

let positionGen: Gen<DocumentVersion> =
    Gen.oneof [
        Gen.map2
            (fun term clock -> {
                Term = int64 term
                Clock = int64 clock
            })
            (Gen.choose (1, 3))
            (Gen.choose (1, 5))
        Gen.map2 (fun term clock -> { Term = term; Clock = clock }) Arbitrary.int64 Arbitrary.int64
    ]

/// Bounds that shards have, and any.
let rangeGen: Gen<HashRange> =
    Gen.oneof [
        Gen.constant HashRange.Full
        gen {
            let! count = Gen.choose (1, 9)
            let! shard = Gen.choose (0, count - 1)
            return Layout.range count shard
        }
        gen {
            let! a = Arbitrary.uint64
            let! b = Arbitrary.uint64
            return { Lo = min a b; Hi = max a b + 1UL }
        }
    ]

type Step = {
    Range: HashRange
    Position: DocumentVersion
}

let private stepsGen =
    Gen.map2 (fun range position -> { Range = range; Position = position }) rangeGen positionGen
    |> Gen.listOf
    |> Gen.map (List.truncate 12)

let private cursorOf (steps: Step list) =
    steps
    |> List.fold
        (fun (cursor: FeedCursor) step -> cursor.Advance(step.Range, step.Position))
        (FeedCursor.At("books", 17L, DocumentVersion.Zero))

/// Where a reader of these steps is at a hash.
let private positionAt (steps: Step list) (hash: uint64) =
    steps
    |> List.tryFindBack (fun step -> step.Range.Contains hash)
    |> Option.map _.Position
    |> Option.defaultValue DocumentVersion.Zero

let private hashesOf (steps: Step list) =
    0UL
    :: UInt64.MaxValue
    :: [
        for step in steps do
            step.Range.Lo
            step.Range.Lo - 1UL
            step.Range.Last
            step.Range.Last + 1UL
    ]

let private pieceAt (cursor: FeedCursor) (hash: uint64) =
    cursor.Pieces |> Array.filter (fun piece -> piece.Range.Contains hash)

let private forAll gen property =
    Check.One(Config.QuickThrowOnFailure.WithMaxTest 500, Prop.forAll (Arb.fromGen gen) property)

[<Test>]
let ``each hash has one position, that of the last advance over it`` () =
    forAll stepsGen (fun steps ->
        let cursor = cursorOf steps

        hashesOf steps
        |> List.forall (fun hash ->
            match pieceAt cursor hash with
            | [| piece |] -> piece.Position = positionAt steps hash
            | _ -> false))

[<Test>]
let ``pieces cover the hash space in order, and neighbours differ`` () =
    forAll stepsGen (fun steps ->
        let pieces = (cursorOf steps).Pieces

        pieces[0].Range.Lo = 0UL
        && pieces[pieces.Length - 1].Range.Hi = 0UL
        && Array.pairwise pieces
           |> Array.forall (fun (a, b) -> a.Range.Hi = b.Range.Lo && a.Position <> b.Position))

[<Test>]
let ``a cursor is read as it was written`` () =
    forAll stepsGen (fun steps ->
        let cursor = cursorOf steps
        let text = cursor.Format()

        match FeedCursor.Parse text with
        | Ok read ->
            read.Index = "books"
            && read.CreatedAtUnixMs = 17L
            && read.Pieces = cursor.Pieces
            && text |> Seq.forall (fun c -> Char.IsAsciiLetterOrDigit c || c = '-' || c = '_')
        | Error _ -> false)

[<Test>]
let ``what is within a range is what the cursor has there`` () =
    forAll (Gen.zip stepsGen rangeGen) (fun (steps, range) ->
        let within = (cursorOf steps).Within range

        within[0].Range.Lo = range.Lo
        && within[within.Length - 1].Range.Hi = range.Hi
        && within
           |> Array.forall (fun piece -> piece.Position = positionAt steps piece.Range.Lo))

[<Test>]
let ``a cursor with a letter changed, or cut short, is refused`` () =
    let gen = Gen.zip stepsGen (Gen.choose (0, 10_000))

    forAll gen (fun (steps, at) ->
        let text = (cursorOf steps).Format()
        let i = at % text.Length
        let letter = if text[i] = 'A' then 'B' else 'A'
        let changed = text.Remove(i, 1).Insert(i, string letter)

        // The last letter of base64 may stand for fewer bits than it has.
        (i = text.Length - 1 || (FeedCursor.Parse changed).IsError)
        && (FeedCursor.Parse(text.Substring(0, i))).IsError)

[<TestCase("", "is empty")>]
[<TestCase("no cursor!", "is not base64url")>]
[<TestCase("AAAA", "is damaged")>]
[<TestCase("AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "is damaged")>]
let ``what is no cursor is refused with what is wrong`` (text: string, why: string) =
    match FeedCursor.Parse text with
    | Ok _ -> Assert.Fail "it was taken"
    | Error message -> Assert.That(message, Does.Contain why)

[<Test>]
let ``many shards make no long cursor`` () =
    let shards = 256

    let cursor =
        Seq.init shards id
        |> Seq.fold
            (fun (cursor: FeedCursor) shard ->
                let position = {
                    Term = int64 shard
                    Clock = HybridClock.ofUnixMs 1_800_000_000_000L + int64 shard
                }

                cursor.Advance(Layout.range shards shard, position))
            (FeedCursor.At("books", 1_800_000_000_000L, DocumentVersion.Zero))

    Assert.That(cursor.Format().Length, Is.LessThan 6_000)
