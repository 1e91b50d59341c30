/// Routes and replies that the tests of writes and reads tell their stories with.
module Miroir.Core.Tests.WritesExamples

open System
open System.Text
open NUnit.Framework
open FsCheck
open FsCheck.FSharp
open FsCheck.NUnit
open Miroir.Core

let shard generation = {
    Index = "movies"
    Generation = generation
    Shard = 0
}

let writer term = {
    Router = "r1"
    Incarnation = 1L
    Term = term
}

let route epoch stage owners targets term : Route = {
    Shard = shard 1
    Range = HashRange.Full
    Epoch = epoch
    Stage = stage
    Owners = owners
    Targets = [|
        if stage <> Owned then
            {
                Shard = shard 2
                Range = HashRange.Full
                Nodes = targets
            }
    |]
    Writer = writer term
    Fences = [||]
    Migration = 0L
}

let ours = { Term = 1L; Clock = 100L }

let refused: Refusal = {
    Code = RefusalCode.Injected
    Message = "injected"
}

/// A route of some stage and size; a node may be an owner and a target.
let routes epoch term =
    gen {
        let! rf = Gen.choose (1, 4)
        let! targetRf = Gen.choose (1, 4)
        let! overlap = Gen.choose (0, 2)
        let! stage = Gen.elements [ Owned; Copying; Joint; Switched ]
        let owners = [| for i in 1..rf -> $"n{i}" |]
        let targets = [| for i in 1..targetRf -> $"n{rf - overlap + i |> max i}" |]
        return route epoch stage owners targets term
    }

let replies =
    Gen.frequency [
        6, Gen.elements [ Applied true; Applied false ]
        2,
        Gen.elements [
            Superseded ours
            Superseded { ours with Clock = 101L }
            Superseded { Term = 2L; Clock = 1L }
        ]
        1, Gen.constant (StaleEpoch(9L, None))
        1, Gen.elements [ NotServing; Refused refused ]
    ]

let key = Key.Of "k"
