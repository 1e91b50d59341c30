// Follows the change feed of an index from F# Interactive, and goes on where it was when it is started again:
//
//   dotnet fsi scripts/changes.fsx -- --server http://127.0.0.1:7700 --index packages --cursor-file packages.cursor
//
// Each change becomes a line: type, id, version. Instead of `printfn` a consumer would do its own work there. It must
// bear a change that comes twice (after a crash between the work and the keeping of the cursor): by its `Id`, or by
// keeping of each document the highest version.
//
// It uses the Release build; built.fsx has how. In an interactive session type the three #r below,
// `open Miroir.Scripting`, and call `Changes.read` or `Changes.follow`.

#if BUILT
#r "../src/Miroir.Scripting/bin/Release/net10.0/Miroir.Core.dll"
#r "../src/Miroir.Scripting/bin/Release/net10.0/Miroir.Ports.dll"
#r "../src/Miroir.Scripting/bin/Release/net10.0/Miroir.Scripting.dll"

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open Miroir.Scripting

let usage =
    "usage: dotnet fsi scripts/changes.fsx -- --index I [--server URL] [--cursor-file FILE] [--from-now] [--limit N]"

let wrong (message: string) : 'T =
    eprintfn $"changes.fsx: {message}\n{usage}"
    exit 2

type Arguments = {
    Server: string
    CursorFile: string option
    Request: ChangesRequest
}

let rec read (given: Arguments) (args: string list) : Arguments =
    let request = given.Request

    match args with
    | [] -> given
    | "--server" :: url :: rest -> read { given with Server = url } rest
    | "--cursor-file" :: file :: rest -> read { given with CursorFile = Some file } rest
    | "--index" :: uid :: rest ->
        read
            {
                given with
                    Request = { request with Index = uid }
            }
            rest
    | "--from-now" :: rest ->
        read
            {
                given with
                    Request = { request with FromNow = true }
            }
            rest
    | "--limit" :: n :: rest ->
        match Int64.TryParse n with
        | true, n when n > 0L ->
            read
                {
                    given with
                        Request = { request with Limit = Some n }
                }
                rest
        | _ -> wrong $"--limit: expected a whole number from 1, not \"{n}\""
    | other :: _ -> wrong $"{other}: unknown, or its value is missing"

let given =
    read
        {
            Server =
                Environment.GetEnvironmentVariable "MIROIR_SERVER"
                |> Option.ofObj
                |> Option.defaultValue "http://127.0.0.1:7700"
            CursorFile = None
            Request = Changes.ofIndex ""
        }
        (fsi.CommandLineArgs |> List.ofArray |> List.tail |> List.filter ((<>) "--"))

if given.Request.Index = "" then
    wrong "--index: is missing"

let kept =
    given.CursorFile
    |> Option.filter File.Exists
    |> Option.map (fun file -> File.ReadAllText(file).Trim())

let handle (batch: ChangeBatch) : Task =
    task {
        for change in batch.Results do
            printfn $"{change.Type}  {change.Key}  {change.Version}"

        // Once all of the batch is done, never before. Moved into place, so that a crash leaves the old one or the new.
        match given.CursorFile with
        | Some file ->
            do! File.WriteAllTextAsync(file + ".new", batch.Cursor)
            File.Move(file + ".new", file, overwrite = true)
        | None -> ()
    }

let client = new MiroirClient(given.Server)

match
    (Changes.follow client { given.Request with Cursor = kept } handle CancellationToken.None).GetAwaiter().GetResult()
with
| Ok _ -> exit 0
| Error problem ->
    eprintfn $"changes.fsx: {problem.Message}"
    exit problem.ExitStatus
#else
#load "built.fsx"

Built.run __SOURCE_FILE__
#endif
