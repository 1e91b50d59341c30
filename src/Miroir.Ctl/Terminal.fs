namespace Miroir.Ctl

open System
open System.IO
open Spectre.Console
open Miroir.Scripting

/// What a command sees of the world outside the server.
type Surroundings = {
    Out: TextWriter
    Error: TextWriter
    Input: unit -> Stream
    /// Whether a person looks at `Out`: tables and progress bars, else plain lines.
    IsTerminal: bool
    Variable: string -> string option
    /// None where there is no such file.
    ReadFile: string -> string option
    OpenFile: string -> Stream
    /// Makes the file, with this text; replaces one that is there.
    WriteFile: string -> string -> unit
    FindZone: string -> TimeZoneInfo | null
    Now: unit -> DateTimeOffset
    /// Between two looks at a migration, or at a pass of anti-entropy.
    PollInterval: TimeSpan
}

/// Why a command ends with a status other than 0.
exception Failure of exitCode: int * code: string * message: string

[<RequireQualifiedAccess>]
module Exit =

    [<Literal>]
    let Done = 0

    [<Literal>]
    let Refused = 1

    [<Literal>]
    let Usage = 2

    let refused code message = raise (Failure(Refused, code, message))

    /// `argument`: the one that is wrong.
    let usage (argument: string) (message: string) =
        raise (Failure(Usage, "wrong_usage", $"{argument}: {message}"))

    let ofClient (problem: ClientError) : exn =
        let code =
            match problem with
            | ClientError.Refused(_, code, _) -> code
            | ClientError.Unreachable _ -> "unreachable"

        Failure(problem.ExitStatus, code, problem.Message)

    /// A call's value; what it failed of ends the command.
    let orFail (result: Result<'T, ClientError>) : 'T =
        match result with
        | Ok value -> value
        | Error problem -> raise (ofClient problem)

/// What a command writes: one JSON document, or lines and tables.
[<Sealed>]
type Output(world: Surroundings, isJson: bool) =
    let console =
        lazy AnsiConsole.Create(AnsiConsoleSettings(Out = AnsiConsoleOutput world.Out))

    member _.IsJson = isJson
    member _.World = world

    member _.Line(text: string) =
        if not isJson then
            world.Out.WriteLine text

    /// The one document of `--json`, at the command's end.
    member _.Json(value: 'T) =
        if isJson then
            world.Out.WriteLine(Json.print value)

    /// For people, also beside a JSON document.
    member _.Note(text: string) = world.Error.WriteLine text

    member this.Table(headers: string list, rows: string list list) =
        if isJson then
            ()
        elif world.IsTerminal then
            let table = Table().RoundedBorder()

            for header in headers do
                table.AddColumn(Markup.Escape header) |> ignore

            for row in rows do
                table.AddRow(row |> List.map Markup.Escape |> Array.ofList) |> ignore

            console.Value.Write table
        else
            let widths =
                headers :: rows
                |> List.map (List.map String.length)
                |> List.reduce (List.map2 max)

            for row in headers :: rows do
                let cells =
                    List.map2 (fun (width: int) (cell: string) -> cell.PadRight width) widths row

                this.Line((String.concat "  " cells).TrimEnd())

    /// Runs `work`, which reports documents done; a bar where there is a terminal.
    member _.Progress
        (title: string, total: int64, work: (int64 -> unit) -> Threading.Tasks.Task<'T>)
        : Threading.Tasks.Task<'T> =
        if isJson || not world.IsTerminal then
            work ignore
        else
            console.Value
                .Progress()
                .Columns(
                    TaskDescriptionColumn(),
                    ProgressBarColumn(),
                    PercentageColumn(),
                    RemainingTimeColumn(),
                    SpinnerColumn()
                )
                .StartAsync(fun context ->
                    let bar = context.AddTask(Markup.Escape title, maxValue = float (max 1L total))
                    bar.IsIndeterminate <- total <= 0L

                    work (fun finished ->
                        bar.Value <- float finished
                        bar.Description <- Markup.Escape $"{title} {finished:N0}"))

[<RequireQualifiedAccess>]
module Text =

    let count (n: int64) =
        if n < 0L then
            "unknown"
        else
            n.ToString("N0", Globalization.CultureInfo.InvariantCulture)

    let bytes (n: int64) =
        let rec scale (value: float) units =
            match units with
            | [ last ] -> $"{value:F1} {last}"
            | unit :: rest ->
                if value < 1024.0 then
                    $"{value:F1} {unit}"
                else
                    scale (value / 1024.0) rest
            | [] -> string value

        if n < 0L then "unknown"
        elif n < 1024L then $"{n} B"
        else scale (float n / 1024.0) [ "KiB"; "MiB"; "GiB"; "TiB" ]

    let duration (ms: int64) =
        if ms < 1_000L then $"{ms} ms"
        elif ms < 120_000L then $"{float ms / 1000.0:F1} s"
        else $"{ms / 60_000L} min {ms % 60_000L / 1000L} s"

    /// 0: never.
    let time (unixMs: int64) =
        if unixMs = 0L then
            "never"
        else
            DateTimeOffset
                .FromUnixTimeMilliseconds(unixMs)
                .ToString("yyyy-MM-dd HH:mm:ss 'UTC'", Globalization.CultureInfo.InvariantCulture)

    let dash (text: string) = if text = "" then "-" else text
