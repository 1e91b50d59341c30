/// Passes and plans, any and well-formed.
module Miroir.Ctl.Tests.PassGen

open FsCheck
open FsCheck.FSharp
open Miroir.Core
open Miroir.Ports
open Miroir.Scripting

let layout: LayoutInfo = { Generation = 1; ShardCount = 16 }

let private text =
    Gen.elements [ ""; "n1: -"; "größe"; "日本語 🚀"; "a \"quoted\"\n\u0000line"; "libstdc++6" ]

let private key = text |> Gen.filter ((<>) "")
let private small = Gen.choose (0, 5) |> Gen.map int64

let document: Gen<DivergenceView> =
    gen {
        let! key = key
        let! generation = Gen.choose (1, 3)
        let! shard = Gen.choose (0, layout.ShardCount - 1)
        let! kind = Gen.elements PlannedDocument.kinds
        let! term = Gen.choose (0, 9)
        let! clock = Gen.elements [ 0L; 117652365836091393L; System.Int64.MaxValue ]
        let! keep = Gen.elements [ ""; "00112233445566778899aabbccddeeff" ]
        let! lacking = Gen.arrayOf text

        return {
            Key = key
            Generation = generation
            Shard = shard
            Kind = kind
            Version = $"{term}.{clock}"
            Keep = keep
            Lacking = lacking
            Outcome = "Planned"
        }
    }

let plan: Gen<RepairPlan> =
    gen {
        let! index = key
        let! documents = Gen.arrayOf document
        let! pass = small
        let! more = small

        return {
            Index = index
            Layout = layout
            Pass = pass
            MadeAtUnixMs = 1772452800000L
            Divergences = int64 documents.Length + more
            Documents = documents
        }
    }

let shard (number: int) : ShardPassView = {
    Generation = 1
    Shard = number
    Copies = 3
    State = "InSync"
    Entries = 62L
    Compared = 0L
    Divergences = DivergenceCounts.Zero
    Repaired = 0L
    Purged = 0L
    DriftedLeaves = 0L
    BytesRead = 2048L
    RoundTrips = 1L
    ElapsedMs = 12L
    Problem = ""
    IsCertified = true
    Digest = "00ff"
}

/// Over `count` shards, with no difference in them.
let clean (kind: string) (count: int) : PassView = {
    Id = 7L
    Index = "packages"
    Kind = kind
    Status = "Done"
    Reason = ""
    StartedAtUnixMs = 1772452800000L
    FinishedAtUnixMs = 1772452803200L
    ShardsTotal = count
    RemainingMs = 0L
    Shards = Array.init count shard
    Documents = [||]
    Divergences = DivergenceCounts.Zero
    Repaired = 0L
    BytesRead = 2048L * int64 count
}

/// The same with `missing` documents missing in its first shard, each of this outcome.
let withMissing (missing: int) (outcome: string) (pass: PassView) : PassView =
    let counts = {
        DivergenceCounts.Zero with
            Missing = int64 missing
    }

    let repaired = if outcome = "Repaired" then int64 missing else 0L

    {
        pass with
            Divergences = counts
            Repaired = repaired
            Shards =
                pass.Shards
                |> Array.mapi (fun i s ->
                    if i = 0 && missing > 0 then
                        {
                            s with
                                State = (if outcome = "Repaired" then "Repaired" else "Divergent")
                                Divergences = counts
                                Repaired = repaired
                        }
                    else
                        s)
            Documents =
                Array.init missing (fun i -> {
                    Key = $"k{i}"
                    Generation = 1
                    Shard = 0
                    Kind = "Missing"
                    Version = "1.7"
                    Keep = ""
                    Lacking = [| "n2: -" |]
                    Outcome = outcome
                })
    }
