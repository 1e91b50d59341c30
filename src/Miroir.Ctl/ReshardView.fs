/// A migration in words and tables.
module Miroir.Ctl.ReshardView

open System
open Miroir.Core
open Miroir.Ports
open Miroir.Scripting

let loss (view: MigrationView) =
    if view.DataLoss < 0L then
        "unknown"
    else
        $"{view.DataLoss} documents"

/// Shards of the target layout that hold the migration's documents, and where they come from.
let affected (view: MigrationView) =
    let old = String.Join(", ", view.OldNodes)
    $"Affected shards: {view.To.ShardCount} (old nodes: {old})"

let started (context: Context) (view: MigrationView) (isDryRun: bool) =
    context.Output.Line(
        if isDryRun then
            "Dry run: nothing was started"
        else
            $"Migration started: ID={view.Id}"
    )

    let phase =
        match Array.tryHead view.Timeline with
        | Some step -> step.Phase
        | None -> view.Phase

    context.Output.Line $"Phase: {phase}"
    context.Output.Line(affected view)

    for warning in view.Warnings do
        context.Output.Line $"Warning: {warning}"

/// In brackets what a threshold says of a value; "" where it is healthy.
let level (threshold: Threshold) (value: float) =
    match Thresholds.classify threshold value with
    | Level.Healthy -> ""
    | Level.Warning -> " (warning)"
    | Level.Critical -> " (critical)"

let private shards (context: Context) (view: MigrationView) (showDelta: bool) =
    context.Output.Table(
        [
            "SHARD"
            "STATE"
            "STAGE"
            "EPOCH"
            "ATTEMPT"
            "COPIED"
            "OF"
            "OWNERS"
            "TARGETS"
            if showDelta then
                "DELTA COMPARED"
                "DELTA COPIED"
                "DRAIN"
            "REASON"
        ],
        [
            for s in view.Shards ->
                [
                    string s.Shard
                    s.State
                    s.Stage
                    string s.Epoch
                    string s.Attempt
                    Text.count s.DocumentsCopied
                    Text.count s.DocumentsTotal
                    String.Join(",", s.Owners)
                    String.Join("; ", s.Targets)
                    if showDelta then
                        Text.count s.DeltaCompared
                        Text.count s.DeltaCopied
                        Text.duration s.DrainMs + level Thresholds.drainTime (float s.DrainMs / 1000.0)
                    Text.dash s.Reason
                ]
        ]
    )

let private certificates (context: Context) (view: MigrationView) =
    context.Output.Table(
        [
            "CERTIFICATE"
            "NODES"
            "SOURCES"
            "JOINT EPOCH"
            "ENTRIES"
            "COPIED"
            "DIGEST"
            "WATERMARK"
        ],
        [
            for shard in view.Shards do
                for c in shard.Certificates ->
                    [
                        c.TargetShard
                        String.Join(",", c.Nodes)
                        String.Join(",", c.Sources)
                        string c.JointEpoch
                        Text.count c.Entries
                        Text.count c.Copied
                        c.Digest
                        c.Watermark
                    ]
        ]
    )

let status (context: Context) (view: MigrationView) (showDelta: bool) =
    let out = context.Output
    out.Line $"Migration: ID={view.Id}, index {view.Index}, {view.From.ShardCount} to {view.To.ShardCount} shards"
    out.Line $"Phase: {view.Phase}"

    if view.Reason <> "" then
        out.Line $"Reason: {view.Reason}"

    out.Line $"Documents copied: {Text.count view.DocumentsCopied}"

    out.Line
        $"Documents in the delta pass: {Text.count view.DeltaCopied}{level Thresholds.deltaDocuments (float view.DeltaCopied)}"

    match view.Shards |> Array.filter (fun s -> s.OpenWrites > 0) with
    | [||] -> ()
    | draining ->
        let count = draining |> Array.sumBy _.OpenWrites
        let oldest = draining |> Array.map _.OldestWriteMs |> Array.max

        out.Line
            $"Writes that a drain waits for: {count}, the oldest for {Text.duration oldest} (`writes list --stuck`)"

    for warning in view.Warnings do
        out.Line $"Warning: {warning}"

    shards context view showDelta

    if showDelta then
        certificates context view

    if view.ReadyForCutover && not view.CutoverRequested && view.Status = "Running" then
        out.Line $"The copy is done and writes go to both sides: `reshard cutover --index {view.Index}` is next"

    out.Line $"Status: {view.Status}"
    out.Line $"Data loss: {loss view}"

/// Copied and left, on one line.
let progress (view: MigrationView) =
    let total =
        view.Shards |> Array.sumBy (fun s -> max s.DocumentsTotal s.DocumentsCopied)

    let stages =
        view.Shards
        |> Array.countBy _.Stage
        |> Array.sortBy fst
        |> Array.map (fun (stage, count) -> $"{count} {stage}")
        |> String.concat ", "

    $"Phase: {view.Phase}  copied {Text.count view.DocumentsCopied} of {Text.count total}  shards: {stages}"

/// A phase that has ended, with what it did and how long it took.
let private step (context: Context) (step: PhaseStep) (until: int64) =
    let detail = if step.Detail = "" then "" else $"  {step.Detail}"
    context.Output.Line $"{step.Phase}  {Text.duration (max 0L (until - step.AtUnixMs))}{detail}"

/// Prints each phase once it has ended; remembers which it has printed.
type PhasePrinter(context: Context, from: MigrationView -> PhaseStep[]) =
    let mutable printed = 0

    member _.Show(view: MigrationView) =
        let steps = from view

        while printed < steps.Length - 1 do
            step context steps[printed] steps[printed + 1].AtUnixMs
            printed <- printed + 1

        if Migration.isOver view && printed < steps.Length then
            step context steps[printed] (max steps[printed].AtUnixMs view.FinishedAtUnixMs)
            printed <- printed + 1

let outcome (context: Context) (view: MigrationView) : int =
    context.Output.Json view
    context.Output.Line $"Status: {view.Status}"

    if view.Reason <> "" then
        context.Output.Line $"Reason: {view.Reason}"

    context.Output.Line $"Data loss: {loss view}"
    if view.Status = "Complete" then Exit.Done else Exit.Refused
