/// Running programs: quietly, with their output shown, or in the foreground.
module Programs

open System
open System.Diagnostics
open System.IO
open System.Runtime.InteropServices
open System.Text
open System.Threading

/// A step that went wrong: what, and what to do about it. Ends the script with this exit code.
exception Failed of exitCode: int * message: string

let fail message = raise (Failed(1, message))

let root = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", ".."))
let at path = Path.Combine(root, path)

Directory.SetCurrentDirectory root

let start captured (program: string) (arguments: string list) (variables: Map<string, string>) =
    let info =
        ProcessStartInfo(program, arguments, UseShellExecute = false, WorkingDirectory = root)

    if captured then
        info.RedirectStandardOutput <- true
        info.RedirectStandardError <- true
        info.RedirectStandardInput <- true

    for KeyValue(name, value) in variables do
        info.Environment[name] <- value

    try
        Process.Start info
    with :? ComponentModel.Win32Exception as problem ->
        fail $"cannot start '{program}': {problem.Message}. Is it installed, and on the PATH?"

let within (limit: TimeSpan) what (running: Process) =
    if not (running.WaitForExit(int limit.TotalMilliseconds)) then
        running.Kill(entireProcessTree = true)
        fail $"{what} did not end within {limit.TotalMinutes} minutes and was stopped"

let toolLimit = TimeSpan.FromMinutes 30.0

/// Runs a program whose output goes straight to the terminal; its exit code.
let run program arguments variables =
    use running = start false program arguments variables
    within toolLimit program running
    running.ExitCode

/// Runs a program quietly; its exit code and what it wrote. Not for programs that leave servers behind: those would
/// keep the pipe open.
let captureWith variables limit program arguments =
    use running = start true program arguments variables
    let text = StringBuilder()

    let keep (line: DataReceivedEventArgs) =
        if not (isNull line.Data) then
            lock text (fun () -> text.AppendLine line.Data |> ignore)

    running.OutputDataReceived.Add keep
    running.ErrorDataReceived.Add keep
    running.BeginOutputReadLine()
    running.BeginErrorReadLine()
    running.StandardInput.Close()
    within limit program running
    running.WaitForExit()
    running.ExitCode, text.ToString()

let capture limit program arguments =
    captureWith Map.empty limit program arguments

let dotnet what arguments =
    let code = run "dotnet" arguments Map.empty

    if code <> 0 then
        fail $"{what} failed (dotnet {List.head arguments}, exit code {code}); the messages above say why"

let dotnetQuietly what arguments =
    let code, text = capture toolLimit "dotnet" arguments

    if code <> 0 then
        eprintf "%s" text
        fail $"{what} failed (dotnet {List.head arguments}, exit code {code}); the messages above say why"

/// Runs a program in the foreground until it ends, however long that takes. Ctrl-C reaches it by the terminal, as
/// it does us: we only wait, so that it can clean up. A signal sent to us alone is passed on.
let foreground (program: string) arguments variables =
    use running = start false program arguments variables
    let cleanUpLimit = TimeSpan.FromSeconds 30.0

    let terminate () =
        use kill = start false "kill" [ "-TERM"; string running.Id ] Map.empty
        kill.WaitForExit()

    use interrupted = new ManualResetEventSlim(false)

    let onSignal passOn (context: PosixSignalContext) =
        context.Cancel <- true

        if passOn && not running.HasExited then
            terminate ()

        interrupted.Set()

    use _ = PosixSignalRegistration.Create(PosixSignal.SIGINT, onSignal false)
    use _ = PosixSignalRegistration.Create(PosixSignal.SIGTERM, onSignal true)
    use _ = PosixSignalRegistration.Create(PosixSignal.SIGHUP, onSignal true)

    while not (running.WaitForExit 100) && not interrupted.IsSet do
        ()

    if interrupted.IsSet && not (running.WaitForExit cleanUpLimit) then
        terminate ()

        if not (running.WaitForExit cleanUpLimit) then
            running.Kill(entireProcessTree = true)

    running.WaitForExit()
    running.ExitCode
