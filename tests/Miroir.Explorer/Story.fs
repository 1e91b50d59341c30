namespace Miroir.Explorer

open Miroir.Core
open Miroir.Core.Cutover

/// What happens, in plain words.
[<RequireQualifiedAccess>]
module Story =

    let document (d: Document | null) =
        match d with
        | null -> "nothing"
        | d when d.IsTombstone -> $"a tombstone of version {d.Version}"
        | d ->
            let marks = Encode.marks d

            let names =
                [ 0..7 ]
                |> List.filter (fun i -> marks &&& (1 <<< i) <> 0)
                |> List.map string
                |> String.concat "+"

            $"version {d.Version} with mark {names}"

    let marks (value: int) =
        if value = 0 then
            "no document"
        else
            let names =
                [ 0..7 ]
                |> List.filter (fun i -> value &&& (1 <<< i) <> 0)
                |> List.map string
                |> String.concat "+"

            $"mark {names}"

    let route (r: Route) =
        let targets =
            [
                for t in r.Targets ->
                    let nodes = String.concat "," t.Nodes
                    $" -> {t.Shard}({nodes})"
            ]
            |> String.concat ""

        let owners = String.concat "," r.Owners
        $"{r.Shard} epoch {r.Epoch} {r.Stage} ({owners}){targets} writer {r.Writer.Router} term {r.Writer.Term}"

    let operation (setting: Setting) (i: int) =
        let s = setting.Operations[i]
        let key = setting.Keys[s.Key].Text

        match s.Kind with
        | Put -> $"operation {i} (replace {key} by mark {s.Mark})"
        | Merge -> $"operation {i} (add mark {s.Mark} to {key})"
        | Delete -> $"operation {i} (delete {key})"
        | Read -> $"operation {i} (read {key})"

    let action (a: Action) =
        match a with
        | Publish(changes, _) ->
            let all =
                [
                    for c in changes ->
                        match c.Route with
                        | Some r -> route r
                        | None -> $"{c.Shard} taken out"
                ]
                |> String.concat "; "

            $"publishing [{all}]"
        | Inspect _ -> "asking what is published"
        | MakeStore(node, c) -> $"making store {c.Store} on {node} under {c.Stamp}"
        | RaiseBarrier(node, c) -> $"raising {c.Stamp} on {node}"
        | Reconcile(node, c) -> $"the {c.Mode} to {node}:{c.Store} under {c.Stamp}"
        | DropStore(node, c) -> $"dropping {c.Store} on {node} under {c.Stamp}"
        | AskWriter(router, stamp) -> $"asking {router} for writes from before {stamp}"
        | Cancel _ -> "stopping an effect"
        | Wait _ -> "a pause"

    let answer (a: Answer) =
        match a with
        | MakeAnswered r -> $"{r}"
        | BarrierAnswered r -> $"{r}"
        | DropAnswered r -> $"{r}"
        | ReconcileAnswered(Progress _) -> "done"
        | ReconcileAnswered(SourceFailed(node, _)) -> $"source {node} failed"
        | ReconcileAnswered r -> $"{r}"
        | Inspected found ->
            let all =
                [
                    for f in found ->
                        match f with
                        | Some r -> route r
                        | None -> "none"
                ]
                |> String.concat "; "

            $"published is [{all}]"
        | other -> $"{other}"

    let putReply (r: PutReply) =
        match r with
        | Applied _ -> "applied"
        | Superseded v -> $"superseded by {v}"
        | StaleEpoch(epoch, _) -> $"stale: epoch {epoch} is known"
        | NotServing -> "not serving"
        | Refused _ -> "refused"

    /// What is on its way.
    let cargo (setting: Setting) (c: Cargo) =
        let waiting sequence =
            if sequence = 0L then " (nobody waits for it)" else ""

        match c with
        | PutRequest(op, run, stamp, replica, d) ->
            $"run {run} of the put of operation {op} ({document d}, under {stamp}) to {replica}"
        | PutAnswer(op, run, _, replica, reply) ->
            $"the answer of {replica} to run {run} of the put of operation {op}: {putReply reply}"
        | Request(sequence, a) -> action a + waiting sequence
        | Carried(sequence, target, command, _, documents) ->
            let all = documents |> Array.map document |> String.concat ", "

            $"what the {command.Mode} to {target} under {command.Stamp} read ({all})"
            + waiting sequence
        | Reply(sequence, a) -> answer a + waiting sequence

    /// What became of an operation in a step, if anything.
    let became (setting: Setting) (before: World) (after: World) : string list = [
        for i in 0 .. after.Ops.Length - 1 do
            if after.Ops[i].Phase <> before.Ops[i].Phase then
                let op = after.Ops[i]
                let name = operation setting i

                match op.Phase with
                | Phase.Acknowledged -> $"{name} is ACKNOWLEDGED: {document op.Document}"
                | Phase.Unknown -> $"{name} ends UNKNOWN"
                | Phase.Answered -> $"{name} is ANSWERED: {marks op.Value}"
                | Phase.Putting -> $"{name} puts {document op.Document}"
                | Phase.Orphaned -> $"{name}: its writer's term has ended"
                | phase -> $"{name} is now {phase}"

        for s in 0 .. after.Published.Length - 1 do
            if after.Published[s] <> before.Published[s] then
                match after.Published[s] with
                | Some r -> $"published: {route r.Route}"
                | None -> $"published: {setting.Shards[s]} is no more"
    ]
