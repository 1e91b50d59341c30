module Miroir.Ctl.ChangesCommands

open System
open System.Threading.Tasks
open Argu
open Miroir.Scripting

type ChangesArgs =
    | [<MainCommand; ExactlyOnce>] Index of UID: string
    | [<Unique>] Cursor of CURSOR: string
    | [<Unique>] From of START: string
    | [<Unique>] Limit of EVENTS: int
    | [<Unique>] Follow
    | [<Unique>] Documents

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Index _ -> "the index's name."
            | Cursor _ -> "where to go on, as an earlier run told it."
            | From _ ->
                "where to begin without a cursor: oldest (what is retained, where not given) or now (what comes)."
            | Limit _ -> "changes at most; 1000 where not given, and without end with --follow."
            | Follow ->
                "goes on with what is written later, until it is interrupted. With --json a line for each change, and one for each cursor."
            | Documents -> "shows each document too, where the change is its last."

/// The server's own bound for what is not followed.
[<Literal>]
let private MaxLimit = 10_000

let private document (change: ChangeView) =
    // On one line, whatever breaks it was written with.
    change.Document |> Option.map Json.line |> Option.toList

let private cells (change: ChangeView) = [
    change.Type
    change.Key
    change.Version
    string change.Id
    yield! document change
]

let private read (context: Context) (request: ChangesRequest) : Task<int> =
    task {
        use client = context.Client()
        let! batch = Changes.read client request context.Cancel
        let batch = Exit.orFail batch
        context.Output.Json batch

        context.Output.Table(
            [
                "TYPE"
                "KEY"
                "VERSION"
                "OPERATION"
                if request.WithDocuments then
                    "DOCUMENT"
            ],
            batch.Results |> Array.map cells |> List.ofArray
        )

        context.Output.Line $"Cursor: {batch.Cursor}"

        if not batch.CaughtUp then
            context.Output.Line "There is more: go on with --cursor"

        return Exit.Done
    }

let private follow (context: Context) (request: ChangesRequest) : Task<int> =
    task {
        use client = context.Client()
        let world = context.World
        let cursor = ref request.Cursor

        let show (batch: ChangeBatch) : Task =
            task {
                for change in batch.Results do
                    if context.Output.IsJson then
                        do! world.Out.WriteLineAsync(Json.line change)
                    else
                        do! world.Out.WriteLineAsync(String.concat "  " (cells change))

                // A heartbeat is no news.
                if context.Output.IsJson && cursor.Value <> Some batch.Cursor then
                    do!
                        world.Out.WriteLineAsync(
                            Json.line {|
                                Cursor = batch.Cursor
                                CaughtUp = batch.CaughtUp
                            |}
                        )

                do! world.Out.FlushAsync()
                cursor.Value <- Some batch.Cursor
            }

        let told () =
            match cursor.Value with
            | Some cursor -> context.Output.Note $"Cursor: {cursor}"
            | None -> ()

        try
            let! ended = Changes.follow client request show context.Cancel

            match ended with
            | Ok _ -> ()
            | Error problem ->
                told ()
                raise (Exit.ofClient problem)
        // Interrupted: the way that following ends.
        with :? OperationCanceledException ->
            ()

        told ()
        return Exit.Done
    }

let run (context: Context) (args: ParseResults<ChangesArgs>) : Task<int> =
    let cursor = args.TryGetResult Cursor
    let isFollowed = args.Contains Follow

    let fromNow =
        match args.TryGetResult From with
        | Some _ when cursor.IsSome ->
            Exit.usage "--from" "can't go with --cursor, which says where to go on; leave one of them out"
        | None
        | Some "oldest" -> false
        | Some "now" -> true
        | Some other -> Exit.usage "--from" $"expected oldest or now, not \"{other}\""

    let limit =
        match args.TryGetResult Limit with
        | Some n when n < 1 || (not isFollowed && n > MaxLimit) ->
            Exit.usage
                "--limit"
                (if isFollowed then
                     $"expected a whole number from 1, not {n}"
                 else
                     $"expected 1 to {MaxLimit}, not {n}; go on with --cursor, or use --follow")
        | limit -> Option.map int64 limit

    let request = {
        Changes.ofIndex (args.GetResult Index) with
            Cursor = cursor
            FromNow = fromNow
            Limit = limit
            WithDocuments = args.Contains Documents
    }

    if isFollowed then
        follow context request
    else
        read context request
