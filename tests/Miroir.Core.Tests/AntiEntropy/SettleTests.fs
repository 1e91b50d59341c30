/// The second look: what was on its way is no difference, and what stays is one.
module Miroir.Core.Tests.SettleTests

open System
open FsCheck.FSharp
open Miroir.Core
open Miroir.Core.Tests.Replicas
open NUnit.Framework

let private key = keys[0]

let private sighting (versions: int[]) =
    Sighting(
        key,
        versions
        |> Array.map (fun version -> if version = 0 then null else entryOf key version 0)
    )

/// Versions that replicas hold at first, 0 for nothing; then later, when none holds less.
let private looks =
    gen {
        let! replicas = Gen.choose (2, 5)
        let! first = Gen.choose (0, 8) |> Gen.arrayOfLength replicas

        let! grown =
            Gen.frequency [ 2, Gen.constant 0; 1, Gen.choose (1, 8) ]
            |> Gen.arrayOfLength replicas

        let first =
            if Array.max first = 0 then
                Array.create replicas 1
            else
                first

        return first, Array.map2 max first grown
    }

[<Test>]
let ``What every replica has caught up with is no difference`` () =
    hold 1000 looks (fun (first, later) ->
        // Whatever else is newly on its way, all have by now what the best had then.
        let caughtUp = later |> Array.map (max (Array.max first))

        Assert.That(
            Settle.judge DocumentVersion.Zero (sighting first) (sighting caughtUp),
            Is.EqualTo Verdict.WasInFlight
        ))

[<Test>]
let ``What stays behind is a difference, or hot where it was written meanwhile`` () =
    hold 1000 looks (fun (first, later) ->
        let isBehind = Array.min later < Array.max first
        let verdict = Settle.judge DocumentVersion.Zero (sighting first) (sighting later)

        match (sighting later).Kind DocumentVersion.Zero with
        | ValueSome kind when isBehind ->
            let expected =
                if Array.max later = Array.max first then
                    Verdict.Differs kind
                else
                    Verdict.Hot kind

            Assert.That(verdict, Is.EqualTo expected)
        | _ -> Assert.That(verdict, Is.EqualTo Verdict.WasInFlight))

[<Test>]
let ``Looking again and again at what does not change calls it different at last`` () =
    hold 500 looks (fun (first, later) ->
        let settled = sighting later

        match settled.Kind DocumentVersion.Zero with
        | ValueSome kind ->
            Assert.That(Settle.judge DocumentVersion.Zero settled settled, Is.EqualTo(Verdict.Differs kind))
        | ValueNone -> Assert.That(Array.forall ((=) later[0]) later))

[<Test>]
let ``A purged tombstone below the floor is no difference, one that is not below it is`` () =
    let versions =
        gen {
            let! purged = Gen.elements [ 3; 7 ]
            let! floor = Gen.choose (1, 9)
            let! replicas = Gen.choose (2, 5)
            let! isThere = Gen.elements [ true; false ] |> Gen.arrayOfLength replicas
            return purged, floor, isThere
        }

    hold 500 versions (fun (version, floor, isThere) ->
        isThere[0] <- true

        let seen =
            sighting (isThere |> Array.map (fun there -> if there then version else 0))

        let tombstone = entryOf key version 0
        let floor = (entryOf key floor 0).Version
        Assert.That(tombstone.IsTombstone)
        let isDifference = Array.contains false isThere && tombstone.Version >= floor

        if isDifference then
            Assert.That(seen.Kind floor, Is.EqualTo(ValueSome DifferenceKind.LacksTombstone))
            Assert.That(Settle.judge floor seen seen, Is.EqualTo(Verdict.Differs DifferenceKind.LacksTombstone))
        else
            Assert.That((seen.Kind floor).IsNone)
            Assert.That(Settle.judge floor seen seen, Is.EqualTo Verdict.WasInFlight))

[<Test>]
let ``A live document is missed below the floor too, and an older version under a tombstone counts`` () =
    let floor = (entryOf key 8 0).Version
    Assert.That((sighting [| 5; 0 |]).Kind floor, Is.EqualTo(ValueSome DifferenceKind.Missing))
    Assert.That((sighting [| 3; 2 |]).Kind floor, Is.EqualTo(ValueSome DifferenceKind.LacksTombstone))

[<Test>]
let ``What all replicas have purged meanwhile is no difference`` () =
    Assert.That(Settle.judge DocumentVersion.Zero (sighting [| 3; 0 |]) null, Is.EqualTo Verdict.WasInFlight)

[<Test>]
let ``Content that differs at the highest version stays corruption, whatever was in flight`` () =
    let conflict =
        Sighting(key, [| entryOf key 5 0; entryOf key 5 1; entryOf key 5 0 |])

    Assert.That(
        Settle.judge DocumentVersion.Zero (sighting [| 5; 5; 4 |]) conflict,
        Is.EqualTo(Verdict.Differs DifferenceKind.Corrupt)
    )

    Assert.That(conflict.Keep, Is.EqualTo(ValueSome (entryOf key 5 0).Digest))
    // Written over everywhere: the wrong content is gone.
    Assert.That(Settle.judge DocumentVersion.Zero conflict (sighting [| 6; 6; 6 |]), Is.EqualTo Verdict.WasInFlight)
    // Written over, but not where the content is wrong.
    let half = Sighting(key, [| entryOf key 6 0; entryOf key 5 1; entryOf key 6 0 |])

    Assert.That(Settle.judge DocumentVersion.Zero conflict half, Is.EqualTo(Verdict.Hot DifferenceKind.Stale))
