namespace Miroir.Scripting

open System
open System.Text.Json
open Miroir.Core
open Miroir.Ports

/// What a dry run would repair, kept: a JSON file that can be read, and shortened, before it is applied.
type RepairPlan = {
    Index: string
    /// The layout in force when it was made. Under another it is not applied.
    Layout: LayoutInfo
    /// The dry run's number, and when it ended in Unix milliseconds.
    Pass: int64
    MadeAtUnixMs: int64
    /// All that the dry run found; `Documents` are the first 10,000 at most.
    Divergences: int64
    Documents: DivergenceView[]
}

[<RequireQualifiedAccess>]
module PlanFile =

    exception private Wrong of string

    /// What a dry run only reports, such as bit rot in a shard's one copy, is no repair's.
    [<Literal>]
    let private Planned = "Planned"

    let ofPass (layout: LayoutInfo) (pass: PassView) : RepairPlan = {
        Index = pass.Index
        Layout = layout
        Pass = pass.Id
        MadeAtUnixMs = pass.FinishedAtUnixMs
        Divergences = pass.Divergences.Divergences
        Documents = pass.Documents |> Array.filter (fun d -> d.Outcome = Planned)
    }

    let write (plan: RepairPlan) : string = Json.print plan + "\n"

    let private shown (json: JsonElement) =
        let raw = json.GetRawText()

        if raw.Length > 60 then
            raw.Substring(0, 60) + "..."
        else
            raw

    let private wrong (path: string) (why: string) = raise (Wrong $"{path}: {why}")

    /// `path` of the object, "" for the whole file.
    let private field (path: string) (json: JsonElement) (name: string) : string * JsonElement =
        let at = if path = "" then name else $"{path}.{name}"

        match json.TryGetProperty name with
        | true, value -> at, value
        | _ -> wrong at "is missing"

    let private isObject (path: string) (json: JsonElement) =
        if json.ValueKind <> JsonValueKind.Object then
            wrong path $"expected an object, not {shown json}"

    let private text path json name =
        match field path json name with
        | _, value when value.ValueKind = JsonValueKind.String -> string (value.GetString())
        | at, value -> wrong at $"expected text, not {shown value}"

    let private number (least: int64) (most: int64) path json name =
        match field path json name with
        | at, value ->
            let mutable n = 0L

            if
                value.ValueKind = JsonValueKind.Number
                && value.TryGetInt64 &n
                && n >= least
                && n <= most
            then
                n
            else
                wrong at $"expected a whole number from {least} to {most}, not {shown value}"

    let private items path json name =
        match field path json name with
        | at, value when value.ValueKind = JsonValueKind.Array -> at, Array.ofSeq (value.EnumerateArray())
        | at, value -> wrong at $"expected a list, not {shown value}"

    let private document (layout: LayoutInfo) (path: string) (json: JsonElement) : DivergenceView =
        isObject path json

        let integer name =
            int (number 0L (int64 Int32.MaxValue) path json name)

        let lacking, nodes = items path json "lacking"

        let view = {
            Key = text path json "key"
            Generation = integer "generation"
            Shard = integer "shard"
            Kind = text path json "kind"
            Version = text path json "version"
            Keep = text path json "keep"
            Lacking =
                nodes
                |> Array.mapi (fun i node ->
                    if node.ValueKind = JsonValueKind.String then
                        string (node.GetString())
                    else
                        wrong $"{lacking}[{i}]" $"expected text, not {shown node}")
            Outcome = text path json "outcome"
        }

        match PlannedDocument.problem view with
        | ValueSome(struct (name, why)) -> wrong $"{path}.{name}" why
        | ValueNone -> ()

        if view.Generation = layout.Generation && view.Shard >= layout.ShardCount then
            wrong
                $"{path}.shard"
                $"layout {layout.Generation} has shards 0 to {layout.ShardCount - 1}, not {view.Shard}"

        view

    let private plan (json: JsonElement) : RepairPlan =
        isObject "the file" json
        let at, layout = field "" json "layout"
        isObject at layout

        let layout: LayoutInfo = {
            Generation = int (number 1L (int64 Int32.MaxValue) at layout "generation")
            ShardCount = int (number 1L (int64 Layout.MaxShards) at layout "shardCount")
        }

        let path, documents = items "" json "documents"

        if documents.Length > PlannedDocument.MaxCount then
            wrong path $"expected {PlannedDocument.MaxCount} at most, not {documents.Length}"

        let documents =
            documents |> Array.mapi (fun i json -> document layout $"{path}[{i}]" json)

        {
            Index = text "" json "index"
            Layout = layout
            Pass = number 0L Int64.MaxValue "" json "pass"
            MadeAtUnixMs = number 0L Int64.MaxValue "" json "madeAtUnixMs"
            Divergences = number 0L Int64.MaxValue "" json "divergences"
            Documents = documents
        }

    /// Error: `file`, the field that is wrong, and how. Fields that are not known are passed over.
    let read (file: string) (content: string) : Result<RepairPlan, string> =
        try
            use json = JsonDocument.Parse content
            Ok(plan json.RootElement)
        with
        | Wrong why -> Error $"{file}: {why}"
        | :? JsonException as problem -> Error $"{file}: it is not JSON: {problem.Message}"
