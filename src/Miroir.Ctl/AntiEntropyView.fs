/// Anti-entropy in words and tables.
module Miroir.Ctl.AntiEntropyView

open System
open Miroir.Core
open Miroir.Ports
open Miroir.Scripting

/// Documents of a pass that are shown, but for a plan's, which are all shown.
let private maxShown = 20

let private level (divergences: int64) =
    ReshardView.level Thresholds.divergences (float divergences)

/// "2 Missing, 1 Stale"; what only was on its way, or was written between two looks, behind it.
let private kinds (counts: DivergenceCounts) =
    [
        counts.Missing, "Missing"
        counts.Stale, "Stale"
        counts.LacksTombstone, "LacksTombstone"
        counts.Corrupt, "Corrupt"
        counts.InFlight, "in flight"
        counts.Hot, "looked at once more"
    ]
    |> List.filter (fun (n, _) -> n <> 0L)
    |> List.map (fun (n, kind) -> $"{Text.count n} {kind}")
    |> String.concat ", "

let private divergences (counts: DivergenceCounts) =
    let detail =
        match kinds counts with
        | "" -> ""
        | kinds -> $" ({kinds})"

    $"{Text.count counts.Divergences}{detail}{level counts.Divergences}"

let private plural (n: int64) (one: string) (many: string) =
    if n = 1L then $"1 {one}" else $"{Text.count n} {many}"

let private copies (shard: ShardPassView) =
    plural (int64 shard.Copies) "copy" "copies"

let private elapsed (pass: PassView) =
    Text.duration (max 0L (pass.FinishedAtUnixMs - pass.StartedAtUnixMs))

let private remaining (pass: PassView) =
    if pass.RemainingMs < 0L then
        "unknown"
    else
        Text.duration pass.RemainingMs

/// How far it is, without the time: of two looks with the same, one is enough.
let progress (pass: PassView) =
    $"Shards: {pass.Shards.Length} of {pass.ShardsTotal}  divergences: {Text.count pass.Divergences.Divergences}  repaired: {Text.count pass.Repaired}"

let progressWithTime (pass: PassView) =
    $"{progress pass}  time left: {remaining pass}"

let private shards (context: Context) (pass: PassView) =
    let isScrub = pass.Kind = "scrub"

    context.Output.Table(
        [
            "SHARD"
            "COPIES"
            "STATE"
            "ENTRIES"
            "COMPARED"
            "DIVERGENCES"
            "REPAIRED"
            if isScrub then
                "DRIFTED LEAVES"
            "PURGED"
            "BYTES READ"
            "ROUND TRIPS"
            "TIME"
            "CERTIFIED"
            "PROBLEM"
        ],
        [
            for s in pass.Shards ->
                [
                    $"{s.Generation}/{s.Shard}"
                    copies s
                    s.State
                    Text.count s.Entries
                    Text.count s.Compared
                    Text.dash (kinds s.Divergences)
                    Text.count s.Repaired
                    if isScrub then
                        Text.count s.DriftedLeaves
                    Text.count s.Purged
                    Text.bytes s.BytesRead
                    Text.count s.RoundTrips
                    Text.duration s.ElapsedMs
                    (if s.IsCertified then "yes" else "no")
                    Text.dash s.Problem
                ]
        ]
    )

let private documents (context: Context) (pass: PassView) =
    let shown =
        if pass.Kind = "dry-run" then
            pass.Documents
        else
            Array.truncate maxShown pass.Documents

    if shown.Length > 0 then
        context.Output.Table(
            [ "KEY"; "SHARD"; "KIND"; "VERSION"; "KEEP"; "LACKING"; "OUTCOME" ],
            [
                for d in shown ->
                    [
                        d.Key
                        $"{d.Generation}/{d.Shard}"
                        d.Kind
                        d.Version
                        Text.dash d.Keep
                        Text.dash (String.Join("; ", d.Lacking))
                        d.Outcome
                    ]
            ]
        )

    if shown.Length < pass.Documents.Length then
        context.Output.Line $"  and {pass.Documents.Length - shown.Length} more, which --json has"

    let listed = int64 pass.Documents.Length

    if listed < pass.Divergences.Divergences then
        context.Output.Line
            $"  listed are the first {Text.count listed} of {Text.count pass.Divergences.Divergences} documents"

/// Why a pass can't speak for all that it was asked.
let private unseen (pass: PassView) =
    [
        if pass.Status <> "Done" then
            "the pass did not end well"
        match AntiEntropy.notCompared pass with
        | 0 -> ()
        | n ->
            let shards = plural (int64 n) "shard" "shards"
            $"{shards} not compared"
    ]
    |> String.concat "; "

let private loss (pass: PassView) =
    match AntiEntropy.dataLoss pass with
    | Some n -> $"{n} documents"
    | None -> $"unknown (at least {pass.Divergences.Divergences} documents; {unseen pass})"

/// A pass that has ended; its exit status.
let ended (context: Context) (pass: PassView) : int =
    let out = context.Output
    out.Json pass
    shards context pass
    documents context pass
    out.Line $"Divergences: {divergences pass.Divergences}"
    out.Line $"Repaired: {Text.count pass.Repaired}"

    match pass.Kind with
    | "verify" -> ()
    | "dry-run" ->
        match AntiEntropy.unplanned pass with
        | 0 -> ()
        | n -> out.Line $"Without a repair: {n} documents"
    | _ ->
        match AntiEntropy.unrepaired pass with
        | 0L -> ()
        | n -> out.Line $"Not repaired: {n} documents"

    out.Line $"Bytes read: {Text.bytes pass.BytesRead}"
    let trips = pass.Shards |> Array.sumBy _.RoundTrips
    out.Line $"Round trips: {Text.count trips}"
    out.Line $"Time: {elapsed pass}"

    match unseen pass with
    | "" -> ()
    | why -> out.Line $"Incomplete: {why}"

    if pass.Reason <> "" then
        out.Line $"Reason: {pass.Reason}"

    out.Line $"Status: {pass.Status}"

    if pass.Kind = "verify" then
        out.Line $"Data loss: {loss pass}"

    if AntiEntropy.isClean pass then Exit.Done else Exit.Refused

/// One line.
let private record (pass: PassView) =
    [
        string pass.Id
        Text.time pass.FinishedAtUnixMs
        pass.Index
        pass.Kind
        pass.Status
        $"{pass.Shards.Length} of {pass.ShardsTotal} shards"
        $"divergences {divergences pass.Divergences}"
        $"repaired {Text.count pass.Repaired}"
        $"read {Text.bytes pass.BytesRead}"
        elapsed pass
        // A reason of several lines would break the one that its record has.
        if pass.Reason <> "" then
            pass.Reason.ReplaceLineEndings " "
    ]
    |> String.concat "  "

let private shardRecord (s: ShardPassView) =
    [
        $"  {s.Generation}/{s.Shard}"
        copies s
        s.State
        $"compared {Text.count s.Compared} of {Text.count s.Entries}"
        match kinds s.Divergences with
        | "" -> "divergences 0"
        | kinds -> $"divergences {Text.count s.Divergences.Divergences} ({kinds})"
        $"repaired {Text.count s.Repaired}"
        $"read {Text.bytes s.BytesRead}"
        $"round trips {Text.count s.RoundTrips}"
        Text.duration s.ElapsedMs
        if s.Problem <> "" then
            s.Problem.ReplaceLineEndings " "
    ]
    |> String.concat "  "

/// One line a pass, the newest last, and nothing behind it.
let history (context: Context) (passes: PassView[]) (isDetailed: bool) =
    for pass in passes do
        context.Output.Line(record pass)

        if isDetailed then
            for shard in pass.Shards do
                context.Output.Line(shardRecord shard)

let private threshold () =
    let struct (healthy, warning, critical) = Thresholds.columns Thresholds.divergences
    $"{healthy} healthy, {warning} warning, {critical} critical"

let status (context: Context) (view: AntiEntropyView) =
    let out = context.Output
    let onOff = if view.Enabled then "on" else "off"
    out.Line $"Anti-entropy: {onOff}"

    let repairs = if view.AutoRepair then "repairs" else "reports only"

    out.Line $"Schedule: {Text.dash view.Schedule} ({repairs})"
    out.Line $"Next run: {Text.time view.NextRunAtUnixMs}"

    for pass in view.Running do
        out.Line $"Running: ID={pass.Id}, index {pass.Index}, {pass.Kind}  {progressWithTime pass}"

    if view.Last.Length = 0 then
        out.Line "Last run: never"

    for pass in view.Last do
        out.Line $"Last run: {record pass}"

    out.Line $"Divergences: {divergences view.Totals}"
    out.Line $"Threshold: {threshold ()}"
    out.Line $"Repaired: {Text.count view.Repaired}"
    out.Line $"Bytes read: {Text.bytes view.BytesRead}"
