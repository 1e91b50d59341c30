// Runs a script of this folder again, with BUILT defined, once the Release build that it references is there:
// references are resolved before a script's first line runs.

open System.Diagnostics
open System.IO

/// What is behind the script's name on the command line.
let arguments =
    fsi.CommandLineArgs |> List.ofArray |> List.tail |> List.filter ((<>) "--")

let private library =
    Path.Combine(
        __SOURCE_DIRECTORY__,
        "..",
        "src",
        "Miroir.Scripting",
        "bin",
        "Release",
        "net10.0",
        "Miroir.Scripting.dll"
    )

/// Never returns: ends as the script does.
let run (script: string) : unit =
    if not (File.Exists library) then
        eprintfn $"{script}: Miroir is not built yet; run `dotnet fsi build.fsx build` first"
        exit 1

    let itself = Path.Combine(__SOURCE_DIRECTORY__, script)

    let again =
        Process.Start(
            ProcessStartInfo(
                "dotnet",
                [ "fsi"; "--define:BUILT"; "--exec"; itself; "--" ] @ arguments,
                UseShellExecute = false
            )
        )

    again.WaitForExit()
    exit again.ExitCode
