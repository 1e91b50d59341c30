namespace Miroir.Explorer

open System
open System.Diagnostics
open System.IO
open System.Text.Json

/// What is to be searched, and what makes it a failure beside a broken promise.
type SearchOrder = {
    Bounds: SearchBounds
    Settings: Setting list
    /// Not everything that is to happen sometimes can happen in them.
    IsPart: bool
    /// Fewer states than that, in configurations that were searched to their end, are a failure, and so is any
    /// configuration that was not. 0: nothing is asked for.
    LeastStates: int64
    /// Where the result is written as JSON too.
    Json: string option
}

/// What is printed.
[<RequireQualifiedAccess>]
module Report =

    let private budget (b: Budget) =
        [
            b.Timeouts, "timeouts"
            b.Delays, "late answers"
            b.Duplicates, "duplicates"
            b.Crashes, "coordinator crashes"
            b.Writers, "changes of writer"
            b.Aborts, "aborts"
            b.Pauses, "pauses"
            b.Drains, "drain timeouts"
            b.Losses, "lost stores"
            b.Deadlines, "clients' deadlines"
        ]
        |> List.filter (fun (n, _) -> n > 0)
        |> List.map (fun (n, name) -> $"{n} {name}")
        |> String.concat ", "

    let bounds (s: Setting) =
        let operations =
            s.Operations
            |> Array.map (fun o -> $"{o.Kind} {s.Keys[o.Key].Text}")
            |> String.concat ", "

        let goals =
            s.Goals
            |> Array.map (fun targets ->
                targets
                |> Array.map (fun t ->
                    let nodes = String.concat "," t.Nodes
                    $"({nodes})")
                |> String.concat " and ")
            |> String.concat " then "

        let owners = String.concat "," s.Owners
        $"({owners}) -> {goals}; {s.Routers.Length} routers; {operations}; at most: {budget s.Budget}"

    let outcome (o: Outcome) =
        let rate = float o.States / max 0.001 o.Seconds

        let ending =
            if o.Broken <> "" then "BROKEN"
            elif o.IsExhausted then "all seen"
            else "cut short"

        printfn
            "%-14s %10s states, %11s steps, depth %3d, %7.1f s, %8s states/s, %s"
            o.Setting.Name
            (o.States.ToString "N0")
            (o.Steps.ToString "N0")
            o.Depth
            o.Seconds
            (rate.ToString "N0")
            ending

        printfn "%-14s %s" "" (bounds o.Setting)

        for line in o.Story do
            printfn "  %s" line

    let private names (all: Sometimes seq) =
        all |> Seq.map string |> String.concat ", "

    /// Of the working tree, with "+" where files were changed since; "unknown" outside of one.
    let private commit () =
        let git (arguments: string list) =
            use running =
                Process.Start(
                    ProcessStartInfo("git", arguments, RedirectStandardOutput = true, RedirectStandardError = true)
                )
                |> nonNull

            let output = running.StandardOutput.ReadToEnd()
            running.WaitForExit()
            if running.ExitCode = 0 then output.Trim() else ""

        try
            match git [ "rev-parse"; "--short"; "HEAD" ] with
            | "" -> "unknown"
            | head when git [ "status"; "--porcelain"; "-uno" ] = "" -> head
            | head -> head + "+"
        with :? ComponentModel.Win32Exception ->
            "unknown"

    let private write (file: string) (outcomes: Outcome list) (missed: Sometimes[]) =
        let result = {|
            commit = commit ()
            states = outcomes |> List.sumBy _.States
            seconds = outcomes |> List.sumBy _.Seconds
            isExhausted = outcomes |> List.forall _.IsExhausted
            never = missed |> Array.map string
            configurations = [
                for o in outcomes do
                    {|
                        name = o.Setting.Name
                        about = o.Setting.About
                        bounds = bounds o.Setting
                        states = o.States
                        steps = o.Steps
                        depth = o.Depth
                        seconds = o.Seconds
                        isExhausted = o.IsExhausted
                        broken = o.Broken
                    |}
            ]
        |}

        File.WriteAllText(file, JsonSerializer.Serialize(result, JsonSerializerOptions(WriteIndented = true)))

    /// 0 where everything held, and everything that is to happen happened.
    let search (order: SearchOrder) : int =
        let outcomes = [
            for setting in order.Settings do
                let o = Search.run setting order.Bounds
                outcome o
                o
        ]

        let states = outcomes |> List.sumBy _.States

        let exhausted = outcomes |> List.filter _.IsExhausted |> List.sumBy _.States

        let cut =
            outcomes
            |> List.filter (fun o -> not o.IsExhausted && o.Broken = "")
            |> List.map _.Setting.Name

        let seconds = outcomes |> List.sumBy _.Seconds
        let reached = outcomes |> List.collect _.Reached |> List.distinct
        let broken = outcomes |> List.filter (fun o -> o.Broken <> "")

        let missed =
            Enum.GetValues<Sometimes>()
            |> Array.filter (fun s -> not (List.contains s reached))

        printfn ""

        printfn
            "total: %s states in %.1f s, %s of them in %d configurations of which all were seen"
            (states.ToString "N0")
            seconds
            (exhausted.ToString "N0")
            (outcomes |> List.filter _.IsExhausted |> List.length)

        for property in Properties.always do
            let name = property.Substring(0, property.IndexOf ':')

            let verdict =
                if
                    broken
                    |> List.exists (fun o -> o.Broken.StartsWith(name, StringComparison.Ordinal))
                then
                    "BROKEN"
                else
                    "held"

            printfn "always    %-7s %s" verdict property

        printfn "sometimes reached: %s" (names (List.sort reached))

        if missed.Length > 0 then
            printfn "sometimes NEVER reached: %s" (names missed)

        let isTooLittle =
            order.LeastStates > 0L && (exhausted < order.LeastStates || not cut.IsEmpty)

        if not cut.IsEmpty then
            printfn "cut short: %s" (String.concat ", " cut)

        if isTooLittle then
            printfn "not all of at least %s states were seen" (order.LeastStates.ToString "N0")

        order.Json |> Option.iter (fun file -> write file outcomes missed)

        if not broken.IsEmpty || (missed.Length > 0 && not order.IsPart) || isTooLittle then
            1
        else
            0

    let list () =
        for s in Configurations.all do
            printfn "%-14s %s" s.Name s.About
            printfn "%-14s %s" "" (bounds s)

        printfn ""

        for fault in KillTable.faults do
            printfn "%-34s %s" fault.Name fault.About
