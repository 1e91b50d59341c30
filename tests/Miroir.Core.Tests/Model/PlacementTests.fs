/// Which nodes own a shard, and how many of them must answer.
module Miroir.Core.Tests.PlacementTests

open System
open NUnit.Framework
open FsCheck.NUnit
open Miroir.Core

let private shard n = {
    Index = "books"
    Generation = 1
    Shard = n
}

let private node zones n = {
    PlacementNode.Name = $"node-{n}"
    Zone = if zones = 0 then "" else $"zone-{n % zones}"
    Weight = 1.0
}

let private owners nodes rf n =
    match Placement.owners nodes rf (shard n) with
    | Ok names -> names
    | Error why -> failwith why

let private small (n: int) limit = 1 + abs (n % limit)

[<Property>]
let ``owners are distinct nodes, the same in any order of asking`` (seed: int) (count: int) (rf: int) (zones: int) =
    let count = small count 12
    let rf = 1 + abs (rf % count)
    let nodes = Array.init count (node (abs (zones % 4)))
    let shuffled = Array.copy nodes
    Random(seed).Shuffle shuffled

    Seq.forall
        (fun n ->
            let names = owners nodes rf n

            names = owners shuffled rf n
            && names.Length = rf
            && (Array.distinct names).Length = rf
            && names
               |> Array.forall (fun name -> nodes |> Array.exists (fun node -> node.Name = name)))
        [ 0..9 ]

[<Property>]
let ``owners are in as many zones as there are`` (count: int) (rf: int) (zones: int) =
    let zones = small zones 5
    let count = zones + abs (count % 8)
    let rf = 1 + abs (rf % count)
    let nodes = Array.init count (node zones)

    let zoneOf name =
        (nodes |> Array.find (fun n -> n.Name = name)).Zone

    Seq.forall (fun n -> (owners nodes rf n |> Array.map zoneOf |> Array.distinct).Length = min rf zones) [ 0..19 ]

[<Property>]
let ``a new node takes shards and no other node gains any`` (count: int) (rf: int) =
    let count = small count 12
    let rf = 1 + abs (rf % count)
    let before = Array.init count (node 0)
    let added = node 0 count

    Seq.forall
        (fun n ->
            let old, now =
                owners before rf n |> Set.ofArray, owners (Array.append before [| added |]) rf n |> Set.ofArray

            Set.isSubset (now - old) (Set.singleton added.Name) && (old - now).Count <= 1)
        [ 0..49 ]

[<Test>]
let ``shards follow weights`` () =
    let nodes = [|
        for n, weight in [ 0, 1.0; 1, 2.0; 2, 5.0 ] -> { node 0 n with Weight = weight }
    |]

    let shards = 8000

    let owned =
        Seq.init shards (owners nodes 1 >> Array.head) |> Seq.countBy id |> Map.ofSeq

    for node in nodes do
        let share = node.Weight / 8.0
        let expected = share * float shards
        let sixSigma = 6.0 * sqrt (float shards * share * (1.0 - share))
        Assert.That(float owned[node.Name], Is.EqualTo(expected).Within sixSigma)

[<Test>]
let ``too few nodes are an error that says so`` () =
    for nodes, rf in [ 2, 3; 0, 1; 3, 0; 3, -1 ] do
        match Placement.owners (Array.init nodes (node 0)) rf (shard 0) with
        | Ok _ -> Assert.Fail $"{nodes} nodes, replication {rf}"
        | Error why -> Assert.That(why, Does.Contain "replication")

[<Test>]
let ``owners stay what they were in earlier builds`` () =
    let nodes = Array.init 4 (node 0)

    Assert.That(
        String.Join(" ", [ for n in 0..7 -> owners nodes 1 n |> Array.head ]),
        Is.EqualTo "node-0 node-2 node-0 node-1 node-1 node-2 node-0 node-2"
    )

[<Test>]
let ``any write quorum meets any barrier quorum, and fewer than a write quorum are left behind`` () =
    for rf in 1..1000 do
        let write, barrier = Quorum.write rf, Quorum.barrier rf
        Assert.That(write + barrier > rf, Is.True, $"{rf}")
        Assert.That(rf - barrier < write, Is.True, $"{rf}")
        Assert.That(2 * write > rf && write <= rf && barrier >= 1, Is.True, $"{rf}")

[<Property>]
let ``of any two write quorums, and of a write and a barrier quorum, one node is in both`` (rf: int) (seed: int) =
    let rf = small rf 9
    let random = Random seed

    let pick n =
        let nodes = Array.init rf id
        random.Shuffle nodes
        Set.ofArray nodes[.. n - 1]

    let w, w', b =
        pick (Quorum.write rf), pick (Quorum.write rf), pick (Quorum.barrier rf)

    not (Set.intersect w w').IsEmpty && not (Set.intersect w b).IsEmpty
