/// Range digests, and the grid that they are kept on.
module Miroir.Core.Tests.DigestGridTests

open System
open FsCheck
open FsCheck.FSharp
open Miroir.Core
open NUnit.Framework

/// Hashes that meet: near the ends of leaves and of the space, and anywhere.
let private hashGen =
    Gen.frequency [
        3,
        gen {
            let! leaf = Gen.choose (0, DigestGrid.Leaves - 1)
            let! near = Gen.choose (-1, 1)
            return (DigestGrid.rangeOf leaf).Lo + uint64 (int64 near)
        }
        1, Gen.elements [ 0UL; 1UL; UInt64.MaxValue; 1UL <<< 63; (1UL <<< 63) - 1UL ]
        3,
        gen {
            let! high = Gen.choose (0, Int32.MaxValue)
            let! low = Gen.choose (0, Int32.MaxValue)
            return (uint64 high <<< 33) ||| uint64 low
        }
    ]

let private rangeGen =
    Gen.map2
        (fun (x: uint64) (y: uint64) -> {
            Lo = min x y
            // Hi = 0 is the end of the space.
            Hi = (max x y) + 1UL
        })
        hashGen
        hashGen

let private keys = [| for i in 0..299 -> Key.Of $"key-{i}" |]

/// Ends that stand on keys, so that ranges cut leaves that hold something.
let private keyRangeGen =
    Gen.map2
        (fun (x: Key) (y: Key) -> {
            Lo = min x.Hash y.Hash
            Hi = max x.Hash y.Hash
        })
        (Gen.elements keys)
        (Gen.elements keys)
    |> Gen.where (fun range -> range.Lo < range.Hi)

let private anyRangeGen = Gen.oneof [ rangeGen; keyRangeGen ]

let private entryOf (key: Key, version: int, isTombstone: bool) : Entry =
    Entry(
        key,
        { Term = 1L; Clock = int64 version },
        isTombstone,
        Digest.OfBody(ReadOnlySpan [| byte version |]),
        Guid.Empty,
        Origin.Client
    )

let private entriesGen =
    gen {
        let! chosen = Gen.subListOf (List.ofArray keys)
        let! versions = Gen.listOfLength chosen.Length (Gen.choose (1, 9))
        let! deleted = Gen.listOfLength chosen.Length (Gen.elements [ true; false ])
        return List.zip3 chosen versions deleted |> List.map entryOf |> Array.ofList
    }

let private sumOf (range: HashRange) (entries: Entry[]) =
    entries
    |> Array.filter (fun entry -> range.Contains entry.Key)
    |> Array.fold (fun sum entry -> sum + RangeDigest.OfEntry entry) RangeDigest.Zero

/// The leaves as a store keeps them, one entry after the other.
let private leavesOf (range: HashRange) (entries: Entry[]) =
    let leaves = LeafDigests range

    for entry in entries do
        if range.Contains entry.Key then
            let leaf = DigestGrid.leafOf entry.Key.Hash
            leaves[leaf] <- leaves[leaf] + RangeDigest.OfEntry entry

    leaves

let private check (property: Property) =
    Check.One(Config.QuickThrowOnFailure.WithMaxTest 1000, property)

/// Whether these are, in order, the whole of the range and nothing else.
let private partitions (range: HashRange) (parts: HashRange[]) =
    parts[0].Lo = range.Lo
    && (Array.last parts).Last = range.Last
    && parts |> Array.forall (fun part -> part.Lo <= part.Last)
    && parts |> Array.pairwise |> Array.forall (fun (x, y) -> x.Last + 1UL = y.Lo)

[<Test>]
let ``children partition their range, and are few, aligned and smaller`` () =
    check (
        Prop.forAll (Arb.fromGen anyRangeGen) (fun range ->
            let children = DigestGrid.childrenOf range

            partitions range children
            && children.Length <= DigestGrid.Fanout
            && (DigestGrid.isWithinLeaf range = (children.Length = 1))
            && (children.Length = 1
                || children |> Array.forall (fun child -> child.Width < range.Width)))
    )

[<Test>]
let ``descending ends in leaves after four steps at most`` () =
    let rec depth (range: HashRange) =
        if DigestGrid.isWithinLeaf range then
            0
        else
            let children = DigestGrid.childrenOf range
            // The middle ones are alike.
            1 + max (depth children[0]) (depth (Array.last children))

    check (Prop.forAll (Arb.fromGen anyRangeGen) (fun range -> depth range <= 4))
    Assert.That(depth HashRange.Full, Is.EqualTo 4)

[<Test>]
let ``leaves partition the space`` () =
    Assert.That(
        [| for leaf in 0 .. DigestGrid.Leaves - 1 -> DigestGrid.rangeOf leaf |]
        |> partitions HashRange.Full
    )

    check (Prop.forAll (Arb.fromGen hashGen) (fun hash -> (DigestGrid.rangeOf (DigestGrid.leafOf hash)).Contains hash))

[<Test>]
let ``the leaves covered and the parts cut are the whole of any range of any store`` () =
    let worlds =
        Gen.map3 (fun store asked entries -> store, asked, entries) anyRangeGen anyRangeGen entriesGen

    check (
        Prop.forAll (Arb.fromGen worlds) (fun (store, asked, entries) ->
            let struct (whole, parts) = (leavesOf store entries).Cover asked
            let held = entries |> Array.filter (fun entry -> store.Contains entry.Key)

            let cut =
                parts |> Array.fold (fun sum part -> sum + sumOf part held) RangeDigest.Zero

            whole + cut = sumOf asked held
            && parts.Length <= 2
            && parts
               |> Array.forall (fun part ->
                   DigestGrid.isWithinLeaf part
                   && part.Intersect asked = ValueSome part
                   && part.Intersect store = ValueSome part))
    )

[<Test>]
let ``no part is cut of a range that ends where the store or a leaf does`` () =
    check (
        Prop.forAll (Arb.fromGen (Gen.zip anyRangeGen entriesGen)) (fun (store, entries) ->
            let leaves = leavesOf store entries
            let struct (whole, parts) = leaves.Cover store
            let struct (all, none) = leaves.Cover HashRange.Full

            parts.Length = 0
            && none.Length = 0
            && whole = all
            && whole = sumOf store entries)
    )

[<Test>]
let ``the digest of a split is the sum of its parts, in stores of any boundaries`` () =
    let worlds =
        Gen.map3 (fun store at entries -> store, at, entries) anyRangeGen hashGen entriesGen

    check (
        Prop.forAll (Arb.fromGen worlds) (fun (store, at, entries) ->
            let whole = leavesOf store entries

            let low, high =
                { Lo = 0UL; Hi = max 1UL at }.Intersect store, { Lo = max 1UL at; Hi = 0UL }.Intersect store

            let part (range: HashRange voption) =
                match range with
                | ValueSome range -> (leavesOf range entries).Sum(0, DigestGrid.Leaves - 1)
                | ValueNone -> RangeDigest.Zero

            part low + part high = whole.Sum(0, DigestGrid.Leaves - 1))
    )

[<Test>]
let ``what is added and taken away again leaves nothing, in any order`` () =
    check (
        Prop.forAll (Arb.fromGen (Gen.zip entriesGen entriesGen)) (fun (first, second) ->
            let add = Array.fold (fun sum entry -> sum + RangeDigest.OfEntry entry)
            let take = Array.fold (fun sum entry -> sum - RangeDigest.OfEntry entry)
            let both = take (add (add RangeDigest.Zero first) second) (Array.rev first)
            both = sumOf HashRange.Full second)
    )

[<Test>]
let ``two equal changes and a row twice are found, which XOR would hide`` () =
    let worlds =
        gen {
            let! beside = entriesGen
            let! key = Gen.elements keys
            let! before = Gen.choose (0, 9)
            let! after = Gen.choose (0, 9) |> Gen.where ((<>) before)
            let! isTombstone = Gen.elements [ true; false ]
            let! fewer = Gen.choose (0, 4)
            let! more = Gen.choose (fewer + 1, 5)
            return beside, entryOf (key, before, false), entryOf (key, after, isTombstone), fewer, more
        }

    check (
        Prop.forAll (Arb.fromGen worlds) (fun (beside, row, changed, fewer, more) ->
            let digest (entry: Entry) = (RangeDigest.OfEntry entry).Sum
            let rest = (sumOf HashRange.Full beside).Sum

            let plus times (delta: Digest) =
                Seq.fold (+) rest (Seq.replicate times delta)
            // By the sums alone: counts would tell some of it.
            let isFoundTwice = plus fewer (digest row) <> plus more (digest row)
            let delta = digest changed - digest row
            isFoundTwice && plus fewer delta <> plus more delta)
    )

[<Test>]
let ``any one change of any entry changes the digest`` () =
    let changes =
        Gen.map2 (fun entries at -> entries, at) entriesGen (Gen.choose (0, 299))

    check (
        Prop.forAll (Arb.fromGen changes) (fun (entries, at) ->
            entries.Length = 0
            || (let at = at % entries.Length
                let entry = entries[at]

                let with' changed =
                    Array.updateAt at changed entries |> sumOf HashRange.Full

                let was = sumOf HashRange.Full entries
                let version = int entry.Version.Clock

                with' (entryOf (entry.Key, version + 1, entry.IsTombstone)) <> was
                && with' (entryOf (entry.Key, version, not entry.IsTombstone)) <> was
                && with' (entryOf (Key.Of(entry.Key.Text + "x"), version, entry.IsTombstone))
                   <> was
                && with' (
                    Entry(entry.Key, entry.Version, entry.IsTombstone, { A = 1UL; B = 2UL }, Guid.Empty, Origin.Client)
                   )
                   <> was
                && sumOf HashRange.Full (Array.removeAt at entries) <> was))
    )

[<Test>]
let ``operation and origin are no part of a digest`` () =
    let entry = entryOf (keys[0], 1, false)

    let copied =
        Entry(entry.Key, entry.Version, false, entry.Digest, Guid(1, 2s, 3s, Array.zeroCreate 8), Origin.Migration)

    Assert.That(RangeDigest.OfEntry copied, Is.EqualTo(RangeDigest.OfEntry entry))
