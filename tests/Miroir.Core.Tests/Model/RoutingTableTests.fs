/// What a router knows, however the news of it came.
module Miroir.Core.Tests.RoutingTableTests

open System
open NUnit.Framework
open FsCheck
open FsCheck.FSharp
open FsCheck.NUnit
open Miroir.Core

let private contents (table: RoutingTable) =
    table.Indexes, table.Routes, table.Nodes, table.Routers

let private nothing = {
    Revision = 0L
    IsFull = false
    Indexes = [||]
    RemovedIndexes = [||]
    Routes = [||]
    RemovedRoutes = [||]
    Nodes = [||]
    RemovedNodes = [||]
    Routers = [||]
    RemovedRouters = [||]
}

/// The changes that an update is made of, on plain maps: what the table must come to.
let private change (indexes, routes, nodes, routers) (u: TableUpdate) =
    let put key items map =
        Array.fold (fun map item -> Map.add (key item) item map) map items

    let drop keys map =
        Array.fold (fun map key -> Map.remove key map) map keys

    drop u.RemovedIndexes indexes |> put (fun (i: IndexInfo) -> i.Uid) u.Indexes,
    drop u.RemovedRoutes routes |> put (fun (r: Route) -> r.Shard) u.Routes,
    drop u.RemovedNodes nodes |> put (fun (n: NodeInfo) -> n.Name) u.Nodes,
    drop u.RemovedRouters routers |> put (fun (r: RouterInfo) -> r.Name) u.Routers

/// A history of updates as a coordinator gives them: epochs of a route only grow.
let private history: Gen<TableUpdate list> =
    Gen.listOf Arbitrary.table
    |> Gen.map (
        List.mapi (fun i u -> {
            u with
                Revision = int64 i + 1L
                IsFull = false
                Routes = u.Routes |> Array.map (fun r -> { r with Epoch = int64 i + 1L })
        })
    )

[<Property>]
let ``changes one by one come to the same table as all of it`` () =
    Prop.forAll (Arb.fromGen history) (fun updates ->
        let changed =
            updates |> List.fold (fun (t: RoutingTable) u -> t.Apply u) RoutingTable.Empty

        let indexes, routes, nodes, routers =
            List.fold change (Map.empty, Map.empty, Map.empty, Map.empty) updates

        let full = {
            nothing with
                Revision = int64 updates.Length
                IsFull = true
                Indexes = indexes |> Map.values |> Seq.toArray
                Routes = routes |> Map.values |> Seq.toArray
                Nodes = nodes |> Map.values |> Seq.toArray
                Routers = routers |> Map.values |> Seq.toArray
        }

        let stale =
            RoutingTable.Empty.Apply {
                nothing with
                    Indexes = [|
                        for uid in [ "gone" ] ->
                            {
                                Uid = uid
                                PrimaryKey = ""
                                Replication = 1
                                Layout = { Generation = 1; ShardCount = 1 }
                                LastGeneration = 1
                                CreatedAtUnixMs = 0L
                                UpdatedAtUnixMs = 0L
                            }
                    |]
            }

        contents changed = contents (RoutingTable.Empty.Apply full)
        && contents changed = contents (stale.Apply full)
        && changed.Revision = int64 updates.Length)

[<Property>]
let ``a route is never replaced by one of an older epoch`` () =
    Prop.forAll (Arb.fromGen (Gen.zip Arbitrary.route (Gen.listOf (Gen.choose (0, 9))))) (fun (route, epochs) ->
        let mutable table = RoutingTable.Empty
        let mutable highest = -1L

        epochs
        |> List.forall (fun epoch ->
            table <-
                table.Apply {
                    nothing with
                        Routes = [| { route with Epoch = int64 epoch } |]
                }

            highest <- max highest (int64 epoch)

            match table.TryRoute route.Shard with
            | ValueSome known -> known.Epoch = highest
            | ValueNone -> false))

[<Property>]
let ``the revision never goes back, and a snapshot stays what it was`` (revisions: int64 list) =
    let revisions = revisions |> List.map abs

    let mutable table = RoutingTable.Empty

    revisions
    |> List.forall (fun revision ->
        let before = table
        let known = before.Revision

        table <-
            before.Apply {
                nothing with
                    Revision = revision
                    Nodes = [|
                        {
                            Name = string revision
                            Address = ""
                            Zone = ""
                            Weight = 1.0
                            CapacityBytes = 0L
                            Role = Active
                        }
                    |]
            }

        before.Revision = known
        && table.Revision = max known revision
        && (table.TryNode(string revision)).IsSome)

/// An index on its way from some shards to others, some of them retired.
let private moving from into (retired: int -> bool) =
    let shard generation n : ShardId = {
        Index = "books"
        Generation = generation
        Shard = n
    }

    let target n : TargetShard = {
        Shard = shard 2 n
        Range = Layout.range into n
        Nodes = [| "b" |]
    }

    let route shard range stage targets = {
        Shard = shard
        Range = range
        Epoch = 1L
        Stage = stage
        Owners = [| "a" |]
        Targets = targets
        Writer = {
            Router = "r"
            Incarnation = 1L
            Term = 1L
        }
        Fences = [||]
        Migration = 1L
    }

    RoutingTable.Empty.Apply {
        nothing with
            Indexes = [|
                {
                    Uid = "books"
                    PrimaryKey = "id"
                    Replication = 1
                    Layout = { Generation = 1; ShardCount = from }
                    LastGeneration = 2
                    CreatedAtUnixMs = 0L
                    UpdatedAtUnixMs = 0L
                }
            |]
            Routes = [|
                for n in 0 .. from - 1 do
                    let range = Layout.range from n
                    let struct (first, last) = Layout.overlapping into range
                    let targets = Array.map target [| first..last |]
                    yield route (shard 1 n) range (if retired n then Retired else Joint) targets

                    if retired n then
                        for t in targets do
                            yield route t.Shard t.Range Owned [||]
            |]
    }

[<Property>]
let ``a hash is resolved to its shard, through a retired one to its target``
    (a: int)
    (b: int)
    (mask: int)
    (hash: uint64)
    =
    let from, into = 1 + abs (a % 9), 1 + abs (b % 9)
    let retired n = (mask >>> n) &&& 1 = 1
    let table = moving from into retired

    match table.Resolve("books", hash) with
    | ValueNone -> false
    | ValueSome route ->
        let old = Layout.shardOf from hash

        route.Range.Contains hash
        && route.Stage <> Retired
        && (route.Shard.Generation, route.Shard.Shard) = (if retired old then 2, Layout.shardOf into hash else 1, old)

[<Test>]
let ``what is not known is not resolved`` () =
    Assert.That((moving 2 3 (fun _ -> false)).Resolve("films", 0UL).IsNone, Is.True)

    let routes =
        (moving 2 3 (fun n -> n = 0)).Routes
        |> Array.filter (fun r -> r.Shard.Generation = 1)

    let indexes = (moving 2 3 (fun _ -> true)).Indexes

    let table =
        RoutingTable.Empty.Apply {
            nothing with
                Indexes = indexes
                Routes = routes
        }

    Assert.That(table.Resolve("books", 0UL).IsNone, Is.True)
    Assert.That(table.Resolve("books", UInt64.MaxValue).IsSome, Is.True)
