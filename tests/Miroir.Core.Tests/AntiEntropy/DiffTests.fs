/// What digests, descent and merge find together, held to what a reader of everything finds.
module Miroir.Core.Tests.DiffTests

open System
open FsCheck.FSharp
open Miroir.Core
open Miroir.Core.Tests.Replicas
open NUnit.Framework

type Found = {
    /// Key and kind, in key order.
    Differences: (string * DifferenceKind) list
    Equal: RangeDigest
    /// What was merged.
    Merged: HashRange[]
}

let rec private descend replicas mergeEntries perCall (level: HashRange[]) equal merges =
    if level.Length = 0 then
        equal, Descent.join (merges |> Array.sortBy _.Lo)
    else
        let steps =
            level
            |> Array.chunkBySize perCall
            |> Array.map (fun part ->
                let replies =
                    replicas
                    |> Array.map (fun replica -> part |> Array.map (fun range -> digestOf range replica))

                Descent.step part replies mergeEntries)

        descend
            replicas
            mergeEntries
            perCall
            (steps |> Array.collect _.Descend)
            (steps |> Array.fold (fun sum step -> sum + step.Equal) equal)
            (Array.append merges (steps |> Array.collect _.Merge))

let private diff (replicas: Replica[]) range mergeEntries perCall batch floor : Found =
    let equal, merged =
        descend replicas mergeEntries perCall [| range |] RangeDigest.Zero [||]

    let cursors = replicas |> Array.map (fun _ -> PagedCursor())

    let left =
        replicas
        |> Array.map (Array.filter (fun entry -> merged |> Array.exists (fun range -> range.Contains entry.Key)))

    let merge = Merge(cursors |> Array.map (fun cursor -> cursor :> IEntryCursor))

    let rec go found =
        match merge.Next() with
        | Merged key ->
            match (Sighting.Of key).Kind floor with
            | ValueSome kind -> go ((key.Key.Text, kind) :: found)
            | ValueNone -> go found
        | Feed at ->
            let page = Array.truncate batch left[at]
            left[at] <- left[at][page.Length ..]
            cursors[at].Feed(page, Array.isEmpty left[at])
            go found
        | Drained -> List.rev found
        | other -> failwith $"{other}"

    {
        Differences = go []
        Equal = equal
        Merged = merged
    }

/// Every key by itself.
let private naive (replicas: Replica[]) (range: HashRange) (floor: DocumentVersion) =
    let maps =
        replicas
        |> Array.map (fun replica -> replica |> Array.map (fun entry -> entry.Key, entry) |> Map.ofArray)

    let kindOf (key: Key) =
        let held = maps |> Array.map (Map.tryFind key)
        let there = Array.choose id held
        let highest = there |> Array.map _.Version |> Array.max
        let best = there |> Array.filter (fun entry -> entry.Version = highest)

        let isLacking (entry: Entry option) =
            match entry with
            | None -> not (best[0].IsTombstone && highest < floor)
            | Some entry -> entry.Version < highest

        if (best |> Array.distinctBy (fun entry -> entry.IsTombstone, entry.Digest)).Length > 1 then
            Some DifferenceKind.Corrupt
        elif not (Array.exists isLacking held) then
            None
        elif best[0].IsTombstone then
            Some DifferenceKind.LacksTombstone
        elif Array.contains None held then
            Some DifferenceKind.Missing
        else
            Some DifferenceKind.Stale

    replicas
    |> Array.collect (Array.map _.Key)
    |> Array.distinctBy _.Text
    |> Array.filter range.Contains
    |> Array.sort
    |> Array.choose (fun key -> kindOf key |> Option.map (fun kind -> key.Text, kind))
    |> List.ofArray

let private world =
    gen {
        let! replicas = replicasGen
        let! range = rangeGen
        let! mergeEntries = Gen.elements [ 0L; 1L; 3L; 16L; 1000L ]
        let! perCall = Gen.elements [ 1; 2; 16; 4096 ]
        let! batch = Gen.elements [ 1; 2; 7; 100 ]
        let! floor = Gen.choose (0, 9) |> Gen.map (fun at -> (entryOf keys[0] at 0).Version)
        return replicas, range, mergeEntries, perCall, batch, floor
    }

[<Test>]
let ``The streamed diff is the naive set difference`` () =
    hold 400 world (fun (replicas, range, mergeEntries, perCall, batch, floor) ->
        let found = diff replicas range mergeEntries perCall batch floor
        Assert.That((found.Differences = naive replicas range floor), $"{found.Differences}"))

[<Test>]
let ``What was not merged is what every replica has alike`` () =
    hold 200 world (fun (replicas, range, mergeEntries, perCall, batch, floor) ->
        let found = diff replicas range mergeEntries perCall batch floor

        for replica in replicas do
            let merged =
                found.Merged
                |> Array.fold (fun sum part -> sum + digestOf part replica) RangeDigest.Zero

            Assert.That(digestOf range replica - merged, Is.EqualTo found.Equal))

[<Test>]
let ``Equal replicas are not merged at all, and differing ones only near their differences`` () =
    hold 200 world (fun (replicas, range, _, perCall, batch, floor) ->
        let same = Array.create 3 replicas[0]
        Assert.That(Array.isEmpty (diff same range 0L perCall batch floor).Merged)

        let differing = (diff replicas range 0L perCall batch DocumentVersion.Zero).Merged

        for part in differing |> Array.collect (fun part -> [| part.Lo; part.Last |]) do
            let leaf = DigestGrid.rangeOf (DigestGrid.leafOf part)
            Assert.That(not (List.isEmpty (naive replicas leaf DocumentVersion.Zero))))

[<Test>]
let ``A tombstone that has become a document at its version is corruption, whatever its digest says`` () =
    let dead = entryOf keys[5] 3 0

    let risen =
        Entry(dead.Key, dead.Version, false, dead.Digest, Guid.Empty, Origin.Client)

    let found =
        diff [| [| dead |]; [| dead |]; [| risen |] |] HashRange.Full 0L 16 1 DocumentVersion.Zero

    Assert.That((found.Differences = [ dead.Key.Text, DifferenceKind.Corrupt ]))

let private puts =
    Gen.zip (Gen.elements keys) (Gen.choose (1, 8)) |> Gen.listOf |> Gen.resize 200

[<Test>]
let ``Digests kept up by difference are those computed from scratch`` () =
    hold 200 (Gen.zip3 puts rangeGen rangeGen) (fun (puts, owned, asked) ->
        let leaves = LeafDigests owned

        let held =
            puts
            |> List.filter (fun (key, _) -> owned.Contains key)
            |> List.fold
                (fun (held: Map<Key, Entry>) (key, version) ->
                    let entry = entryOf key version 0
                    let leaf = DigestGrid.leafOf key.Hash

                    match held.TryFind key with
                    | Some before when before.Version >= entry.Version -> held
                    | before ->
                        let gone =
                            before |> Option.map RangeDigest.OfEntry |> Option.defaultValue RangeDigest.Zero

                        leaves[leaf] <- leaves[leaf] + RangeDigest.OfEntry entry - gone
                        held.Add(key, entry))
                Map.empty
            |> Map.toArray
            |> Array.map snd

        for leaf in leaves.First .. max 1 ((leaves.Last - leaves.First) / 64) .. leaves.Last do
            Assert.That(leaves[leaf], Is.EqualTo(digestOf (DigestGrid.rangeOf leaf) held))

        // What leaves cover, and what they cut, is all of the range that was asked for.
        let struct (sum, cut) = leaves.Cover asked
        let whole = cut |> Array.fold (fun sum part -> sum + digestOf part held) sum
        Assert.That(whole, Is.EqualTo(digestOf asked held))
        Assert.That(cut.Length, Is.AtMost 2)

        for part in cut do
            Assert.That(DigestGrid.isWithinLeaf part))
