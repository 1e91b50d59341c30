/// Replicas in memory, of keys that crowd some leaves of the digest grid and are strewn over others.
module Miroir.Core.Tests.Replicas

open System
open FsCheck
open FsCheck.FSharp
open Miroir.Core

/// Some leaves with many keys each, neighbours of them, and keys far from each other: in key order.
let keys: Key[] =
    let pool = [| for i in 0..199_999 -> Key.Of $"{i}" |]
    let crowded = pool |> Array.groupBy (fun key -> DigestGrid.leafOf key.Hash)
    let leaves = crowded |> Array.sortByDescending (fun (_, held) -> held.Length)

    Array.concat [
        yield! leaves |> Array.truncate 3 |> Array.map snd
        yield pool |> Array.filter (fun key -> key.Hash >>> 52 = 0x7FUL)
        yield pool |> Array.truncate 20
    ]
    |> Array.distinctBy _.Text
    |> Array.sort

/// A document at version 1 and on; content 0 is the right one, others are corruption. Every fourth version deletes.
let documentOf (key: Key) (version: int) (content: int) : Document =
    let at = {
        Term = 1L + int64 (version / 4)
        Clock = int64 version
    }

    if version % 4 = 3 && content = 0 then
        Document.Tombstone(key, at, Guid.Empty, Origin.Client)
    else
        let body = Text.Encoding.UTF8.GetBytes $"""{{"v":{version},"c":{content}}}"""
        Document.Live(key, at, ReadOnlyMemory body, Guid.Empty, Origin.Client)

let entryOf key version content = (documentOf key version content).Entry

/// What one replica has, in key order.
type Replica = Entry[]

let digestOf (range: HashRange) (replica: Replica) : RangeDigest =
    replica
    |> Array.filter (fun entry -> range.Contains entry.Key)
    |> Array.fold (fun sum entry -> sum + RangeDigest.OfEntry entry) RangeDigest.Zero

/// Replicas that hold the same but for some keys, of which each has its own share.
let replicasGen: Gen<Replica[]> =
    gen {
        let! replicas = Gen.choose (1, 5)
        let! common = Gen.subListOf (List.ofArray keys)
        let! sharedVersion = Gen.choose (1, 8)
        let! astray = Gen.choose (0, 12)

        let! own =
            Gen.listOfLength
                astray
                (gen {
                    let! key = Gen.elements keys

                    let! held =
                        Gen.listOfLength
                            replicas
                            (Gen.frequency [
                                2, Gen.constant None
                                6, Gen.choose (1, 8) |> Gen.map (fun version -> Some(version, 0))
                                1, Gen.choose (1, 8) |> Gen.map (fun version -> Some(version, 1))
                            ])

                    return key, held
                })

        return [|
            for replica in 0 .. replicas - 1 do
                let held = Collections.Generic.SortedDictionary<Key, Entry>()

                for key in common do
                    held[key] <- entryOf key sharedVersion 0

                for key, versions in own do
                    match versions[replica] with
                    | Some(version, content) -> held[key] <- entryOf key version content
                    | None -> held.Remove key |> ignore

                Array.ofSeq held.Values
        |]
    }

/// Any range, often one that begins or ends at a key's very hash.
let rangeGen: Gen<HashRange> =
    let hash =
        Gen.oneof [
            Gen.elements keys |> Gen.map _.Hash
            Gen.elements keys |> Gen.map (fun key -> key.Hash + 1UL)
            Gen.choose64 (Int64.MinValue, Int64.MaxValue) |> Gen.map uint64
        ]

    Gen.frequency [
        1, Gen.constant HashRange.Full
        3,
        Gen.two hash
        |> Gen.map (fun (a, b) ->
            if a = b then
                HashRange.Full
            else
                { Lo = min a b; Hi = max a b })
    ]

/// Throws on the first counterexample.
let hold (tests: int) (gen: Gen<'T>) (property: 'T -> unit) =
    Check.One(Config.QuickThrowOnFailure.WithMaxTest tests, Prop.forAll (Arb.fromGen gen) property)
