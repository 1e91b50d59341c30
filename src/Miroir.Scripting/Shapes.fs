namespace Miroir.Scripting

open System.Text.Json
open System.Text.Json.Serialization
open Miroir.Core

/// One shard's route, as docs/admin-api.md has it. Hashes are 16 hexadecimal digits, both ends inclusive.
type HashSpan = { Lo: string; Last: string }

type RouteTarget = {
    Index: string
    Generation: int
    Shard: int
    Range: HashSpan
    Nodes: string[]
}

type RouteWriter = {
    Router: string
    Incarnation: int64
    Term: int64
}

type RouteView = {
    Index: string
    Generation: int
    Shard: int
    Range: HashSpan
    Epoch: int64
    Stage: string
    Owners: string[]
    Targets: RouteTarget[]
    Writer: RouteWriter
    Migration: int64
}

type StoreName = {
    Index: string
    Generation: int
    Shard: int
}

type StoreView = {
    Store: StoreName
    Range: HashSpan
    Incarnation: string
    Migration: int64
    Attempt: int
    Documents: int64
    Tombstones: int64
    Bytes: int64
    FailedPuts: int64
}

/// A node with every store on it.
type NodeDetail = {
    Name: string
    Incarnation: string
    Version: string
    LastError: string
    Stores: StoreView[]
}

type NodeAdded = {
    Name: string
    Address: string
    Zone: string
    Weight: float
    CapacityBytes: int64
    Role: string
}

/// An index as the document API lists it.
type IndexView = { Uid: string; PrimaryKey: string }

/// A task that a write became. Its `Status` is often its last already.
type Accepted = { TaskUid: int64; Status: string }

type Results<'T> = { Results: 'T[] }

/// Why a call did not do what it was asked.
type ClientError =
    /// The server answered that it would not, or could not; `Code` is stable.
    | Refused of Status: int * Code: string * Message: string
    /// No answer that is one of a Miroir server came.
    | Unreachable of Server: string * Why: string

    member this.Message =
        match this with
        | Refused(_, "", message) -> message
        | Refused(_, code, message) -> $"{message} ({code})"
        | Unreachable(server, why) ->
            $"{server} can't be reached: {why}. Is it running? Name another with --server URL or MIROIR_SERVER"

    /// With which a command or a script ends because of it: 1 refused, 3 no server was reached.
    member this.ExitStatus =
        match this with
        | Refused _ -> 1
        | Unreachable _ -> 3

/// A struct record has no constructor that the serializer would find by itself.
type internal LayoutConverter() =
    inherit JsonConverter<LayoutInfo>()

    override _.Read(reader, _, _) =
        use document = JsonDocument.ParseValue &reader

        {
            Generation = document.RootElement.GetProperty("generation").GetInt32()
            ShardCount = document.RootElement.GetProperty("shardCount").GetInt32()
        }

    override _.Write(writer, value, _) =
        writer.WriteStartObject()
        writer.WriteNumber("generation", value.Generation)
        writer.WriteNumber("shardCount", value.ShardCount)
        writer.WriteEndObject()

[<RequireQualifiedAccess>]
module Json =

    /// camelCase names; a name that is missing in an answer is an error, one that is new in it is passed over.
    let options =
        let options =
            JsonSerializerOptions(
                JsonSerializerDefaults.Web,
                RespectRequiredConstructorParameters = true,
                WriteIndented = true,
                Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping
            )

        options.Converters.Add(LayoutConverter())
        options

    let private lineOptions = JsonSerializerOptions(options, WriteIndented = false)

    let print (value: 'T) =
        JsonSerializer.Serialize(value, options)

    /// The same on one line.
    let line (value: 'T) =
        JsonSerializer.Serialize(value, lineOptions)
