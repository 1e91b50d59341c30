module Miroir.Ctl.IndexCommands

open System
open System.Threading.Tasks
open Argu
open Miroir.Core
open Miroir.Scripting

type CreateArgs =
    | [<Mandatory>] Index of UID: string
    | Primary_Key of FIELD: string
    | Shards of COUNT: int
    | Replication of COUNT: int

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Index _ -> "the index's name."
            | Primary_Key _ -> "the field that holds a document's id; the first document decides where not given."
            | Shards _ -> "into how many shards it is cut; the server's default where not given."
            | Replication _ -> "how many nodes hold each shard; the server's default where not given."

type OneIndexArgs =
    | [<Mandatory>] Index of UID: string

    interface IArgParserTemplate with
        member _.Usage = "the index's name."

type IndexesArgs =
    | [<CliPrefix(CliPrefix.None)>] Create of ParseResults<CreateArgs>
    | [<CliPrefix(CliPrefix.None); SubCommand>] List
    | [<CliPrefix(CliPrefix.None)>] Delete of ParseResults<OneIndexArgs>

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Create _ -> "makes an index."
            | List -> "every index with its layout."
            | Delete _ -> "deletes an index with all its documents."

type ShardsListArgs =
    | Index of UID: string

    interface IArgParserTemplate with
        member _.Usage = "only this index."

type ShardsArgs =
    | [<CliPrefix(CliPrefix.None)>] List of ParseResults<ShardsListArgs>

    interface IArgParserTemplate with
        member _.Usage = "layout, range, epoch, stage, owners and targets of each shard."

let private taskLimit = TimeSpan.FromSeconds 60.0

let private finish
    (context: Context)
    (client: MiroirClient)
    (accepted: Result<Accepted, ClientError>)
    said
    : Task<int> =
    task {
        let accepted = Exit.orFail accepted
        let! ended = client.WaitForTask(accepted, taskLimit, context.Cancel)
        Exit.orFail ended

        context.Output.Json { accepted with Status = "succeeded" }

        context.Output.Line said
        return Exit.Done
    }

let indexes (context: Context) (args: ParseResults<IndexesArgs>) : Task<int> =
    task {
        use client = context.Client()

        match args.GetSubCommand() with
        | Create args ->
            let count argument least most value =
                match value with
                | Some n when n < least || n > most -> Exit.usage argument $"expected {least} to {most}, not {n}"
                | Some n -> n
                | None -> 0

            let uid = args.GetResult CreateArgs.Index
            let shards = count "--shards" 1 Layout.MaxShards (args.TryGetResult Shards)
            let replication = count "--replication" 1 7 (args.TryGetResult Replication)

            let! accepted =
                client.CreateIndex(uid, args.TryGetResult Primary_Key, shards, replication, context.Cancel)

            return! finish context client accepted $"Index created: {uid}"
        | Delete args ->
            let uid = args.GetResult OneIndexArgs.Index
            let! accepted = client.DeleteIndex(uid, context.Cancel)
            return! finish context client accepted $"Index deleted: {uid}"
        | IndexesArgs.List ->
            let! cluster = client.Cluster context.Cancel
            let indexes = (Exit.orFail cluster).Indexes
            context.Output.Json { Results = indexes }

            context.Output.Table(
                [ "INDEX"; "PRIMARY KEY"; "SHARDS"; "REPLICATION"; "GENERATION" ],
                [
                    for i in indexes ->
                        [
                            i.Uid
                            Text.dash i.PrimaryKey
                            string i.Layout.ShardCount
                            string i.Replication
                            string i.Layout.Generation
                        ]
                ]
            )

            return Exit.Done
    }

let shards (context: Context) (args: ParseResults<ShardsArgs>) : Task<int> =
    task {
        use client = context.Client()

        match args.GetSubCommand() with
        | ShardsArgs.List args ->
            let! uids =
                match args.TryGetResult ShardsListArgs.Index with
                | Some uid -> Task.FromResult [| uid |]
                | None ->
                    task {
                        let! cluster = client.Cluster context.Cancel
                        return (Exit.orFail cluster).Indexes |> Array.map _.Uid
                    }

            let routes = ResizeArray<RouteView>()

            for uid in uids do
                let! found = client.Routes(uid, context.Cancel)
                routes.AddRange(Exit.orFail found)

            context.Output.Json { Results = routes.ToArray() }

            context.Output.Table(
                [ "SHARD"; "RANGE"; "EPOCH"; "STAGE"; "OWNERS"; "TARGETS"; "WRITER" ],
                [
                    for r in routes ->
                        [
                            $"{r.Index}/{r.Generation}/{r.Shard}"
                            $"{r.Range.Lo}-{r.Range.Last}"
                            string r.Epoch
                            r.Stage
                            String.Join(",", r.Owners)
                            Text.dash (
                                r.Targets
                                |> Array.map (fun t ->
                                    let nodes = String.Join(",", t.Nodes)
                                    $"{t.Generation}/{t.Shard} on {nodes}")
                                |> String.concat "; "
                            )
                            Text.dash r.Writer.Router
                        ]
                ]
            )

            return Exit.Done
    }
