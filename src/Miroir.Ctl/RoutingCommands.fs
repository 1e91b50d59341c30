module Miroir.Ctl.RoutingCommands

open System
open System.Globalization
open System.Text.Json
open System.Threading.Tasks
open Argu
open Miroir.Core
open Miroir.Scripting

type RoutingTestArgs =
    | [<Mandatory>] Index of UID: string
    | Samples of COUNT: int

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Index _ -> "the index to test."
            | Samples _ -> "how many of its documents to look at; 1000 where not given."

type RoutingArgs =
    | [<CliPrefix(CliPrefix.None)>] Test of ParseResults<RoutingTestArgs>
    | [<CliPrefix(CliPrefix.None)>] Revert of ParseResults<RevertArgs>

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Test _ -> "where sample keys route to, which nodes answer for them, and whether the data agree."
            | Revert _ -> "back to the old owners of a migration, while they are still kept."

let private hash (text: string) =
    UInt64.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)

let private contains (range: HashSpan) (at: uint64) =
    at >= hash range.Lo && at <= hash range.Last

/// The route that serves a hash: of the newest generation that is not a target still being filled.
let private resolve (routes: RouteView[]) (at: uint64) : RouteView option =
    routes
    |> Array.filter (fun r -> r.Stage <> "Retired" && contains r.Range at)
    |> Array.sortBy _.Generation
    |> Array.tryHead

/// Nodes that bodies and eventual reads come from.
let private serving (route: RouteView) (at: uint64) : string[] =
    if route.Stage = "Switched" then
        route.Targets
        |> Array.tryFind (fun t -> contains t.Range at)
        |> Option.map _.Nodes
        |> Option.defaultValue [||]
    else
        route.Owners

let private keyText (field: JsonElement) =
    match field.ValueKind with
    | JsonValueKind.String -> string (field.GetString())
    | _ -> field.GetRawText()

/// Keys of up to `wanted` documents, in pages spread evenly over the index (which lists in the order of the hash).
let private sample (client: MiroirClient) index (field: string) (wanted: int) cancel : Task<string[]> =
    task {
        let! first = client.Documents(index, 0L, 1, field, cancel)
        let _, total = Exit.orFail first
        let pages = min 20 wanted
        let size = (wanted + pages - 1) / pages
        let keys = ResizeArray<string>()
        let mutable next = 0L

        for page in 0 .. pages - 1 do
            let offset = max next (total * int64 page / int64 pages)

            if offset < total && keys.Count < wanted then
                let! found =
                    client.Documents(index, offset, min size (wanted - keys.Count), field, cancel)

                let documents, _ = Exit.orFail found
                next <- offset + int64 documents.Length
                keys.AddRange(documents |> Array.map (fun d -> keyText (d.GetProperty field)))

        return Array.ofSeq keys
    }

let private inFlight = 16

let private test (context: Context) (args: ParseResults<RoutingTestArgs>) : Task<int> =
    task {
        let index = args.GetResult RoutingTestArgs.Index
        let wanted = args.GetResult(Samples, 1000)

        if wanted < 1 || wanted > 1_000_000 then
            Exit.usage "--samples" $"expected 1 to 1000000, not {wanted}"

        use client = context.Client()
        let! cluster = client.Cluster context.Cancel

        let field =
            match (Exit.orFail cluster).Indexes |> Array.tryFind (fun i -> i.Uid = index) with
            | None -> Exit.refused "index_not_found" $"there is no index {index}; `indexes list` shows those there are"
            | Some info when info.PrimaryKey = "" ->
                Exit.refused "no_documents" $"the index {index} has no documents yet: there is nothing to test"
            | Some info -> info.PrimaryKey

        let! keys = sample client index field wanted context.Cancel
        let! migrations = client.Migrations context.Cancel

        let newNodes =
            match Exit.orFail migrations |> Array.tryFind (fun m -> m.Index = index) with
            | Some m -> m.NewNodes |> Array.except m.OldNodes
            | None -> [||]

        let answered = Array.zeroCreate<bool> keys.Length

        // A confirmed read of each key: the data's answer to what the route says.
        for chunk in Array.indexed keys |> Array.chunkBySize inFlight do
            let! found =
                chunk
                |> Array.map (fun (at, key) ->
                    task {
                        let! document = client.Document(index, key, context.Cancel)
                        return at, (Exit.orFail document).IsSome
                    })
                |> Task.WhenAll

            for at, isThere in found do
                answered[at] <- isThere

        // The routes as they are after the reads: a key that has moved meanwhile is judged by where it is now.
        let! routes = client.Routes(index, context.Cancel)
        let routes = Exit.orFail routes

        let placed = [|
            for at in 0 .. keys.Length - 1 ->
                let hash = (Key.Of keys[at]).Hash
                let route = resolve routes hash

                {|
                    Key = keys[at]
                    Shard =
                        match route with
                        | Some r -> $"{r.Generation}/{r.Shard}"
                        | None -> ""
                    Nodes =
                        match route with
                        | Some r -> serving r hash
                        | None -> [||]
                    IsThere = answered[at]
                |}
        |]

        let wrong = placed |> Array.filter (fun p -> not p.IsThere || p.Nodes.Length = 0)

        let byNode =
            placed
            |> Array.collect (fun p -> p.Nodes |> Array.map (fun node -> node, p.IsThere))
            |> Array.groupBy fst
            |> Array.sortBy fst
            |> Array.map (fun (node, all) -> {|
                Node = node
                Routed = all.Length
                Answered = all |> Array.filter snd |> Array.length
                IsNew = Array.contains node newNodes
            |})

        let onNew =
            placed
            |> Array.filter (fun p -> p.Nodes |> Array.exists (fun n -> Array.contains n newNodes))

        let share =
            if placed.Length = 0 then
                0.0
            else
                100.0 * float onNew.Length / float placed.Length

        context.Output.Json {|
            Index = index
            Samples = placed.Length
            Nodes = byNode
            ShareOnNewNodes = share / 100.0
            Disagreements = wrong
        |}

        context.Output.Table(
            [ "NODE"; "KEYS ROUTED"; "KEYS ANSWERED"; "NEW" ],
            [
                for n in byNode ->
                    [
                        n.Node
                        string n.Routed
                        string n.Answered
                        (if n.IsNew then "yes" else "no")
                    ]
            ]
        )

        context.Output.Line $"Samples: {placed.Length}"
        context.Output.Line $"Share on new nodes: {share:F1}%%"
        context.Output.Line $"Route and data disagree: {wrong.Length}"

        for p in Array.truncate 20 wrong do
            let nodes = String.Join(",", p.Nodes)

            let why =
                if p.Nodes.Length = 0 then
                    "no route"
                else
                    "not found by a confirmed read"

            context.Output.Line $"  {p.Key}: shard {Text.dash p.Shard} on {Text.dash nodes}: {why}"

        return if wrong.Length = 0 then Exit.Done else Exit.Refused
    }

let run (context: Context) (args: ParseResults<RoutingArgs>) : Task<int> =
    match args.GetSubCommand() with
    | Test args -> test context args
    | Revert args -> ReshardCommands.revert context args
