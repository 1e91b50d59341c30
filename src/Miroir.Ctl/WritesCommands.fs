module Miroir.Ctl.WritesCommands

open System
open System.Threading.Tasks
open Argu
open Miroir.Core
open Miroir.Ports
open Miroir.Scripting

type WritesListArgs =
    | Stuck
    | Index of UID: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Stuck -> "only those that a draining shard waits for."
            | Index _ -> "only of this index."

type WritesFailArgs =
    | [<Mandatory>] Doc_Id of ID: string
    | [<Mandatory>] Reason of TEXT: string
    | Index of UID: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Doc_Id _ -> "the id of the document whose open writes are given up."
            | Reason _ -> "why; it stands in the logs, and the writes' clients are told."
            | Index _ -> "only of this index; of every index where not given."

type WritesArgs =
    | [<CliPrefix(CliPrefix.None)>] List of ParseResults<WritesListArgs>
    | [<CliPrefix(CliPrefix.None)>] Fail of ParseResults<WritesFailArgs>

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | List _ -> "writes that have no outcome yet."
            | Fail _ -> "gives open writes up: their clients are told that the outcome is unknown."

let private table (context: Context) (writes: OpenWriteView[]) =
    context.Output.Table(
        [
            "AGE"
            "INDEX"
            "SHARD"
            "ID"
            "KIND"
            "OPERATION"
            "EPOCH"
            "ANSWERED"
            "MISSING"
            "ROUTER"
            "STUCK"
        ],
        [
            for w in writes ->
                [
                    Text.duration w.AgeMs
                    w.Index
                    $"{w.Generation}/{w.Shard}"
                    w.Key
                    w.Kind
                    string w.OperationId
                    (if w.BegunEpoch = w.Epoch then
                         string w.Epoch
                     else
                         $"{w.BegunEpoch}, now {w.Epoch}")
                    Text.dash (String.Join("; ", w.Answered))
                    Text.dash (String.Join("; ", w.Missing))
                    w.Router
                    (if w.IsStuck then "yes" else "no")
                ]
        ]
    )

let private warn (context: Context) (view: OpenWritesView) =
    for why in view.Unanswered do
        context.Output.Note $"Warning: {why}; what is open there is not known"

let private list (context: Context) (args: ParseResults<WritesListArgs>) : Task<int> =
    task {
        use client = context.Client()

        let! view =
            client.OpenWrites(args.TryGetResult WritesListArgs.Index, args.Contains Stuck, context.Cancel)

        let view = Exit.orFail view
        context.Output.Json view
        table context view.Results
        warn context view
        // A list that may lack something is no answer to go on.
        return
            if view.Unanswered.Length = 0 then
                Exit.Done
            else
                Exit.Refused
    }

let private fail (context: Context) (args: ParseResults<WritesFailArgs>) : Task<int> =
    let id = args.GetResult Doc_Id

    match Key.Parse id with
    | Error why -> Exit.usage "--doc-id" why
    | Ok _ -> ()

    let reason = args.GetResult Reason

    if reason.Trim() = "" then
        Exit.usage "--reason" "is empty; say why, for the logs and for the clients"

    task {
        use client = context.Client()

        let! view =
            client.FailWrites(
                {
                    DocId = id
                    Index = args.GetResult(WritesFailArgs.Index, "")
                    Reason = reason
                },
                context.Cancel
            )

        let view = Exit.orFail view
        context.Output.Json view

        for w in view.Results do
            context.Output.Line
                $"Given up: write {w.OperationId} of {w.Index}/{w.Key}, shard {w.Generation}/{w.Shard}, open for {Text.duration w.AgeMs}; its client is told that the outcome is unknown"

        warn context view

        return
            if view.Unanswered.Length = 0 then
                Exit.Done
            else
                Exit.Refused
    }

let run (context: Context) (args: ParseResults<WritesArgs>) : Task<int> =
    match args.GetSubCommand() with
    | WritesArgs.List args -> list context args
    | Fail args -> fail context args
