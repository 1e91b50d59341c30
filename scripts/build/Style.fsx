/// Formatting, checked and applied.
module Style

#load "SetUp.fsx"

open System
open System.IO
open Programs
open SetUp

/// What formatters do not see, in the files of the repository.
let untidy () =
    let _, listed =
        capture toolLimit "git" [ "ls-files"; "--cached"; "--others"; "--exclude-standard" ]

    // Project files are left to Paket, which writes them its own way.
    let isText (file: string) =
        [ ".cs"; ".fs"; ".fsi"; ".fsx"; ".props"; ".sh"; ".toml"; ".json" ]
        |> List.contains (Path.GetExtension file)

    [
        for file in listed.Split('\n', StringSplitOptions.RemoveEmptyEntries) do
            if isText file && File.Exists file then
                let text = File.ReadAllText file

                if text.Contains '\r' then
                    $"{file}: has carriage returns; lines end with a line feed alone"

                if text <> "" && not (text.EndsWith '\n') then
                    $"{file}: does not end with a line feed"

                for index, line in Seq.indexed (text.Split '\n') do
                    if line.EndsWith ' ' || line.Contains '\t' then
                        $"{file}:{index + 1}: has a tab, or a blank at the end of the line"

        for line in File.ReadLines "paket.lock" do
            if line.TrimStart().StartsWith "remote:" && not (line.EndsWith " %NUGET_SOURCE%") then
                "paket.lock: every 'remote:' is %NUGET_SOURCE%; paket wrote the address of this machine's feed instead"
    ]

let fsharp = [ "src"; "tests"; "scripts"; "build.fsx" ] |> List.filter Path.Exists

let check () =
    setUp restoreTools
    reportSetUp ()
    let fantomas = run "dotnet" ([ "fantomas"; "--check" ] @ fsharp) Map.empty
    let csharpier = run "dotnet" [ "csharpier"; "check"; "." ] Map.empty
    let found = untidy ()
    found |> List.iter (printfn "%s")

    if fantomas <> 0 || csharpier <> 0 || not found.IsEmpty then
        fail "some files are not formatted: `dotnet fsi build.fsx format` does what can be done by machine"

    printfn "All files are formatted."

let format () =
    setUp restoreTools
    reportSetUp ()
    dotnet "fantomas" ("fantomas" :: fsharp)
    dotnet "csharpier" [ "csharpier"; "format"; "." ]
