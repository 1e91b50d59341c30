module Miroir.Ctl.ReshardCommands

open System
open System.Threading.Tasks
open Argu
open Miroir.Core
open Miroir.Ports
open Miroir.Scripting

let private selector (index: string option) (id: int64 option) : Selector =
    match index, id with
    | _, Some id -> ById id
    | Some index, None -> LatestOf index
    | None, None -> Exit.usage "--index" "is missing; name an index with --index I, or a migration with --migration ID"

let private selected (args: ParseResults<SelectArgs>) =
    selector (args.TryGetResult SelectArgs.Index) (args.TryGetResult SelectArgs.Migration)

let private throttle (value: int) =
    if value < 0 then
        Exit.usage "--throttle" $"expected documents per second, 0 for no limit, not {value}"

    value

let private opening (context: Context) (window: Window) =
    match Window.nextOpening (context.World.Now()) window with
    | ValueSome at -> at.ToString("yyyy-MM-dd HH:mm 'UTC'", Globalization.CultureInfo.InvariantCulture)
    | ValueNone -> "not within three weeks"

let private start (context: Context) (args: ParseResults<ReshardStartArgs>) : Task<int> =
    task {
        let index = args.GetResult ReshardStartArgs.Index
        let shards = args.TryGetResult New_Shards

        match shards with
        | Some n when n < 1 || n > Layout.MaxShards ->
            Exit.usage "--new-shards" $"expected 1 to {Layout.MaxShards}, not {n}"
        | _ -> ()

        let isDryRun = args.Contains Dry_Run

        match args.TryGetResult ReshardStartArgs.Schedule_Window with
        | None -> ()
        | Some name ->
            let window = context.Window("--schedule-window", name)

            if not (isDryRun || args.Contains Force || Window.contains (context.World.Now()) window) then
                Exit.refused
                    "outside_schedule_window"
                    $"it is outside the window {name} ({Window.describe window}), which opens next at {opening context window}; wait, or start all the same with --force"

        let rate = throttle (args.GetResult(ReshardStartArgs.Throttle, 10_000))
        use client = context.Client()

        let! view =
            client.StartReshard(
                {
                    Index = index
                    NewShards = Option.defaultValue 0 shards
                    Throttle = rate
                    DryRun = isDryRun
                    SkipDeltaPass = args.Contains Skip_Delta_Pass
                },
                context.Cancel
            )

        let view = Exit.orFail view
        context.Output.Json view
        ReshardView.started context view isDryRun
        return Exit.Done
    }

let private noLimit = TimeSpan.FromDays 30.0

let private watch (context: Context) (args: ParseResults<SelectArgs>) : Task<int> =
    task {
        use client = context.Client()
        let! first = client.Migration(selected args, context.Cancel)
        let first = Exit.orFail first
        let total = first.Shards |> Array.sumBy _.DocumentsTotal
        let mutable last = ""

        let! ended =
            context.Output.Progress(
                $"Migration {first.Id}",
                total,
                fun report ->
                    let show (view: MigrationView) =
                        report view.DocumentsCopied
                        let line = ReshardView.progress view

                        if line <> last && not context.World.IsTerminal then
                            last <- line
                            context.Output.Line line

                    Migration.follow
                        client
                        (ById first.Id)
                        context.World.PollInterval
                        noLimit
                        Migration.isOver
                        show
                        context.Cancel
            )

        return ReshardView.outcome context (Exit.orFail ended)
    }

let private cutover (context: Context) (args: ParseResults<ReshardCutoverArgs>) : Task<int> =
    task {
        let chosen =
            selector (args.TryGetResult ReshardCutoverArgs.Index) (args.TryGetResult ReshardCutoverArgs.Migration)

        use client = context.Client()
        let! view = client.Cutover(chosen, context.Cancel)
        let view = Exit.orFail view

        if args.Contains No_Wait then
            context.Output.Json view
            context.Output.Line $"Cutover requested: ID={view.Id}"
            return Exit.Done
        else
            // The copy's phases are another command's tale.
            let isCutover (step: PhaseStep) =
                step.Phase <> "ComputingAssignments" && step.Phase <> "DualWriteMigrating"

            let printer =
                ReshardView.PhasePrinter(context, (fun view -> view.Timeline |> Array.filter isCutover))

            let! ended =
                Migration.follow
                    client
                    (ById view.Id)
                    context.World.PollInterval
                    noLimit
                    Migration.isOver
                    printer.Show
                    context.Cancel

            return ReshardView.outcome context (Exit.orFail ended)
    }

let private told (context: Context) (call: Task<Result<MigrationView, ClientError>>) (said: string) : Task<int> =
    task {
        let! view = call
        let view = Exit.orFail view
        context.Output.Json view
        context.Output.Line $"{said}: ID={view.Id}"
        context.Output.Line $"Phase: {view.Phase}"
        context.Output.Line $"Status: {view.Status}"
        return Exit.Done
    }

let private list (context: Context) : Task<int> =
    task {
        use client = context.Client()
        let! migrations = client.Migrations context.Cancel
        let migrations = Exit.orFail migrations
        context.Output.Json { Results = migrations }

        context.Output.Table(
            [ "ID"; "INDEX"; "SHARDS"; "PHASE"; "STATUS"; "COPIED"; "DELTA"; "DATA LOSS" ],
            [
                for m in migrations ->
                    [
                        string m.Id
                        m.Index
                        $"{m.From.ShardCount} to {m.To.ShardCount}"
                        m.Phase
                        m.Status
                        Text.count m.DocumentsCopied
                        Text.count m.DeltaCopied
                        ReshardView.loss m
                    ]
            ]
        )

        return Exit.Done
    }

let private set (context: Context) (args: ParseResults<ReshardSetArgs>) : Task<int> =
    let chosen =
        selector (args.TryGetResult ReshardSetArgs.Index) (args.TryGetResult ReshardSetArgs.Migration)

    let rate = args.TryGetResult ReshardSetArgs.Throttle |> Option.map throttle

    let drain =
        args.TryGetResult Drain_Timeout
        |> Option.map (fun text ->
            match Units.parseDuration text with
            | Ok duration when duration >= TimeSpan.FromMilliseconds 100.0 && duration <= TimeSpan.FromDays 1.0 ->
                int duration.TotalMilliseconds
            | Ok _ -> Exit.usage "--drain-timeout" $"expected 100ms to 1d, not {text}"
            | Error why -> Exit.usage "--drain-timeout" why)

    if rate.IsNone && drain.IsNone then
        Exit.usage "--throttle" "is missing; say what to change with --throttle N or --drain-timeout 60s"

    task {
        use client = context.Client()
        return! told context (client.Set(chosen, rate, drain, context.Cancel)) "Migration changed"
    }

let private checkWindow (context: Context) (name: string) : Task<int> =
    let window = context.Window("--schedule-window", name)
    let isInside = Window.contains (context.World.Now()) window

    context.Output.Json {|
        Window = name
        Hours = Window.describe window
        IsInside = isInside
        NextOpening = Window.nextOpening (context.World.Now()) window |> ValueOption.toNullable
    |}

    context.Output.Line $"""{if isInside then "Inside" else "Outside"} {name} ({Window.describe window})"""

    if not isInside then
        context.Output.Line $"Opens next: {opening context window}"

    Task.FromResult(if isInside then Exit.Done else Exit.Refused)

let private config (context: Context) (key: string option) : Task<int> =
    let config = context.Config()

    let entries =
        match key with
        | None -> Config.entries config
        | Some key ->
            match Config.find key config with
            | [] ->
                let hint =
                    match Config.suggest key config with
                    | [] -> "leave --show out to see all of them"
                    | near -> "did you mean " + String.Join(" or ", near) + "?"

                Exit.usage "--show" $"there is no key {key}; {hint}"
            | found -> found

    context.Output.Json {
        Results = [|
            for e in entries ->
                {|
                    Key = e.Key
                    Value = e.Text
                    Origin = string e.Origin
                |}
        |]
    }

    for entry in entries do
        context.Output.Line $"{entry.Key} = {entry.Text}  ({entry.Origin})"

    for warning in Config.warnings config do
        context.Output.Note $"Warning: {warning}"

    Task.FromResult Exit.Done

let private simple
    (context: Context)
    (args: ParseResults<SelectArgs>)
    (call: MiroirClient -> Selector -> Task<Result<MigrationView, ClientError>>)
    said
    : Task<int> =
    let chosen = selected args

    task {
        use client = context.Client()
        return! told context (call client chosen) said
    }

/// `reshard revert` and `routing revert`.
let revert (context: Context) (args: ParseResults<RevertArgs>) : Task<int> =
    let chosen =
        selector (args.TryGetResult RevertArgs.Index) (args.TryGetResult RevertArgs.Migration)

    let shards = args.TryGetResult RevertArgs.Shards |> Option.map Arguments.shardSpan

    task {
        use client = context.Client()

        let! view =
            client.Revert(chosen, shards, args.Contains RevertArgs.Force, context.Cancel)

        let view = Exit.orFail view
        context.Output.Json view
        context.Output.Line $"Migration reverting: ID={view.Id}"
        context.Output.Line $"Phase: {view.Phase}"
        context.Output.Line $"Status: {view.Status}"
        // Says whether it is lossless.
        context.Output.Line $"Reason: {view.Reason}"
        return Exit.Done
    }

let run (context: Context) (args: ParseResults<ReshardArgs>) : Task<int> =
    match args.GetSubCommand() with
    | Start args -> start context args
    | Watch args -> watch context args
    | Status args ->
        let chosen =
            selector (args.TryGetResult ReshardStatusArgs.Index) (args.TryGetResult ReshardStatusArgs.Migration)

        let showDelta =
            match args.TryGetResult ReshardStatusArgs.Show with
            | None -> false
            | Some "delta" -> true
            | Some other -> Exit.usage "--show" $"expected delta, not \"{other}\""

        task {
            use client = context.Client()
            let! view = client.Migration(chosen, context.Cancel)
            let view = Exit.orFail view
            context.Output.Json view
            ReshardView.status context view showDelta
            return Exit.Done
        }
    | Cutover args -> cutover context args
    | Abort args -> simple context args (fun c s -> c.Abort(s, context.Cancel)) "Migration aborting"
    | Pause args -> simple context args (fun c s -> c.Pause(s, context.Cancel)) "Migration paused"
    | Resume args -> simple context args (fun c s -> c.Resume(s, context.Cancel)) "Migration resumed"
    | Revert args -> revert context args
    | ReshardArgs.List -> list context
    | Set args -> set context args
    | Check_Window args -> checkWindow context (args.GetResult CheckWindowArgs.Schedule_Window)
    | ReshardArgs.Config args -> config context (args.TryGetResult ReshardConfigArgs.Show)
