/// Up to where a change log that was taken over from several shards has let go.
module Miroir.Core.Tests.FeedFloorsTests

open FsCheck
open FsCheck.FSharp
open Miroir.Core
open NUnit.Framework

let private floorGen =
    Gen.map2
        (fun term clock -> {
            Term = int64 term
            Clock = int64 clock
        })
        (Gen.choose (0, 3))
        (Gen.choose (0, 5))

let private partsGen: Gen<FeedFloor list> =
    Gen.map2 (fun range floor -> { Range = range; Floor = floor }) FeedCursorTests.rangeGen floorGen
    |> Gen.listOf
    |> Gen.map (List.truncate 10)

let private highest (floors: DocumentVersion seq) =
    Seq.fold max DocumentVersion.Zero floors

let private floorAt (parts: FeedFloor list) (hash: uint64) =
    parts
    |> Seq.filter (fun part -> part.Range.Contains hash)
    |> Seq.map _.Floor
    |> highest

let private hashesOf (parts: FeedFloor list) = [
    0UL
    System.UInt64.MaxValue
    for part in parts do
        part.Range.Lo
        part.Range.Lo - 1UL
        part.Range.Last
        part.Range.Last + 1UL
]

let private forAll gen property =
    Check.One(Config.QuickThrowOnFailure.WithMaxTest 500, Prop.forAll (Arb.fromGen gen) property)

[<Test>]
let ``each hash has the highest floor that was ever said of it`` () =
    forAll partsGen (fun parts ->
        let floors = FeedFloors.Of parts

        for hash in hashesOf parts do
            Assert.That(floors.At hash, Is.EqualTo(floorAt parts hash)))

[<Test>]
let ``a range has the highest floor of its hashes`` () =
    forAll (Gen.zip partsGen FeedCursorTests.rangeGen) (fun (parts, range) ->
        let within = range.Lo :: range.Last :: hashesOf parts |> List.filter range.Contains

        Assert.That((FeedFloors.Of parts).Over range, Is.EqualTo(within |> Seq.map (floorAt parts) |> highest)))

[<Test>]
let ``parts are in order, do not overlap, and are not cut where nothing changes`` () =
    forAll partsGen (fun parts ->
        let found = (FeedFloors.Of parts).Parts

        for before, after in Array.pairwise found do
            Assert.That(before.Range.Hi, Is.Not.Zero)
            Assert.That(before.Range.Hi, Is.LessThanOrEqualTo after.Range.Lo)

            if before.Range.Hi = after.Range.Lo then
                Assert.That(before.Floor, Is.Not.EqualTo after.Floor)

        Assert.That(found |> Array.filter _.Floor.IsZero, Is.Empty)
        Assert.That((FeedFloors.Of found).Parts = found, Is.True))

[<Test>]
let ``what is said again changes nothing, and no floor sinks`` () =
    forAll (Gen.zip partsGen partsGen) (fun (parts, more) ->
        let floors = FeedFloors.Of parts

        for part in parts do
            Assert.That(floors.Raise(part.Range, part.Floor), Is.SameAs floors)

        let raised = FeedFloors.Of(parts @ more)

        for hash in hashesOf (parts @ more) do
            Assert.That(raised.At hash, Is.GreaterThanOrEqualTo(floors.At hash)))

[<Test>]
let ``above a floor of all only higher ones are kept`` () =
    forAll (Gen.zip partsGen floorGen) (fun (parts, floor) ->
        let above = (FeedFloors.Of parts).Above floor

        for hash in hashesOf parts do
            Assert.That(max floor (above.At hash), Is.EqualTo(max floor (floorAt parts hash)))

        Assert.That(above.Parts |> Array.filter (fun part -> part.Floor <= floor), Is.Empty))
