namespace Miroir.Core

open System
open System.Globalization
open System.Text.Json

/// The JSON of routes, indexes, nodes and routers, as stored in the metadata and sent between processes.
/// Field names are frozen: append only. Hashes are 16 hexadecimal digits, since JSON numbers lose them.
[<RequireQualifiedAccess>]
module Codec =

    let private hex (value: uint64) = value.ToString "x16"

    let private ofHex (text: string) =
        UInt64.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)

    let writeShard (w: Utf8JsonWriter) (name: string) (shard: ShardId) =
        w.WriteStartObject name
        w.WriteString("index", shard.Index)
        w.WriteNumber("generation", shard.Generation)
        w.WriteNumber("shard", shard.Shard)
        w.WriteEndObject()

    let readShard (element: JsonElement) : ShardId = {
        Index = Json.string "index" element
        Generation = Json.int "generation" element
        Shard = Json.int "shard" element
    }

    let writeRange (w: Utf8JsonWriter) (range: HashRange) =
        w.WriteString("lo", hex range.Lo)
        w.WriteString("hi", hex range.Hi)

    let readRange (element: JsonElement) : HashRange = {
        Lo = ofHex (Json.string "lo" element)
        Hi = ofHex (Json.string "hi" element)
    }

    let writeRoute (w: Utf8JsonWriter) (route: Route) =
        Json.object' w (fun () ->
            w.WriteNumber("v", 1)
            writeShard w "shard" route.Shard
            writeRange w route.Range
            w.WriteNumber("epoch", route.Epoch)
            w.WriteString("stage", string route.Stage)
            Json.strings w "owners" route.Owners

            Json.array w "targets" route.Targets (fun target ->
                Json.object' w (fun () ->
                    writeShard w "shard" target.Shard
                    writeRange w target.Range
                    Json.strings w "nodes" target.Nodes))

            w.WriteString("writer", route.Writer.Router)
            w.WriteNumber("incarnation", route.Writer.Incarnation)
            w.WriteNumber("term", route.Writer.Term)

            Json.array w "fences" route.Fences (fun fence ->
                Json.object' w (fun () ->
                    writeShard w "shard" fence.Shard
                    w.WriteNumber("epoch", fence.Epoch)))

            w.WriteNumber("migration", route.Migration))

    let readRoute (element: JsonElement) : Route =
        Json.version 1 element |> ignore

        {
            Shard = readShard (Json.field "shard" element)
            Range = readRange element
            Epoch = Json.int64 "epoch" element
            Stage =
                (let stage = Json.string "stage" element

                 match Stage.Parse stage with
                 | ValueSome known -> known
                 | ValueNone -> raise (FormatException $"'{stage}' is no stage of a route"))
            Owners = Json.items "owners" Json.text element
            Targets =
                element
                |> Json.items "targets" (fun target -> {
                    Shard = readShard (Json.field "shard" target)
                    Range = readRange target
                    Nodes = Json.items "nodes" Json.text target
                })
            Writer = {
                Router = Json.string "writer" element
                Incarnation = Json.int64 "incarnation" element
                Term = Json.int64 "term" element
            }
            Fences =
                element
                |> Json.items "fences" (fun fence -> {
                    Shard = readShard (Json.field "shard" fence)
                    Epoch = Json.int64 "epoch" fence
                })
            Migration = Json.int64 "migration" element
        }

    let writeIndex (w: Utf8JsonWriter) (index: IndexInfo) =
        Json.object' w (fun () ->
            w.WriteNumber("v", 1)
            w.WriteString("uid", index.Uid)
            w.WriteString("primaryKey", index.PrimaryKey)
            w.WriteNumber("replication", index.Replication)
            w.WriteNumber("generation", index.Layout.Generation)
            w.WriteNumber("shards", index.Layout.ShardCount)
            w.WriteNumber("lastGeneration", index.LastGeneration)
            w.WriteNumber("createdAtUnixMs", index.CreatedAtUnixMs)
            w.WriteNumber("updatedAtUnixMs", index.UpdatedAtUnixMs))

    let readIndex (element: JsonElement) : IndexInfo =
        Json.version 1 element |> ignore

        {
            Uid = Json.string "uid" element
            PrimaryKey = Json.string "primaryKey" element
            Replication = Json.int "replication" element
            Layout = {
                Generation = Json.int "generation" element
                ShardCount = Json.int "shards" element
            }
            LastGeneration = Json.int "lastGeneration" element
            CreatedAtUnixMs = Json.int64 "createdAtUnixMs" element
            UpdatedAtUnixMs = Json.int64 "updatedAtUnixMs" element
        }

    let writeNode (w: Utf8JsonWriter) (node: NodeInfo) =
        Json.object' w (fun () ->
            w.WriteNumber("v", 1)
            w.WriteString("name", node.Name)
            w.WriteString("address", node.Address)
            w.WriteString("zone", node.Zone)
            w.WriteNumber("weight", node.Weight)
            w.WriteNumber("capacityBytes", node.CapacityBytes)
            w.WriteString("role", string node.Role))

    let readNode (element: JsonElement) : NodeInfo =
        Json.version 1 element |> ignore

        {
            Name = Json.string "name" element
            Address = Json.string "address" element
            Zone = Json.string "zone" element
            Weight = Json.float "weight" element
            CapacityBytes = Json.int64 "capacityBytes" element
            Role =
                match Json.string "role" element with
                | "Active" -> Active
                | "Draining" -> Draining
                | role -> raise (FormatException $"'{role}' is no role of a node")
        }

    let writeRouter (w: Utf8JsonWriter) (router: RouterInfo) =
        Json.object' w (fun () ->
            w.WriteNumber("v", 1)
            w.WriteString("name", router.Name)
            w.WriteString("address", router.Address)
            w.WriteNumber("incarnation", router.Incarnation)
            w.WriteNumber("number", router.Number))

    let readRouter (element: JsonElement) : RouterInfo =
        Json.version 1 element |> ignore

        {
            Name = Json.string "name" element
            Address = Json.string "address" element
            Incarnation = Json.int64 "incarnation" element
            Number = Json.int "number" element
        }

    let writeTable (w: Utf8JsonWriter) (update: TableUpdate) =
        Json.object' w (fun () ->
            w.WriteNumber("v", 1)
            w.WriteNumber("revision", update.Revision)
            w.WriteBoolean("full", update.IsFull)
            Json.array w "indexes" update.Indexes (writeIndex w)
            Json.strings w "removedIndexes" update.RemovedIndexes
            Json.array w "routes" update.Routes (writeRoute w)

            Json.array w "removedRoutes" update.RemovedRoutes (fun shard ->
                Json.object' w (fun () -> writeShard w "shard" shard))

            Json.array w "nodes" update.Nodes (writeNode w)
            Json.strings w "removedNodes" update.RemovedNodes
            Json.array w "routers" update.Routers (writeRouter w)
            Json.strings w "removedRouters" update.RemovedRouters)

    let readTable (element: JsonElement) : TableUpdate =
        Json.version 1 element |> ignore

        {
            Revision = Json.int64 "revision" element
            IsFull = Json.bool "full" element
            Indexes = Json.items "indexes" readIndex element
            RemovedIndexes = Json.items "removedIndexes" Json.text element
            Routes = Json.items "routes" readRoute element
            RemovedRoutes = Json.items "removedRoutes" (Json.field "shard" >> readShard) element
            Nodes = Json.items "nodes" readNode element
            RemovedNodes = Json.items "removedNodes" Json.text element
            Routers = Json.items "routers" readRouter element
            RemovedRouters = Json.items "removedRouters" Json.text element
        }

    let routeToBytes (route: Route) : byte[] =
        Json.toBytes (fun w -> writeRoute w route)

    let routeOfBytes (json: ReadOnlyMemory<byte>) : Route = Json.ofBytes readRoute json

    let indexToBytes (index: IndexInfo) : byte[] =
        Json.toBytes (fun w -> writeIndex w index)

    let indexOfBytes (json: ReadOnlyMemory<byte>) : IndexInfo = Json.ofBytes readIndex json

    let nodeToBytes (node: NodeInfo) : byte[] =
        Json.toBytes (fun w -> writeNode w node)

    let nodeOfBytes (json: ReadOnlyMemory<byte>) : NodeInfo = Json.ofBytes readNode json

    let routerToBytes (router: RouterInfo) : byte[] =
        Json.toBytes (fun w -> writeRouter w router)

    let routerOfBytes (json: ReadOnlyMemory<byte>) : RouterInfo = Json.ofBytes readRouter json

    let tableToBytes (update: TableUpdate) : byte[] =
        Json.toBytes (fun w -> writeTable w update)

    let tableOfBytes (json: ReadOnlyMemory<byte>) : TableUpdate = Json.ofBytes readTable json
