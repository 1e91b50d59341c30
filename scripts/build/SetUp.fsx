/// What every target needs first: tools, packages, builds. Its time is reported apart from the target's own.
module SetUp

#load "Programs.fsx"

open System
open System.Diagnostics
open System.IO
open System.Security.Cryptography
open System.Text
open System.Text.RegularExpressions
open Programs

let setUpTime = Stopwatch()

let setUp work =
    setUpTime.Start()

    try
        work ()
    finally
        setUpTime.Stop()

let reportSetUp () =
    printfn "Set-up: %.1f s" setUpTime.Elapsed.TotalSeconds

/// One line about a step of the set-up while it runs.
let step (what: string) work =
    let watch = Stopwatch.StartNew()
    printfn "  %s ..." what
    work ()

    if watch.Elapsed.TotalSeconds >= 1.0 then
        printfn "  %s: %.1f s" what watch.Elapsed.TotalSeconds

let folderOf (project: string) = Path.GetDirectoryName project

let nameOf (project: string) =
    Path.GetFileNameWithoutExtension project

/// The project files of src and tests.
let projects =
    lazy
        ([ "src"; "tests" ]
         |> List.collect (fun folder -> List.ofSeq (Directory.EnumerateDirectories(at folder)))
         |> List.collect (fun folder -> List.ofSeq (Directory.EnumerateFiles(folder, "*.*proj")))
         |> List.sort)

let projectNamed name =
    projects.Value
    |> List.tryFind (fun file -> nameOf file = name)
    |> Option.defaultWith (fun () -> fail $"there is no project '{name}' in src or tests")

let outputFolder configuration (project: string) =
    Path.Combine(folderOf project, "bin", configuration, "net10.0")

/// The program that a project builds: `miroir` for Miroir.Server, else the project's own name.
let program configuration project =
    let named =
        Regex.Match(File.ReadAllText project, "<AssemblyName>(.+?)</AssemblyName>")

    let name =
        if named.Success then
            named.Groups[1].Value
        else
            nameOf project

    Path.Combine(outputFolder configuration project, name)

let hash (lines: string seq) =
    lines
    |> String.concat "\n"
    |> Encoding.UTF8.GetBytes
    |> SHA256.HashData
    |> Convert.ToHexString

/// Does the work unless it was done with the same fingerprint of what goes in, and what came out is still there.
let unlessDone name (fingerprint: string) (isThere: unit -> bool) work =
    let stamp = at $"obj/{name}.stamp"

    if not (File.Exists stamp && File.ReadAllText stamp = fingerprint && isThere ()) then
        work ()
        Directory.CreateDirectory(at "obj") |> ignore
        File.WriteAllText(stamp, fingerprint)

/// Paket reads the feed's address from NUGET_SOURCE: unless it is set, the first enabled source of this machine.
let nameSource () =
    if String.IsNullOrWhiteSpace(Environment.GetEnvironmentVariable "NUGET_SOURCE") then
        let _, text =
            capture toolLimit "dotnet" [ "nuget"; "list"; "source"; "--format"; "short" ]

        let enabled = Regex.Match(text, @"^E\S*[ \t]+(\S.*?)\s*$", RegexOptions.Multiline)

        if not enabled.Success then
            fail
                "this machine has no enabled NuGet source (see `dotnet nuget list source`): set NUGET_SOURCE to the address of one"

        Environment.SetEnvironmentVariable("NUGET_SOURCE", enabled.Groups[1].Value)

let packagesFolder () =
    match Environment.GetEnvironmentVariable "NUGET_PACKAGES" with
    | null
    | "" -> Path.Combine(Environment.GetFolderPath Environment.SpecialFolder.UserProfile, ".nuget", "packages")
    | folder -> folder

let packages () = [
    for found in Regex.Matches(File.ReadAllText(at "paket.lock"), @"^    ([A-Za-z]\S*) \(", RegexOptions.Multiline) do
        Path.Combine(packagesFolder (), found.Groups[1].Value.ToLowerInvariant())
]

let restoreTools () =
    let manifest = "dotnet-tools.json"

    unlessDone "tools" (hash [ root; File.ReadAllText manifest ]) (fun () -> true) (fun () ->
        step "Restoring the tools" (fun () -> dotnetQuietly "restoring the tools" [ "tool"; "restore" ]))

let restore () =
    restoreTools ()

    let inputs =
        [
            "global.json"
            "paket.dependencies"
            "paket.lock"
            "src/Directory.Build.props"
            "tests/Directory.Build.props"
            for project in projects.Value do
                project
                Path.Combine(folderOf project, "paket.references")
        ]
        |> List.filter File.Exists

    // Files to compile come and go without a restore.
    let decisive file =
        File.ReadLines file |> Seq.filter (fun line -> not (line.Contains "<Compile "))

    let fingerprint =
        hash [
            for file in inputs do
                file
                yield! decisive file
        ]

    let isThere () =
        packages () |> List.forall Directory.Exists
        && projects.Value
           |> List.forall (fun project -> File.Exists(Path.Combine(folderOf project, "obj", "project.assets.json")))

    unlessDone "packages" fingerprint isThere (fun () ->
        nameSource ()

        step "Restoring the packages" (fun () ->
            dotnetQuietly "restoring the packages" [ "paket"; "restore" ]
            dotnet "restoring the projects" [ "restore"; "Miroir.sln"; "-v"; "q"; "-nologo"; "-nodeReuse:false" ]))

/// Writes paket.lock anew from paket.dependencies. A feed that mirrors another may know a package's dependencies only
/// once the package was asked for, so this goes on until nothing changes.
let resolvePackages () =
    restoreTools ()
    nameSource ()
    let lock = at "paket.lock"

    let rec settle before attempts =
        File.Delete lock
        dotnetQuietly "resolving the packages" [ "paket"; "install" ]
        let after = File.ReadAllText lock

        if after <> before && attempts = 1 then
            fail "paket.lock still changes from one `paket install` to the next: run this target again"
        elif after <> before then
            settle after (attempts - 1)

    settle "" 12

    // Paket writes the address of this machine's feed; restored, the name of the variable means the same anywhere.
    let portable =
        Regex.Replace(File.ReadAllText lock, @"^(\s*remote:) .*$", "$1 %NUGET_SOURCE%", RegexOptions.Multiline)

    File.WriteAllText(lock, portable)

let isBuildOutput (path: string) =
    path.Split Path.DirectorySeparatorChar
    |> Array.exists (fun part -> part = "bin" || part = "obj" || part = "node_modules")

let sources () = [
    for folder in [ "src"; "tests"; ".paket" ] do
        for file in DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories) do
            if not (isBuildOutput (Path.GetRelativePath(root, file.FullName))) then
                file
    for file in [ "global.json"; "paket.lock"; ".editorconfig" ] do
        FileInfo file
]

/// Builds these projects, with all that they refer to, in one go, each in its configurations.
let build (wanted: (string * string) list) =
    setUp (fun () ->
        restore ()
        let listed = [ for configuration, project in wanted -> $"{configuration} {project}" ]
        let name = "build-" + (hash listed)[..11]

        let fingerprint =
            hash [
                for file in sources () -> $"{file.FullName} {file.Length} {file.LastWriteTimeUtc.Ticks}"
            ]

        let isThere () =
            wanted
            |> List.forall (fun (configuration, project) -> File.Exists(program configuration project + ".dll"))

        unlessDone name fingerprint isThere (fun () ->
            nameSource ()

            let items = [
                for configuration, project in wanted ->
                    $"""<Wanted Include="{project}" AdditionalProperties="Configuration={configuration}" />"""
            ]

            let traversal = at $"obj/{name}.proj"

            File.WriteAllLines(
                traversal,
                [
                    "<Project><ItemGroup>"
                    yield! items
                    "</ItemGroup><Target Name=\"Build\">"
                    "<MSBuild Projects=\"@(Wanted)\" Targets=\"Build\" BuildInParallel=\"true\" />"
                    "</Target></Project>"
                ]
            )

            let configurations =
                wanted |> List.map fst |> List.distinct |> String.concat " and "

            step $"Building {configurations}" (fun () ->
                dotnet "the build" [
                    "msbuild"
                    traversal
                    "-m"
                    "-v:q"
                    "-nologo"
                    "-clp:NoSummary"
                    "-nodeReuse:false"
                ])))

let every configuration =
    projects.Value |> List.map (fun project -> configuration, project)
