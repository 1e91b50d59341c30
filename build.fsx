// The targets of Miroir: `dotnet fsi build.fsx` lists them. Needs nothing but the .NET SDK of global.json.

#load "scripts/build/Tests.fsx" "scripts/build/Style.fsx"

open System
open System.IO
open System.Runtime.InteropServices
open Programs
open SetUp
open Tests
open Style

/// Builds a program for Release and hands it the terminal.
let runProgram name also variables arguments =
    let project = projectNamed name
    build (("Release", project) :: also)
    reportSetUp ()
    foreground (program "Release" project) arguments variables

let demo arguments =
    let chaos = projectNamed "Miroir.Chaos"
    let ctl = projectNamed "Miroir.Ctl"

    // The control at the end of the demo runs the test build, with its delta pass cut out.
    let variables =
        Map [
            ("MIROIR_TEST_BUILD_DIR", outputFolder "Debug" chaos)
            ("MIROIR_CTL", program "Release" ctl)
        ]

    runProgram "Miroir.Chaos" [ ("Release", ctl); ("Debug", chaos) ] variables ("demo" :: arguments)

/// Processes are the shipped ones (Release), but where a fault is to be seeded into one: those, and the harness, are the
/// test build.
let realProcesses command arguments =
    let chaos = projectNamed "Miroir.Chaos"
    let server = projectNamed "Miroir.Server"
    build [ ("Debug", chaos); ("Release", server) ]
    reportSetUp ()
    let variables = Map [ ("MIROIR_PROGRAMS", outputFolder "Release" server) ]
    foreground (program "Debug" chaos) (command :: arguments) variables

let simulate arguments =
    let simulation = projectNamed "Miroir.Simulation"
    build [ ("Debug", simulation) ]
    reportSetUp ()

    let arguments =
        if List.isEmpty arguments then
            [ "--seeds"; "100" ]
        else
            arguments

    foreground (program "Debug" simulation) ("simulate" :: arguments) Map.empty

/// The explorer searches the test build, where faults can be seeded.
let explore arguments =
    let explorer = projectNamed "Miroir.Explorer"
    build [ ("Debug", explorer) ]
    reportSetUp ()
    foreground (program "Debug" explorer) arguments Map.empty

/// Every fault, in every layer that is to find it.
let mutants arguments =
    build (Mutants.programs |> List.map (fun name -> "Debug", projectNamed name))
    reportSetUp ()
    Mutants.run arguments

/// Every layer of the harness in turn, what each found in artifacts/, and docs/chaos_testing_report.md made of that. A
/// layer that finds fault does not keep the others from being run, nor the report from being written.
let report arguments =
    let isLarge = List.contains "--large" arguments

    match arguments |> List.except [ "--large"; "--full" ] with
    | [] -> ()
    | unknown -> fail $"""'{String.concat " " unknown}' is not understood here: --large and --full are"""

    Directory.CreateDirectory(at "artifacts") |> ignore
    let toFile name = [ "--json"; at $"artifacts/{name}.json" ]

    let layers = [
        fun () -> explore ([ "--least"; "1000000" ] @ toFile "explore")
        if isLarge then
            fun () -> explore ("--large" :: toFile "explore-large")
        fun () -> simulate ([ "--seeds"; "2000"; "--workers"; "2" ] @ toFile "simulate")
        fun () -> simulate ([ "--scenarios"; "--workers"; "2" ] @ toFile "simulate")
        fun () -> simulate ([ "--loss-table"; "--workers"; "2" ] @ toFile "simulate")
        fun () -> mutants (toFile "mutants")
        fun () -> realProcesses "chaos" ([ "all"; "--loss-table"; "--report" ] @ List.except [ "--large" ] arguments)
    ]

    layers |> List.map (fun layer -> layer ()) |> List.max

let publish () =
    let folder = at "publish"

    setUp (fun () ->
        restore ()
        nameSource ())

    reportSetUp ()

    if Directory.Exists folder then
        Directory.Delete(folder, recursive = true)

    let options =
        $"-c Release -r {RuntimeInformation.RuntimeIdentifier} --self-contained false -p:PublishReadyToRun=true -v q -nologo -clp:NoSummary -nodeReuse:false -o publish"

    for name in [ "Miroir.Server"; "Miroir.Ctl" ] do
        dotnet $"publishing {name}" ("publish" :: projectNamed name :: List.ofArray (options.Split ' '))

    printfn "miroir and miroir-ctl are in %s" folder

/// What is measured is what `publish` makes: an operator's processes start warm.
let bench arguments =
    publish () |> ignore
    runProgram "Miroir.Benchmarks" [] (Map [ ("MIROIR_PROGRAMS", at "publish") ]) arguments

type Target = {
    Name: string
    About: string
    Run: string list -> int
}

let plain name about work = {
    Name = name
    About = about
    Run =
        fun arguments ->
            if not (List.isEmpty arguments) then
                let given = String.concat " " arguments
                fail $"target '{name}' takes no arguments, but was given: {given}"

            work ()
            0
}

let withArguments name about work = {
    Name = name
    About = about
    Run = work
}

let targets = [
    plain "build" "build everything that ships, and its tests, for Release" (fun () ->
        build (every "Release")
        reportSetUp ())
    withArguments "test" "run all tests; [PROJECT...] [--filter EXPRESSION] for some of them" test
    withArguments
        "demo"
        "reshard a live cluster and prove that nothing was lost; [--kill ROLE] [--input FILE] [--keep]"
        demo
    withArguments
        "chaos"
        "run the named scenarios with real processes; [NAME...] [--size N | --full] [--loss-table] [--report]"
        (realProcesses "chaos")
    withArguments
        "entropy"
        "hold anti-entropy against real processes: under writes, flipped bits, an old file, a replica away; [--seconds S]"
        (realProcesses "entropy")
    withArguments
        "simulate"
        "run the cluster in a deterministic simulator; [--seeds N] [--workers W] [--json FILE], [--scenarios], [--loss-table], or --seed N for one's story"
        simulate
    withArguments
        "explore"
        "search small worlds of the shipped machines exhaustively; [--large] [--mutants] [--config NAME] [--help]"
        explore
    withArguments
        "mutants"
        "seed every fault of the test builds in turn, and show what finds it; [NAME...] [--json FILE]"
        mutants
    withArguments
        "report"
        "run every layer of the harness, and write docs/chaos_testing_report.md from it; [--large] [--full]"
        report
    withArguments "bench" "measure against SQLite and against a node alone, side by side" bench
    plain "check" "check the formatting of all files" check
    plain "format" "format all files" format
    plain "packages" "write paket.lock anew after a change of paket.dependencies" (fun () ->
        setUp resolvePackages
        reportSetUp ())
    plain "publish" "put miroir and miroir-ctl, compiled ahead of time, into publish/" publish
]

let usage =
    let lines =
        targets
        |> List.map (fun target -> $"  {target.Name, -9}{target.About}")
        |> String.concat "\n"

    $"usage: dotnet fsi build.fsx TARGET [ARGUMENTS]\n\n{lines}"

let exitCode =
    try
        match List.ofArray fsi.CommandLineArgs |> List.tail with
        | []
        | [ "--help" | "-h" | "help" ] ->
            printfn "%s" usage
            0
        | name :: arguments ->
            match targets |> List.tryFind (fun target -> target.Name = name) with
            | Some target -> target.Run arguments
            | None ->
                eprintfn "error: there is no target '%s'\n\n%s" name usage
                2
    with Failed(code, message) ->
        eprintfn "error: %s" message
        code

exit exitCode
