module Miroir.Explorer.Program

open System

let private usage =
    """explore: searches small worlds of the shipped machines, breadth first, for a state that breaks a promise

  (nothing)            the configurations of a test run
  --large              these and the larger ones: 20,000,000 states at least, or it fails
  --mutants            seeds each fault in turn, and shows what finds it
  --agreement N        holds the reduced search of the smallest configurations (or of --config) against an unreduced
                       one, in N unreduced states for each reduced one
  --config NAME        one configuration
  --mutant NAME        with a fault seeded (several: joined by +)
  --states N           at most so many states of each configuration
  --seconds N          at most so many seconds for each configuration
  --threads N          as many searchers (as many as there are cores)
  --least N            fewer states than that, of all configurations together, or one cut short, are a failure
  --json FILE          writes what was found there too
  --progress           a line for each layer
  --list               the configurations and the faults"""

/// The value behind a name among the arguments.
let private valueOf (arguments: string[]) (name: string) : string option =
    match Array.tryFindIndex ((=) name) arguments with
    | Some i when i + 1 < arguments.Length -> Some arguments[i + 1]
    | Some _ -> failwith $"{name} needs a value"
    | None -> None

let private number (arguments: string[]) (name: string) (otherwise: int64) : int64 =
    match valueOf arguments name with
    | None -> otherwise
    | Some text ->
        match Int64.TryParse text with
        | true, value when value > 0L -> value
        | _ -> failwith $"{name} must be a whole number above 0, not '{text}'"

let private run (arguments: string[]) : int =
    let has name = Array.contains name arguments

    let bounds: SearchBounds = {
        MaxStates = number arguments "--states" Int64.MaxValue
        MaxSeconds = float (number arguments "--seconds" 86400L)
        Threads = int (number arguments "--threads" (int64 Environment.ProcessorCount))
        ShowsProgress = has "--progress"
    }

    if has "--help" then
        printfn "%s" usage
        0
    elif has "--list" then
        Report.list ()
        0
    elif has "--mutants" then
        KillTable.run bounds (valueOf arguments "--mutant") (valueOf arguments "--json")
    else
        let settings =
            match valueOf arguments "--config" with
            | Some name ->
                match Configurations.all |> List.tryFind (fun s -> s.Name = name) with
                | Some setting -> [ setting ]
                | None -> failwith $"there is no configuration '{name}': --list shows them"
            | None when has "--large" -> Configurations.large
            | None when has "--agreement" -> Configurations.smallest
            | None -> Configurations.usual

        match valueOf arguments "--mutant" with
        | None -> ()
        | Some names ->
            KillTable.activate (names.Split '+')
            Coordination.judge false

        if has "--agreement" then
            Agreement.run bounds (number arguments "--agreement" 1L) settings
        else
            Report.search {
                Bounds = bounds
                Settings = settings
                IsPart = has "--config" || has "--mutant"
                LeastStates =
                    (if has "--least" then number arguments "--least" 1L
                     elif has "--large" then 20_000_000L
                     else 0L)
                Json = valueOf arguments "--json"
            }

[<EntryPoint>]
let main arguments =
    try
        run arguments
    with Failure message ->
        eprintfn "error: %s\n\n%s" message usage
        2
