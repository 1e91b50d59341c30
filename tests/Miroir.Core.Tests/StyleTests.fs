/// The rooms of the house, kept by reading the source: what a compiler does not refuse, a test does.
module Miroir.Core.Tests.StyleTests

open System
open System.IO
open System.Reflection
open System.Text.RegularExpressions
open NUnit.Framework

let private root =
    let rec climb (folder: DirectoryInfo | null) =
        match folder with
        | null -> failwith "the tests do not run inside the repository: no Miroir.sln in any folder above them"
        | folder when File.Exists(Path.Combine(folder.FullName, "Miroir.sln")) -> folder.FullName
        | folder -> climb folder.Parent

    climb (DirectoryInfo AppContext.BaseDirectory)

/// The source files below a folder of the repository, without what builds leave there.
let private sourcesIn folder =
    let outputs = [ "bin"; "obj"; "node_modules" ]

    let isSource (file: string) =
        let parts = Path.GetRelativePath(root, file).Split Path.DirectorySeparatorChar

        List.contains (Path.GetExtension file) [ ".cs"; ".fs"; ".fsi"; ".fsx" ]
        && not (parts |> Array.exists (fun part -> List.contains part outputs))

    let path = Path.Combine(root, folder)

    if Directory.Exists path then
        Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories)
        |> Seq.filter isSource
        |> List.ofSeq
    else
        []

/// Something that must not be written in a room, and a line that would be caught.
type Rule = {
    Forbids: string
    Pattern: string
    Caught: string
} with

    override this.ToString() = this.Forbids

let private rule forbids pattern caught = {
    Forbids = forbids
    Pattern = pattern
    Caught = caught
}

/// Comments may name what code may not.
let private withoutComment (line: string) = Regex.Replace(line, "//.*$", "")

let private breaks rule line =
    Regex.IsMatch(withoutComment line, rule.Pattern)

/// Each line with those that its open parenthesis goes on in: a call's arguments may stand on lines of their own.
let private withArguments (lines: string[]) = [|
    for index in 0 .. lines.Length - 1 do
        if lines[index].TrimEnd().EndsWith '(' then
            String.Join(" ", lines[index .. min (index + 4) (lines.Length - 1)] |> Array.map withoutComment)
        else
            lines[index]
|]

let private offences folder rule = [
    for file in sourcesIn folder do
        for index, line in File.ReadAllLines file |> withArguments |> Seq.indexed do
            if breaks rule line then
                $"{Path.GetRelativePath(root, file)}:{index + 1}: {line.Trim()}"
]

/// Core is pure: time, chance, concurrency and the world come in as observations.
let coreRules = [
    rule "tasks" @"System\.Threading|\bTask[<.]|\b(task|async|backgroundTask) \{" "let later = task { return 1 }"
    rule
        "the clock"
        @"\bDateTime(Offset)?\.(Utc)?(Now|Today)|Stopwatch|TimeProvider|TickCount"
        "let now = DateTimeOffset.UtcNow"
    rule "randomness" @"\bRandom(\(|\.Shared)|NewGuid|RandomNumberGenerator" "let seed = Random.Shared.Next()"
    rule "files" @"System\.IO\b|(?<![\w.])(File|Directory|Path|FileStream)\." "let text = File.ReadAllText path"
    rule "the network" @"System\.Net\.(Http|Sockets)|HttpClient|\bSocket\b|\bDns\." "let client = new HttpClient()"
    rule "the process" @"\bEnvironment\.(?!NewLine)|\bConsole\.|\be?printfn? " "let home = Environment.MachineName"
    rule "hash codes" @"(?<!override \w+)\.GetHashCode\b|\bHashCode\.|ImmutableDictionary" "let h = key.GetHashCode()"
]

/// Runtime runs in the deterministic simulator: on one thread, under its clock and its generator.
let runtimeRules = [
    rule
        "other threads"
        @"\bTask\.Run\b|Task\.Factory|\bThreadPool\.|new Thread\(|Parallel\.|AsParallel"
        "_ = Task.Run(Work);"
    rule
        "other schedulers"
        @"ConfigureAwait\(\s*false|ContinueOnCapturedContext|TaskScheduler\.Default"
        "await work.ConfigureAwait(false);"
    rule
        "blocking waits"
        @"\.Result\b(?!\s*[<({=])|\.Wait\(|\.WaitAll\(|\.WaitAny\(|GetAwaiter\(\)\.GetResult|Thread\.Sleep"
        "var x = work.Result;"
    rule
        "waits that go on in the thread pool"
        @"\.WaitAsync\(|SemaphoreSlim|\.CancelAsync\(|\.ReadAllAsync\("
        "await changed.WaitAsync(stop);"
    rule
        "the system clock"
        @"\bDateTime(Offset)?\.(Utc)?(Now|Today)|Stopwatch|Environment\.TickCount|TimeProvider\.System"
        "var now = DateTime.UtcNow;"
    rule
        "delays without a clock"
        @"Task\.Delay\((?![^;]*([Tt]ime\b|[Cc]lock|[Pp]rovider))"
        "await Task.Delay(100, stopping);"
    rule
        "timeouts without a clock"
        @"new (CancellationTokenSource|PeriodicTimer|Timer)\((?!\))(?![^;]*([Tt]ime\b|[Cc]lock|[Pp]rovider))"
        "using var limit = new CancellationTokenSource(timeout);"
    rule
        "randomness"
        @"\bnew Random\(\)|Random\.Shared|\bGuid\.NewGuid|RandomNumberGenerator"
        "var id = Guid.NewGuid();"
    rule
        "an order that changes from run to run"
        @"GetHashCode\(\)|HashCode\.|ImmutableDictionary|ImmutableHashSet"
        "var bucket = key.GetHashCode() % 8;"
    rule "files" @"System\.IO\.(File|Directory)|\b(File|Directory|FileStream)\." "var text = File.ReadAllText(path);"
    rule "sockets" @"System\.Net\b|HttpClient|\bSocket\b" "using var client = new HttpClient();"
]

let allRules = coreRules @ runtimeRules

[<TestCaseSource(nameof allRules)>]
let ``A rule catches what it forbids`` (rule: Rule) =
    Assert.That(breaks rule rule.Caught, Is.True, rule.Caught)

[<TestCaseSource(nameof coreRules)>]
let ``Core does not mention`` (rule: Rule) =
    Assert.That(offences "src/Miroir.Core" rule, Is.Empty)

[<TestCaseSource(nameof runtimeRules)>]
let ``Runtime does not mention`` (rule: Rule) =
    Assert.That(offences "src/Miroir.Runtime" rule, Is.Empty)

[<Test>]
let ``Core depends on no other room`` () =
    let core = Path.Combine(TestContext.CurrentContext.TestDirectory, "Miroir.Core.dll")

    let rooms =
        Assembly.LoadFrom(core).GetReferencedAssemblies()
        |> Array.filter (fun name -> (string name).StartsWith "Miroir.")

    Assert.That(rooms, Is.Empty)

[<Test>]
let ``The source tree is where the rules look for it`` () =
    for folder in [ "src/Miroir.Core"; "tests/Miroir.Core.Tests"; "scripts/build" ] do
        Assert.That(sourcesIn folder, Is.Not.Empty, folder)

[<Test>]
let ``No source file is longer than 500 lines`` () =
    let long = [
        for folder in [ "src"; "tests"; "scripts" ] do
            for file in sourcesIn folder do
                let count = Seq.length (File.ReadLines file)

                if count > 500 then
                    $"{Path.GetRelativePath(root, file)}: {count} lines; which two things does it hold?"
    ]

    Assert.That(long, Is.Empty)

[<Test>]
let ``The top level holds nothing unknown`` () =
    let known =
        set [
            "src"
            "tests"
            "scripts"
            "docs"
            "Miroir.sln"
            "build.fsx"
            "paket.dependencies"
            "paket.lock"
            "README.md"
            "LICENSE"
            "global.json"
            "dotnet-tools.json"
        ]

    let ignored =
        File.ReadLines(Path.Combine(root, ".gitignore"))
        |> Seq.map (fun line -> line.Trim '/')
        |> Set.ofSeq

    let isUnknown (entry: string) =
        not (entry.StartsWith '.' || known.Contains entry || ignored.Contains entry)

    let unknown =
        DirectoryInfo(root).EnumerateFileSystemInfos()
        |> Seq.map _.Name
        |> Seq.filter isUnknown
        |> List.ofSeq

    Assert.That(unknown, Is.Empty)
