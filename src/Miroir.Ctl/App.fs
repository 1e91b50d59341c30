module Miroir.Ctl.App

open System
open System.Threading
open System.Threading.Tasks
open Argu
open Miroir.Scripting

type RootArgs =
    | [<Inherit; Unique>] Json
    | [<Inherit; Unique>] Config of FILE: string
    | [<Inherit; Unique>] Server of URL: string
    | [<Inherit; Unique>] Api_Key of KEY: string
    | [<Unique>] Version
    | [<CliPrefix(CliPrefix.None)>] Cluster of ParseResults<ClusterCommands.ClusterArgs>
    | [<CliPrefix(CliPrefix.None)>] Nodes of ParseResults<ClusterCommands.NodesArgs>
    | [<CliPrefix(CliPrefix.None)>] Indexes of ParseResults<IndexCommands.IndexesArgs>
    | [<CliPrefix(CliPrefix.None)>] Shards of ParseResults<IndexCommands.ShardsArgs>
    | [<CliPrefix(CliPrefix.None)>] Documents of ParseResults<DocumentCommands.DocumentsArgs>
    | [<CliPrefix(CliPrefix.None)>] Changes of ParseResults<ChangesCommands.ChangesArgs>
    | [<CliPrefix(CliPrefix.None)>] Reshard of ParseResults<ReshardArgs>
    | [<CliPrefix(CliPrefix.None)>] Anti_Entropy of ParseResults<AntiEntropyArgs>
    | [<CliPrefix(CliPrefix.None)>] Routing of ParseResults<RoutingCommands.RoutingArgs>
    | [<CliPrefix(CliPrefix.None)>] Writes of ParseResults<WritesCommands.WritesArgs>

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Json -> "one JSON document instead of tables."
            | Config _ -> "configuration; else MIROIR_CONFIG, else ./miroir.toml, else the defaults."
            | Server _ -> "the server; else MIROIR_SERVER, else http://127.0.0.1:7700."
            | Api_Key _ -> "the key; else MIROIR_API_KEY."
            | Version -> "says which version this is."
            | Cluster _ -> "the cluster's health."
            | Nodes _ -> "data nodes."
            | Indexes _ -> "indexes."
            | Shards _ -> "shards of an index."
            | Documents _ -> "documents of an index."
            | Changes _ -> "what clients wrote to an index, in order."
            | Reshard _ -> "migrations."
            | Anti_Entropy _ -> "whether replicas agree, and their repair."
            | Routing _ -> "where keys go."
            | Writes _ -> "writes that have no outcome yet."

/// The global options, wherever they stand, and the other arguments. They belong to every command, so that they are
/// taken out before the commands are looked at.
let private globals (args: string list) =
    let rec take json found rest args =
        match args with
        | "--json" :: more -> take true found rest more
        | [ ("--config" | "--server" | "--api-key") as name ] -> Exit.usage name "is missing its value"
        | ("--config" | "--server" | "--api-key" as name) :: value :: more ->
            take json (Map.add name value found) rest more
        | (arg: string) :: more when
            [ "--config="; "--server="; "--api-key=" ]
            |> List.exists (fun p -> arg.StartsWith(p, StringComparison.Ordinal))
            ->
            let at = arg.IndexOf '='
            take json (Map.add (arg.Substring(0, at)) (arg.Substring(at + 1)) found) rest more
        | arg :: more -> take json found (arg :: rest) more
        | [] -> json, found, List.rev rest

    take false Map.empty [] args

let private dispatch (context: Context) (parsed: ParseResults<RootArgs>) : Task<int> =
    // A file that was named and is wrong is told of, also where the command would not need it.
    if context.ConfigFile.IsSome then
        context.Config() |> ignore

    match parsed.GetSubCommand() with
    | Cluster args -> ClusterCommands.cluster context args
    | Nodes args -> ClusterCommands.nodes context args
    | Indexes args -> IndexCommands.indexes context args
    | Shards args -> IndexCommands.shards context args
    | Documents args -> DocumentCommands.run context args
    | Changes args -> ChangesCommands.run context args
    | Reshard args -> ReshardCommands.run context args
    | Anti_Entropy args -> AntiEntropyCommands.run context args
    | Routing args -> RoutingCommands.run context args
    | Writes args -> WritesCommands.run context args
    | _ -> Exit.usage "command" "is missing; `miroir-ctl --help` shows them"

let private fail (world: Surroundings) isJson exitCode (code: string) (message: string) =
    if isJson then
        world.Out.WriteLine(
            Json.print {|
                Error = {| Message = message; Code = code |}
            |}
        )
    else
        world.Error.WriteLine $"miroir-ctl: {message}"

    exitCode

/// One command: its exit status. Whatever goes wrong is told in words.
let run (world: Surroundings) (args: string list) (cancel: CancellationToken) : Task<int> =
    task {
        let isJson = List.contains "--json" args

        try
            let isJson, options, rest = globals args
            let parser = ArgumentParser.Create<RootArgs>(programName = "miroir-ctl")

            if rest = [ "--version" ] then
                let version = typeof<RootArgs>.Assembly.GetName().Version
                world.Out.WriteLine $"miroir-ctl {version}"
                return Exit.Done
            else
                let parsed = parser.ParseCommandLine(Array.ofList rest, raiseOnUsage = true)

                let option name variable =
                    match Map.tryFind name options with
                    | Some value -> Some value
                    | None -> world.Variable variable

                return!
                    dispatch
                        {
                            World = world
                            Output = Output(world, isJson)
                            Server = option "--server" "MIROIR_SERVER" |> Option.defaultValue "http://127.0.0.1:7700"
                            ApiKey = option "--api-key" "MIROIR_API_KEY"
                            ConfigFile = Map.tryFind "--config" options
                            Cancel = cancel
                        }
                        parsed
        with
        | Failure(exitCode, code, message) -> return fail world isJson exitCode code message
        | :? ArguParseException as problem when problem.ErrorCode = ErrorCode.HelpText ->
            world.Out.WriteLine problem.Message
            return Exit.Done
        | :? ArguParseException as problem ->
            // Its first line says what is wrong; the help behind it is a screen long.
            let first = problem.Message.Replace("ERROR: ", "").Split('\n')[0]

            let command =
                args
                |> List.takeWhile (fun arg -> not (arg.StartsWith '-'))
                |> List.truncate 2
                |> List.append [ "miroir-ctl" ]
                |> String.concat " "

            return
                fail
                    world
                    isJson
                    Exit.Usage
                    "wrong_usage"
                    $"{first.TrimEnd().TrimEnd('.')}; `{command} --help` shows what there is"
        | :? IO.IOException
        | :? UnauthorizedAccessException as problem ->
            return fail world isJson Exit.Refused "file_unreadable" problem.Message
        | :? OperationCanceledException ->
            return fail world isJson Exit.Refused "interrupted" "interrupted; what was started goes on by itself"
        | problem ->
            return
                fail
                    world
                    isJson
                    Exit.Refused
                    "internal"
                    $"this should not happen: {problem.GetType().Name}: {problem.Message}"
    }
