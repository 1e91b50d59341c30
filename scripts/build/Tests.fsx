/// Runs the test programs and adds up what they say.
module Tests

#load "Mutants.fsx"

open System
open System.Diagnostics
open System.IO
open System.Text.RegularExpressions
open Programs
open SetUp

/// What tests use beside the SDK: the program, and the Debian package that has it. Without one, its tests are
/// skipped and name the package.
let testTools =
    Map [
        ("sqlite3", "sqlite3")
        ("xxhsum", "xxhash")
        ("node", "nodejs")
        ("npm", "npm")
    ]

let onPath (name: string) =
    let path =
        Environment.GetEnvironmentVariable "PATH"
        |> Option.ofObj
        |> Option.defaultValue ""

    path.Split Path.PathSeparator
    |> Array.exists (fun folder -> File.Exists(Path.Combine(folder, name)))

let installTestTools () =
    let missing = [
        for tool in testTools do
            if not (onPath tool.Key) then
                tool.Value
    ]

    if not missing.IsEmpty && onPath "apt-get" && Environment.IsPrivilegedProcess then
        // Once tried in vain, it is tried again only when something else is missing.
        unlessDone "test-tools" (hash missing) (fun () -> true) (fun () ->
            let named = String.concat ", " missing

            let apt arguments =
                run "apt-get" ("-qq" :: arguments) (Map [ ("DEBIAN_FRONTEND", "noninteractive") ])

            let install () =
                apt ([ "install"; "-y"; "--no-install-recommends" ] @ missing)

            step $"Installing {named} for the tests" (fun () ->
                if install () <> 0 && (apt [ "update" ] <> 0 || install () <> 0) then
                    printfn "  cannot install %s: the tests that need what is missing are skipped" named))

type Outcome = {
    Passed: int
    Failed: int
    Skipped: int
    Details: string
    /// What failed, by name, to be told again at the end, where it is not lost among what the rest printed.
    Failures: string list
}

/// Reads the summary that a test program ends with. What stands before it are the details of the tests that failed
/// or were skipped.
let readOutcome exitCode noneIsFine (text: string) =
    let summary = text.IndexOf "Test run summary:"
    let preamble = "^(NUnit Adapter|Running all tests|\s+NUnit3TestExecutor|\s*$)"

    let details =
        (if summary < 0 then text else text[.. summary - 1]).Split '\n'
        |> Array.filter (fun line -> not (Regex.IsMatch(line, preamble)))
        |> String.concat "\n"

    let count (name: string) =
        let found =
            Regex.Match(text[max 0 summary ..], $@"^\s+{name}: (\d+)", RegexOptions.Multiline)

        if found.Success then int found.Groups[1].Value else 0

    let counted = {
        Passed = count "succeeded"
        Failed = count "failed"
        Skipped = count "skipped"
        Details = details
        Failures = [
            for found in Regex.Matches(details, @"^failed (.+)$", RegexOptions.Multiline) do
                found.Groups[1].Value.TrimEnd()
        ]
    }

    let noTests = 8

    if exitCode = 0 || counted.Failed > 0 || (exitCode = noTests && noneIsFine) then
        counted
    else
        {
            counted with
                Failed = 1
                Details = $"{details}\nended with exit code {exitCode}, though no test is said to have failed"
                Failures = [ $"exit code {exitCode}" ]
        }

/// Proofs that are programs of their own and not NUnit's: each passes or fails as one test, and shows what it found.
let proofs = [
    "Miroir.Explorer", "a million states of small worlds, all of them", [ "--least"; "1000000" ]
    "Miroir.Explorer", "the faults that such a search is to find", [ "--mutants" ]
    "Miroir.Explorer", "the same worlds without reduction, as far as they are small", [ "--agreement"; "2" ]
    "Miroir.Simulation", "2,000 seeds of the simulator", [ "simulate"; "--seeds"; "2000"; "--workers"; "2" ]
]

let prove (project, what, arguments) =
    let watch = Stopwatch.StartNew()

    let code, text =
        capture (TimeSpan.FromMinutes 20.0) (program "Debug" project) arguments

    let passed = if code = 0 then 1 else 0

    printfn
        "%-22s %d passed, %d failed: %s (%.1f s)"
        (nameOf project)
        passed
        (1 - passed)
        what
        watch.Elapsed.TotalSeconds

    for line in text.TrimEnd().Split '\n' do
        printfn "  %s" line

    {
        Passed = passed
        Failed = 1 - passed
        Skipped = 0
        Details = text
        Failures = [
            if code <> 0 then
                what
        ]
    }

/// The faults whose recorded killers are of these projects: each is one test, and fails when the fault lives.
let replayKillers wanted =
    let watch = Stopwatch.StartNew()
    let verdicts = Mutants.replay (List.map nameOf wanted)
    let killed, living = verdicts |> List.partition _.Killed

    if not verdicts.IsEmpty then
        printfn
            "%-22s %d passed, %d failed: seeded faults that die as recorded (%.1f s)"
            "Mutants"
            killed.Length
            living.Length
            watch.Elapsed.TotalSeconds

    for verdict in living do
        printfn "  %s" (Mutants.tell verdict)

    {
        Passed = killed.Length
        Failed = living.Length
        Skipped = 0
        Details = ""
        Failures = living |> List.map Mutants.tell
    }

let hasTests (project: string) =
    (File.ReadAllText project).Contains "<EnableNUnitRunner>true"

let test arguments =
    let names =
        arguments
        |> List.takeWhile (fun (argument: string) -> not (argument.StartsWith '-'))

    let options = arguments |> List.skip names.Length

    let all =
        projects.Value
        |> List.filter (fun project ->
            hasTests project
            || proofs |> List.exists (fun (name, _, _) -> name = nameOf project))

    let isWanted (project: string) =
        names.IsEmpty
        || names
           |> List.exists (fun name -> (nameOf project).Contains(name, StringComparison.OrdinalIgnoreCase))

    let wanted = List.filter isWanted all

    if wanted.IsEmpty then
        let known = all |> List.map nameOf |> String.concat ", "
        let given = String.concat " " names
        fail $"no test project is named like '{given}'; there are: {known}"

    setUp installTestTools

    build (
        if names.IsEmpty then
            every "Debug"
        else
            wanted |> List.map (fun project -> "Debug", project)
    )

    reportSetUp ()

    let outcomes = [
        for project in wanted |> List.filter hasTests do
            let watch = Stopwatch.StartNew()
            let limit = TimeSpan.FromMinutes 20.0

            let code, text =
                capture limit (program "Debug" project) ([ "--no-ansi"; "--progress"; "off" ] @ options)

            let outcome = readOutcome code (not options.IsEmpty) text

            printfn
                "%-22s %d passed, %d failed, %d skipped (%.1f s)"
                (nameOf project)
                outcome.Passed
                outcome.Failed
                outcome.Skipped
                watch.Elapsed.TotalSeconds

            if outcome.Failed + outcome.Skipped > 0 then
                printfn "%s" outcome.Details

            {
                outcome with
                    Failures = outcome.Failures |> List.map (fun failure -> $"{nameOf project}: {failure}")
            }

        // A filter is for NUnit's tests.
        if options.IsEmpty then
            for name, what, arguments in proofs do
                match wanted |> List.tryFind (fun project -> nameOf project = name) with
                | Some project -> prove (project, what, arguments)
                | None -> ()

            replayKillers wanted
    ]

    let passed = outcomes |> List.sumBy _.Passed
    let failed = outcomes |> List.sumBy _.Failed

    if passed + failed = 0 then
        fail "no test ran: the filter lets none through"

    for failure in outcomes |> List.collect _.Failures do
        printfn "failed: %s" failure

    printfn "%d passed, %d failed" passed failed
    if failed > 0 then 1 else 0
