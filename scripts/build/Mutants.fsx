/// Seeds the faults of MutantTable.fsx and of the explorer's own table, one at a time, and says what found each.
module Mutants

#load "SetUp.fsx" "MutantTable.fsx"

open System
open System.Diagnostics
open System.IO
open System.Text.Json
open System.Text.RegularExpressions
open System.Threading.Tasks
open Programs
open SetUp
open MutantTable

/// How a fault fared in one layer.
type Verdict = {
    Name: string
    Layer: string
    /// What was run.
    Killer: string
    Killed: bool
    Seconds: float
    /// What was said of it, and after how much.
    Detail: string
    SurvivorReason: string
}

let private explorer = "Miroir.Explorer"
let private simulation = "Miroir.Simulation"

/// The programs that find faults.
let programs = [ explorer; simulation; "Miroir.Core.Tests"; "Miroir.Stores.Tests" ]

let private limit = TimeSpan.FromMinutes 5.0

let private number name (text: string) =
    let found = Regex.Match(text, $@"^\s+{name}: (\d+)", RegexOptions.Multiline)
    if found.Success then int found.Groups[1].Value else 0

/// Words of a test's name: the filter knows no blanks.
let private filterOf (test: string) =
    test.Split(' ', StringSplitOptions.RemoveEmptyEntries)
    |> Array.map (fun word -> $"FullyQualifiedName~{word}")
    |> String.concat "&"

/// Only a failed assertion is a kill: no fault of the harness, no filter that lets nothing through.
let private byTests mutant project (test: string) (says: string) =
    let variables = Map [ ("MIROIR_MUTANTS", mutant) ]

    let code, text =
        captureWith variables limit (program "Debug" (projectNamed project)) [
            "--no-ansi"
            "--progress"
            "off"
            "--filter"
            filterOf test
        ]

    let failed, total = number "failed" text, number "total" text

    if total = 0 then
        false, $"no test ran (exit code {code})"
    elif failed < total then
        false, $"{failed} of {total} tests failed"
    elif not (text.Contains says) then
        false, $"{failed} of {total} tests failed, and none says '{says}'"
    else
        true, $"{failed} of {total} tests: {says}"

/// What a run of the simulator found, in short.
let private finding (text: string) =
    let found =
        Regex.Match(text, @"^seed (\d+): (?:(\w+) ""[^""]*""|(\w+):)", RegexOptions.Multiline)

    if found.Success then
        $"{(found.Groups[2].Value + found.Groups[3].Value).ToLowerInvariant()}, seed {found.Groups[1].Value}"
    else
        ""

let private simulate mutant arguments =
    capture limit (program "Debug" (projectNamed simulation)) ([ "simulate"; "--mutant"; mutant ] @ arguments)

let private bySeeds mutant upTo =
    let code, text = simulate mutant [ "--seeds"; string upTo; "--first" ]

    match finding text with
    | _ when code <> 1 -> false, (if code = 0 then "nothing found" else $"exit code {code}")
    | found when Regex.IsMatch(found, "^(escaped|failed|$)") -> false, $"the simulator itself: {found}"
    | found -> true, found

let private killerOf (mutant: Mutant) =
    match mutant.Killer with
    | Tests(_, test, _) -> test
    | Seeds upTo -> $"simulate --seeds {upTo}"

let private projectOf (mutant: Mutant) =
    match mutant.Killer with
    | Tests(project, _, _) -> project
    | Seeds _ -> simulation

let private seedFault (mutant: Mutant) : Verdict =
    let watch = Stopwatch.StartNew()

    let isKilled, detail =
        match mutant.Killer with
        | Tests(project, test, says) -> byTests mutant.Name project test says
        | Seeds upTo -> bySeeds mutant.Name upTo

    {
        Name = mutant.Name
        Layer = mutant.Layer
        Killer = killerOf mutant
        Killed = isKilled
        Seconds = watch.Elapsed.TotalSeconds
        Detail = detail
        SurvivorReason = mutant.Survives
    }

/// Two at once: each is a process of its own, most of which starts.
let private seedAll (report: Verdict -> unit) (mutants: Mutant list) : Verdict list =
    let mutants = Array.ofList mutants
    let verdicts = Array.zeroCreate mutants.Length

    let options =
        ParallelOptions(MaxDegreeOfParallelism = min 2 Environment.ProcessorCount)

    let one at =
        verdicts[at] <- seedFault mutants[at]
        lock verdicts (fun () -> report verdicts[at])

    Parallel.For(0, mutants.Length, options, one) |> ignore
    List.ofArray verdicts

/// The explorer's own table: it knows the configurations that are to find each fault.
let private explore (only: string list) : Verdict list =
    let file = Path.GetTempFileName()

    try
        let arguments =
            match only with
            | [ name ] -> [ "--mutants"; "--mutant"; name; "--json"; file ]
            | _ -> [ "--mutants"; "--json"; file ]

        capture (TimeSpan.FromMinutes 20.0) (program "Debug" (projectNamed explorer)) arguments
        |> ignore

        use found = JsonDocument.Parse(File.ReadAllText file)

        [
            for row in found.RootElement.EnumerateArray() do
                let text (name: string) = row.GetProperty(name).GetString()
                let killedBy = text "killedBy"
                let states = row.GetProperty("states").GetInt64()

                {
                    Name = text "mutant"
                    Layer = "explorer"
                    Killer = Regex.Replace(killedBy, "^.*?: (.*), .*$", "explore --config $1")
                    Killed = killedBy <> ""
                    Seconds = row.GetProperty("seconds").GetDouble()
                    Detail = Regex.Replace(killedBy, "^(.*?): .*, (.*)$", "$1, $2, ") + $"{states:N0} states"
                    SurvivorReason = text "survives"
                }
        ]
    finally
        File.Delete file

let private namesIn (file: string) (pattern: string) =
    Regex.Matches(File.ReadAllText(at file), pattern)
    |> Seq.map _.Groups[1].Value
    |> Set.ofSeq

/// Every switch has a row, and every row has its switches.
let private check () : Verdict list =
    let switches = namesIn "src/Miroir.Core/Mutants.fs" "isOn \"([a-z-]+)\""

    let explored =
        namesIn "tests/Miroir.Explorer/KillTable.fs" "fault\s+\"([a-z-]+(?:\+[a-z-]+)*)\""

    let used =
        Seq.append explored (mutants |> Seq.map _.Name)
        |> Seq.collect _.Split('+')
        |> Set.ofSeq

    [
        for name in switches - used do
            name, "no row of scripts/build/MutantTable.fsx says what is to find it"
        for mutant in mutants do
            for name in mutant.Name.Split '+' do
                if not (switches.Contains name) then
                    name, "scripts/build/MutantTable.fsx names it, and src/Miroir.Core/Mutants.fs has no such switch"
    ]
    |> List.map (fun (name, why) -> {
        Name = name
        Layer = ""
        Killer = ""
        Killed = false
        Seconds = 0.0
        Detail = why
        SurvivorReason = ""
    })

/// What was recorded to find a fault, seeded again. The explorer's are not among them: its table is a proof of its own.
let replay (projects: string list) : Verdict list =
    let rows =
        mutants
        |> List.filter (fun mutant -> mutant.Survives = "" && List.contains (projectOf mutant) projects)

    if rows.IsEmpty then [] else check () @ seedAll ignore rows

let tell (verdict: Verdict) =
    let outcome =
        if verdict.Killed then
            verdict.Detail
        elif verdict.SurvivorReason = "" then
            $"LIVES: {verdict.Detail}"
        else
            $"survives: {verdict.SurvivorReason}"

    $"%-50s{verdict.Name} %-11s{verdict.Layer} %6.1f{verdict.Seconds} s  {verdict.Killer}: {outcome}"

/// Of the working tree, with "+" where files were changed since; "unknown" outside of one.
let private commit () =
    let git arguments =
        capture (TimeSpan.FromMinutes 1.0) "git" arguments

    try
        match git [ "rev-parse"; "--short"; "HEAD" ], git [ "status"; "--porcelain"; "-uno" ] with
        | (0, head), (0, changes) -> head.Trim() + (if changes.Trim() = "" then "" else "+")
        | _ -> "unknown"
    with Failed _ ->
        "unknown"

let private write (file: string) (verdicts: Verdict list) =
    match Path.GetDirectoryName(Path.GetFullPath file) |> Option.ofObj with
    | Some folder -> Directory.CreateDirectory folder |> ignore
    | None -> ()

    let rows = [
        for v in verdicts do
            {|
                name = v.Name
                layer = v.Layer
                killer = v.Killer
                killed = v.Killed
                seconds = Math.Round(v.Seconds, 1)
                detail = v.Detail
                survivorReason = if v.Killed then "" else v.SurvivorReason
            |}
    ]

    let whole = {| commit = commit (); faults = rows |}

    File.WriteAllText(file, JsonSerializer.Serialize(whole, JsonSerializerOptions(WriteIndented = true)))

let run arguments =
    let rec read names json arguments =
        match arguments with
        | "--json" :: file :: rest -> read names (Some file) rest
        | name :: rest when not ((name: string).StartsWith '-') -> read (names @ [ name ]) json rest
        | unknown :: _ -> fail $"'{unknown}' is not understood here: names of faults, and --json FILE, are"
        | [] -> names, json

    let names, json = read [] None arguments

    let isWanted (name: string) =
        names.IsEmpty || names |> List.exists (fun wanted -> name.Contains wanted)

    let show verdict = printfn "%s" (tell verdict)
    let explored = explore names |> List.filter (fun v -> isWanted v.Name)
    List.iter show explored

    let verdicts =
        check ()
        @ explored
        @ (mutants |> List.filter (fun mutant -> isWanted mutant.Name) |> seedAll show)

    json |> Option.iter (fun file -> write file verdicts)

    let living =
        verdicts |> List.filter (fun v -> not v.Killed && v.SurvivorReason = "")

    let faults = verdicts |> List.groupBy _.Name
    let dead, alive = faults |> List.partition (snd >> List.exists _.Killed)

    printfn
        "%d faults, %d of them killed by a layer or more, %d survive all with a reason or live; %d rows: %d killed, %d survive with a reason, %d live"
        faults.Length
        dead.Length
        alive.Length
        verdicts.Length
        (verdicts |> List.filter _.Killed |> List.length)
        (verdicts.Length
         - living.Length
         - (verdicts |> List.filter _.Killed |> List.length))
        living.Length

    for verdict in verdicts do
        if verdict.Killed && verdict.SurvivorReason <> "" then
            printfn "%s dies now in the %s (%s): record it" verdict.Name verdict.Layer verdict.Detail

    if living.IsEmpty then 0 else 1
