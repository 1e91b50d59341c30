/// The union of the replicas' pages of a change log.
module Miroir.Core.Tests.FeedMergeTests

open System
open FsCheck
open FsCheck.FSharp
open Miroir.Core
open NUnit.Framework

let private keys = [| for i in 0..7 -> Key.Of $"key-{i}" |]

let private at (term: int) (clock: int) = {
    Term = int64 term
    Clock = int64 clock
}

let private changeAt (position: DocumentVersion) (key: Key) =
    Change(position, key, position, false, Guid.Empty)

let private order (change: Change) = change.Position, change.Key

/// A shard's changes: each on some of the replicas, those that are acknowledged on two of three at least.
type Log = {
    Changes: (Change * bool[])[]
    Floors: DocumentVersion[]
    PageSizes: int[]
    Limit: int
    Through: DocumentVersion
}

let private logGen =
    gen {
        let! places =
            Gen.zip3 (Gen.choose (1, 3)) (Gen.choose (1, 12)) (Gen.elements keys)
            |> Gen.listOf
            |> Gen.map (List.truncate 30 >> List.distinct)

        let! holders =
            Gen.elements [
                [| true; true; true |]
                [| true; true; false |]
                [| false; true; true |]
                [| true; false; false |]
            ]
            |> Gen.listOfLength places.Length

        let! hasFloors = Gen.frequency [ 3, Gen.constant false; 1, Gen.constant true ]

        let! floors =
            Gen.map2 at (Gen.choose (1, 2)) (Gen.choose (1, 12)) |> Gen.arrayOfLength 3

        let! sizes = Gen.choose (1, 5) |> Gen.arrayOfLength 3
        let! limit = Gen.choose (1, 6)
        let! through = Gen.map2 at (Gen.choose (1, 3)) (Gen.choose (1, 12))

        return {
            Changes = [|
                for (term, clock, key), held in List.zip places holders -> changeAt (at term clock) key, held
            |]
            Floors =
                if hasFloors then
                    floors
                else
                    Array.create 3 DocumentVersion.Zero
            PageSizes = sizes
            Limit = limit
            Through = through
        }
    }

/// As a store answers: cut behind a position, never within one.
let private pageOf (log: Log) (replica: int) (after: DocumentVersion) : FeedPage =
    let all =
        log.Changes
        |> Array.filter (fun (change, held) ->
            held[replica]
            && change.Position > after
            && change.Position <= log.Through
            && change.Position > log.Floors[replica])
        |> Array.map fst
        |> Array.sortBy order

    let mutable count = min log.PageSizes[replica] all.Length

    while count > 0 && count < all.Length && all[count].Position = all[count - 1].Position do
        count <- count + 1

    {
        Node = $"n{replica}"
        Page = {
            Changes = Array.truncate count all
            IsLast = (count = all.Length)
            Floor = log.Floors[replica]
        }
    }

/// Cuts until the bound is reached, from these two replicas.
let private readAll (log: Log) (replicas: int list) (start: DocumentVersion) =
    let rec go (after: DocumentVersion) (events: Change list) (cuts: Change[] list) steps =
        if after = log.Through || steps > 500 then
            Ok(List.rev events, List.rev cuts)
        else
            let pages = [| for replica in replicas -> pageOf log replica after |]

            match FeedMerge.cut HashRange.Full after log.Through log.Limit pages with
            | Error fault -> Error fault
            | Ok cut when cut.Reached = after -> Ok(List.rev events, List.rev cuts)
            | Ok cut -> go cut.Reached (List.rev (List.ofArray cut.Changes) @ events) (cut.Changes :: cuts) (steps + 1)

    go start [] [] 0

let private quorums = [ [ 0; 1 ]; [ 1; 2 ]; [ 0; 2 ]; [ 0; 1; 2 ] ]

let private forAll gen property =
    Check.One(Config.QuickThrowOnFailure.WithMaxTest 1_000, Prop.forAll (Arb.fromGen gen) property)

let private highest (log: Log) (replicas: int list) =
    replicas |> List.map (fun i -> log.Floors[i]) |> List.max

let private isAcknowledged (held: bool[]) = (held |> Array.filter id).Length >= 2

[<Test>]
let ``every acknowledged change above the floors is read once, in order, from every write quorum`` () =
    forAll (Gen.zip logGen (Gen.elements quorums)) (fun (log, replicas) ->
        match readAll log replicas DocumentVersion.Zero with
        | Error _ -> false
        | Ok(events, _) ->
            let floor = highest log replicas

            let expected =
                log.Changes
                |> Array.filter (fun (change, held) ->
                    isAcknowledged held && change.Position > floor && change.Position <= log.Through)
                |> Array.map fst

            events = List.sortBy order (List.distinctBy order events)
            && expected
               |> Array.forall (fun change -> events |> List.exists (fun e -> order e = order change))
            && events |> List.forall (fun e -> e.Position <= log.Through && e.Position > floor))

[<Test>]
let ``no cut parts a position, nor has more than the limit without need`` () =
    forAll (Gen.zip logGen (Gen.elements quorums)) (fun (log, replicas) ->
        match readAll log replicas DocumentVersion.Zero with
        | Error _ -> false
        | Ok(_, cuts) ->
            let ends = cuts |> List.filter (fun cut -> cut.Length > 0)

            List.pairwise ends
            |> List.forall (fun (a, b) -> a[a.Length - 1].Position < b[0].Position)
            && ends
               |> List.forall (fun cut ->
                   cut.Length <= log.Limit
                   || cut |> Array.forall (fun change -> change.Position = cut[0].Position)))

[<Test>]
let ``a cursor below a floor is too old, and one at it or above is not`` () =
    let begun =
        FeedCursorTests.positionGen |> Gen.where (fun position -> not position.IsZero)

    forAll (Gen.zip3 logGen (Gen.elements quorums) begun) (fun (log, replicas, after) ->
        let pages = [| for replica in replicas -> pageOf log replica after |]

        match FeedMerge.cut HashRange.Full after log.Through log.Limit pages with
        | Error(FeedFault.TooOld floor) -> floor = highest log replicas && after < floor
        | Error(FeedFault.Disordered _) -> false
        | Ok _ -> after >= highest log replicas)

let private wrongPages =
    let one = changeAt (at 1 5) keys[0]
    let two = changeAt (at 1 6) keys[1]

    let pageOf changes isLast = {
        Node = "n2"
        Page = {
            Changes = changes
            IsLast = isLast
            Floor = DocumentVersion.Zero
        }
    }

    [
        "order", pageOf [| two; one |] true
        "twice", pageOf [| one; one |] true
        "below", pageOf [| changeAt (at 1 1) keys[0] |] true
        "above", pageOf [| changeAt (at 2 1) keys[0] |] true
        "empty", pageOf [||] false
    ]

[<Test>]
let ``a replica that sends what it must not is named, with where`` () =
    for what, wrong in wrongPages do
        let fine = {
            Node = "n1"
            Page = {
                Changes = [||]
                IsLast = true
                Floor = DocumentVersion.Zero
            }
        }

        match FeedMerge.cut HashRange.Full (at 1 1) (at 1 9) 10 [| fine; wrong |] with
        | Error(FeedFault.Disordered(node, why)) ->
            Assert.That(node, Is.EqualTo "n2", what)
            Assert.That(why, Is.Not.Empty, what)
        | other -> Assert.Fail $"{what}: {other}"

[<Test>]
let ``a key of another range is not taken`` () =
    let key = keys[0]
    let elsewhere = { Lo = key.Hash + 1UL; Hi = 0UL }

    let page = {
        Node = "n1"
        Page = {
            Changes = [| changeAt (at 1 5) key |]
            IsLast = true
            Floor = DocumentVersion.Zero
        }
    }

    Assert.That((FeedMerge.cut elsewhere (at 1 1) (at 1 9) 10 [| page |]).IsError)
