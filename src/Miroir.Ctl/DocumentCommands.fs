module Miroir.Ctl.DocumentCommands

open System
open System.Threading.Tasks
open Argu

type ImportArgs =
    | [<MainCommand; ExactlyOnce>] File of FILE: string
    | [<Mandatory>] Index of UID: string
    | Primary_Key of FIELD: string
    | Batch_Size of DOCUMENTS: int
    | In_Flight of REQUESTS: int

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | File _ -> "newline-delimited JSON, or a JSON array; - reads standard input."
            | Index _ -> "the index to import into."
            | Primary_Key _ -> "the field that holds a document's id, where the index has none yet."
            | Batch_Size _ -> "documents a request; 1000 where not given."
            | In_Flight _ ->
                "requests at once; 4 where not given. With 1, of documents with the same id the last one stays."

type DocumentsArgs =
    | [<CliPrefix(CliPrefix.None)>] Import of ParseResults<ImportArgs>

    interface IArgParserTemplate with
        member _.Usage = "adds or replaces the documents of a file."

let private import (context: Context) (args: ParseResults<ImportArgs>) : Task<int> =
    task {
        let bounded argument least most value =
            if value < least || value > most then
                Exit.usage argument $"expected {least} to {most}, not {value}"

            value

        let file = args.GetResult File
        let batchSize = bounded "--batch-size" 1 100_000 (args.GetResult(Batch_Size, 1000))
        let inFlight = bounded "--in-flight" 1 64 (args.GetResult(In_Flight, 4))
        let index = args.GetResult ImportArgs.Index

        use input =
            if file = "-" then
                context.World.Input()
            else
                context.World.OpenFile file

        let length = if input.CanSeek then input.Length else 0L
        use client = context.Client()
        let began = TimeProvider.System.GetTimestamp()

        let! outcome =
            context.Output.Progress(
                $"Importing into {index}",
                length,
                fun report ->
                    Import.run
                        client
                        index
                        (args.TryGetResult Primary_Key)
                        batchSize
                        inFlight
                        input
                        (if length > 0L then
                             fun () -> report input.Position
                         else
                             ignore)
                        context.Cancel
            )

        let seconds = TimeProvider.System.GetElapsedTime(began).TotalSeconds

        match outcome.Failure with
        | Some(line, problem) ->
            let where =
                if line > 0L then
                    $" (in the batch that begins at line {line})"
                else
                    ""

            match Exit.ofClient problem with
            | Failure(exitCode, code, message) ->
                raise (Failure(exitCode, code, $"{message}{where}; {outcome.Documents} documents were imported before"))
            | other -> raise other

            return Exit.Refused
        | None ->
            context.Output.Json {|
                Index = index
                Documents = outcome.Documents
                Requests = outcome.Requests
                Retries = outcome.Retries
                Seconds = seconds
            |}

            context.Output.Line $"Documents imported: {Text.count outcome.Documents}"

            if outcome.Retries > 0 then
                context.Output.Line $"Requests repeated: {outcome.Retries}"

            return Exit.Done
    }

let run (context: Context) (args: ParseResults<DocumentsArgs>) : Task<int> =
    match args.GetSubCommand() with
    | Import args -> import context args
