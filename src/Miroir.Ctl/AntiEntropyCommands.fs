module Miroir.Ctl.AntiEntropyCommands

open System
open System.Threading.Tasks
open Argu
open Miroir.Core
open Miroir.Ports
open Miroir.Scripting

let private layoutOf (context: Context) (client: MiroirClient) (index: string) : Task<LayoutInfo> =
    task {
        let! cluster = client.Cluster context.Cancel

        match (Exit.orFail cluster).Indexes |> Array.tryFind (fun i -> i.Uid = index) with
        | Some info -> return info.Layout
        | None ->
            return Exit.refused "index_not_found" $"there is no index {index}; `indexes list` shows those there are"
    }

/// Of an index's layouts, the one of this generation: migrations remember those that are gone.
let private layoutNamed
    (context: Context)
    (client: MiroirClient)
    (index: string)
    (inForce: LayoutInfo)
    (generation: int)
    : Task<LayoutInfo> =
    task {
        if generation = inForce.Generation then
            return inForce
        else
            let! migrations = client.Migrations context.Cancel

            let known =
                Exit.orFail migrations
                |> Array.filter (fun m -> m.Index = index)
                |> Array.collect (fun m -> [| m.From; m.To |])
                |> Array.append [| inForce |]
                |> Array.distinct
                |> Array.sortBy _.Generation

            match known |> Array.tryFind (fun l -> l.Generation = generation) with
            | Some layout -> return layout
            | None ->
                let known = String.Join(", ", known |> Array.map (fun l -> string l.Generation))
                return Exit.usage "--layout" $"{index} has no layout {generation}; its layouts are: {known}"
    }

/// The shards of the layout in force that --shards means, and that layout. Where --layout names another, those that
/// its documents are in now: they may have others too.
let private span
    (context: Context)
    (client: MiroirClient)
    (index: string)
    (shards: string option)
    (generation: int option)
    : Task<LayoutInfo * (int * int) option> =
    let typed = shards |> Option.map Arguments.shardSpan

    if typed.IsNone && generation.IsSome then
        Exit.usage "--layout" "says what --shards counts in; add --shards 0-63, or leave it out"

    task {
        let! inForce = layoutOf context client index

        match typed with
        | None -> return inForce, None
        | Some(first, last) ->
            let! counted =
                layoutNamed context client index inForce (Option.defaultValue inForce.Generation generation)

            if last >= counted.ShardCount then
                Exit.usage
                    "--shards"
                    $"layout {counted.Generation} of {index} has shards 0-{counted.ShardCount - 1}, not {last}"

            if counted = inForce then
                return inForce, typed
            else
                let struct (low, high) =
                    Layout.overlapping inForce.ShardCount {
                        Lo = (Layout.range counted.ShardCount first).Lo
                        Hi = (Layout.range counted.ShardCount last).Hi
                    }

                context.Output.Line
                    $"Shards {first}-{last} of layout {counted.Generation} lie in shards {low}-{high} of layout {inForce.Generation}"

                return inForce, Some(low, high)
    }

/// Begins a pass and follows it to its end.
let private complete (context: Context) (client: MiroirClient) (request: PassRequest) : Task<PassView> =
    task {
        let! started = client.StartPass(request, context.Cancel)
        let started = Exit.orFail started
        context.Output.Line $"Pass started: ID={started.Id}"
        let mutable last = ""

        let! ended =
            context.Output.Progress(
                $"Pass {started.Id} ({request.Kind} {request.Index}), shards:",
                int64 started.ShardsTotal,
                fun report ->
                    let show (pass: PassView) =
                        report (int64 pass.Shards.Length)
                        let line = AntiEntropyView.progress pass

                        if line <> last && not context.World.IsTerminal then
                            last <- line
                            context.Output.Line(AntiEntropyView.progressWithTime pass)

                    AntiEntropy.follow
                        client
                        started.Id
                        context.World.PollInterval
                        AntiEntropy.limit
                        show
                        context.Cancel
            )

        return Exit.orFail ended
    }

/// `verify` and `scrub`.
let private pass (context: Context) (kind: string) (args: ParseResults<PassArgs>) : Task<int> =
    task {
        let index = args.GetResult PassArgs.Index
        use client = context.Client()

        let! _, shards =
            span context client index (args.TryGetResult PassArgs.Shards) (args.TryGetResult PassArgs.Layout)

        let! ended = complete context client (AntiEntropy.request kind index shards)
        return AntiEntropyView.ended context ended
    }

/// `run`, with and without --dry-run. `file`: where a dry run's plan goes.
let private repair (context: Context) (args: ParseResults<RepairArgs>) (isDryRun: bool) (file: string option) =
    match file with
    | Some file when (context.World.ReadFile file).IsSome ->
        Exit.usage "--plan" $"there is a file {file} already; name another for the new plan, or remove that one"
    | _ -> ()

    task {
        let index = args.GetResult RepairArgs.Index
        use client = context.Client()

        let! layout, shards =
            span context client index (args.TryGetResult RepairArgs.Shards) (args.TryGetResult RepairArgs.Layout)

        let kind = if isDryRun then "dry-run" else "run"
        let! ended = complete context client (AntiEntropy.request kind index shards)

        // Before the answer is printed: with --json, a file that can't be written is then the one document.
        let written =
            match file with
            | Some file when ended.Status = "Done" ->
                let plan = PlanFile.ofPass layout ended
                context.World.WriteFile file (PlanFile.write plan)
                Some $"Plan: {plan.Documents.Length} documents, in {file}"
            | _ -> None

        let status = AntiEntropyView.ended context ended
        written |> Option.iter context.Output.Line
        return status
    }

/// What is told where a plan has no documents: no pass is begun, since one without a plan repairs whatever differs.
let private nothing (plan: RepairPlan) : PassView = {
    Id = 0L
    Index = plan.Index
    Kind = "apply"
    Status = "Done"
    Reason = "the plan has no documents: there is nothing to repair"
    StartedAtUnixMs = 0L
    FinishedAtUnixMs = 0L
    ShardsTotal = 0
    RemainingMs = 0L
    Shards = [||]
    Documents = [||]
    Divergences = DivergenceCounts.Zero
    Repaired = 0L
    BytesRead = 0L
}

let private readPlan (context: Context) (index: string) (file: string) : RepairPlan =
    match context.World.ReadFile file with
    | None -> Exit.usage "--plan" $"there is no file {file}; `anti-entropy run --dry-run --plan {file}` makes one"
    | Some content ->
        match PlanFile.read file content with
        | Error why -> Exit.usage "--plan" why
        | Ok plan when plan.Index <> index ->
            Exit.usage "--plan" $"{file}: index: the plan is for {plan.Index}, not for {index}"
        | Ok plan -> plan

let private apply (context: Context) (args: ParseResults<RepairArgs>) (file: string) : Task<int> =
    let refuse argument =
        Exit.usage argument "does not go with --plan, which names its documents; leave one of them out"

    if args.Contains RepairArgs.Shards then
        refuse "--shards"

    if args.Contains RepairArgs.Layout then
        refuse "--layout"

    let plan = readPlan context (args.GetResult RepairArgs.Index) file

    task {
        use client = context.Client()
        let! applicable = AntiEntropy.checkPlan client plan context.Cancel
        Exit.orFail applicable

        if plan.Documents.Length = 0 then
            return AntiEntropyView.ended context (nothing plan)
        else
            let! ended =
                complete context client {
                    AntiEntropy.request "run" plan.Index None with
                        Plan = plan.Documents
                }

            return AntiEntropyView.ended context ended
    }

let private status (context: Context) (args: ParseResults<AntiEntropyStatusArgs>) : Task<int> =
    task {
        use client = context.Client()

        let! view =
            client.AntiEntropy(args.TryGetResult AntiEntropyStatusArgs.Index, context.Cancel)

        let view = Exit.orFail view
        context.Output.Json view
        AntiEntropyView.status context view
        return Exit.Done
    }

let private history (context: Context) (args: ParseResults<AntiEntropyHistoryArgs>) : Task<int> =
    task {
        let limit = args.GetResult(AntiEntropyHistoryArgs.Limit, 100)

        if limit < 1 || limit > 1000 then
            Exit.usage "--limit" $"expected 1 to 1000, not {limit}"

        use client = context.Client()

        let! passes =
            client.AntiEntropyHistory(args.TryGetResult AntiEntropyHistoryArgs.Index, limit, context.Cancel)

        let passes = Exit.orFail passes
        context.Output.Json { Results = passes }
        AntiEntropyView.history context passes (args.Contains AntiEntropyHistoryArgs.Detailed)
        return Exit.Done
    }

let run (context: Context) (args: ParseResults<AntiEntropyArgs>) : Task<int> =
    match args.GetSubCommand() with
    | Status args -> status context args
    | History args -> history context args
    | Verify args -> pass context "verify" args
    | Scrub args -> pass context "scrub" args
    | Run args ->
        match args.TryGetResult RepairArgs.Plan, args.Contains RepairArgs.Dry_Run with
        | Some file, false -> apply context args file
        | file, isDryRun -> repair context args isDryRun file
