// Adds nodes, then reshards an index onto them, from F# Interactive:
//
//   dotnet fsi scripts/reshard.fsx -- --server http://127.0.0.1:7700 --index packages --new-shards 64 \
//       --node node-4=http://127.0.0.1:7704
//
// It uses the Release build. References are resolved before a script's first line runs: it therefore looks for the
// build first, and then runs itself again with BUILT defined. In an interactive session
// type the three #r below, `open Miroir.Scripting` and a `migration { ... }` of your own.

#if BUILT
#r "../src/Miroir.Scripting/bin/Release/net10.0/Miroir.Core.dll"
#r "../src/Miroir.Scripting/bin/Release/net10.0/Miroir.Ports.dll"
#r "../src/Miroir.Scripting/bin/Release/net10.0/Miroir.Scripting.dll"

open System
open Miroir.Scripting

let usage =
    "usage: dotnet fsi scripts/reshard.fsx -- --index I --new-shards N [--server URL] [--throttle N] [--api-key KEY] [--node NAME=ADDRESS]..."

let wrong (message: string) : 'T =
    eprintfn $"reshard.fsx: {message}\n{usage}"
    exit 2

let count (name: string) (text: string) =
    match Int32.TryParse text with
    | true, n when n >= 0 -> n
    | _ -> wrong $"{name}: expected a whole number from 0, not \"{text}\""

let rec read (plan: MigrationPlan) (args: string list) : MigrationPlan =
    match args with
    | [] -> plan
    | "--server" :: url :: rest -> read { plan with Server = url } rest
    | "--index" :: uid :: rest -> read { plan with Index = uid } rest
    | "--new-shards" :: n :: rest ->
        read
            {
                plan with
                    NewShards = count "--new-shards" n
            }
            rest
    | "--throttle" :: n :: rest ->
        read
            {
                plan with
                    Throttle = count "--throttle" n
            }
            rest
    | "--api-key" :: key :: rest -> read { plan with ApiKey = Some key } rest
    | "--node" :: text :: rest ->
        match text.IndexOf '=' with
        | at when at > 0 -> read (migration.AddNode(plan, text.Substring(0, at), text.Substring(at + 1))) rest
        | _ -> wrong $"--node: expected NAME=ADDRESS such as node-4=http://127.0.0.1:7704, not \"{text}\""
    | other :: _ -> wrong $"{other}: unknown, or its value is missing"

let arguments =
    fsi.CommandLineArgs |> List.ofArray |> List.tail |> List.filter ((<>) "--")

let url =
    Environment.GetEnvironmentVariable "MIROIR_SERVER"
    |> Option.ofObj
    |> Option.defaultValue "http://127.0.0.1:7700"

let plan = read (migration { server url }) arguments

if plan.Index = "" then
    wrong "--index: is missing"

match Migration.run plan with
| Ok view when view.Status = "Complete" -> exit 0
| Ok view ->
    eprintfn $"reshard.fsx: the migration ended as {view.Status}: {view.Reason}"
    exit 1
| Error problem ->
    eprintfn $"reshard.fsx: {problem.Message}"
    exit problem.ExitStatus
#else
#load "built.fsx"

Built.run __SOURCE_FILE__
#endif
