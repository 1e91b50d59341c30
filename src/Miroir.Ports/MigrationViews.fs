namespace Miroir.Ports

open System
open Miroir.Core
open Miroir.Core.Cutover

/// A migration's state as people and scripts are shown it.
[<RequireQualifiedAccess>]
module MigrationViews =

    let private certificate (c: Certificate) : CertificateView = {
        TargetShard = $"{c.Target.Generation}/{c.Target.Shard}"
        Nodes = c.Holders |> Array.map (fun (r, _) -> r.Node)
        Incarnations = c.Holders |> Array.map (fun (_, incarnation) -> incarnation.ToString "D")
        Sources = c.Sources |> Array.map (fun (r, _) -> r.Node)
        JointEpoch = c.JointEpoch
        Entries = c.Entries
        Copied = c.Copied
        Digest = string c.Digest
        Watermark = string c.Watermark
    }

    /// What a shard waits for or does, for a person.
    let private describe (state: State) (move: Move) : string =
        let trouble =
            Seq.append (Move.takers move) move.Owners
            |> Seq.collect (fun m -> m.Chores |> Map.values |> Seq.map (fun c -> m.Replica.Node, c))
            |> Seq.tryFind (fun (_, c) -> c.Failures > 0)

        match trouble, move.Step with
        | Some(node, chore), step when step < Finished -> $"{step} ({node}: {chore.LastError})"
        | _, Ready when move.Held -> "Ready (held until cutover is said again)"
        | _, Ready when not state.CutoverOrdered -> "Ready (waiting for cutover)"
        | _, Holding when move.Certificates.Length < move.Targets.Length -> "Holding (waiting for anti-entropy)"
        | _, step -> string step

    let private shard (state: State) (totals: Func<ShardId, int64>) (move: Move) : ShardMoveView =
        let route = state.Routes |> Map.tryFind move.Source

        {
            Shard = move.Source.Shard
            State = describe state move
            Stage =
                match route with
                | Some r -> string r.Stage
                | None -> "Retired"
            Epoch =
                match route with
                | Some r -> r.Epoch
                | None -> 0L
            Attempt = move.Attempt
            Owners = move.Owners |> Array.map _.Replica.Node
            Targets =
                move.Targets
                |> Array.map (fun t -> $"""{t.Shard.Generation}/{t.Shard.Shard} on {String.Join(", ", t.Nodes)}""")
            DocumentsCopied = Move.takers move |> Array.sumBy _.Copied
            DocumentsTotal = totals.Invoke move.Source
            DeltaCompared = move.DeltaCompared
            DeltaCopied = move.DeltaCopied
            DrainMs = move.DrainMs
            OpenWrites = move.OpenWrites.Count
            OldestWriteMs = move.OpenWrites.OldestMs
            Reason = move.Reason
            Certificates = move.Certificates |> Array.map certificate
        }

    /// `totals`: documents of a source shard when the migration began; -1 where that is not known.
    let ofState (state: State) (totals: Func<ShardId, int64>) : MigrationView =
        let plan = state.Plan
        let shards = state.Moves |> Array.map (shard state totals)

        let status, reason =
            match state.Status with
            | Running -> "Running", ""
            | Paused -> "Paused", ""
            | Aborting why -> "Aborting", why
            | Completing -> "Running", ""
            | Complete -> "Complete", ""
            | Aborted why -> "Aborted", why
            | Deposed -> "Failed", "another coordinator leads now: ask that one"

        {
            Id = plan.Migration
            Index = plan.Index.Uid
            From = plan.Index.Layout
            To = plan.To
            Phase = Phase.ofState state
            Status = status
            Reason = reason
            CutoverRequested = state.CutoverOrdered
            ReadyForCutover =
                state.Status = Running
                && (not state.CutoverOrdered
                    || state.Moves |> Array.exists (fun m -> m.Held && m.Step = Ready))
                // Where some fell back, the others wait in Switched for them.
                && state.Moves |> Array.forall (fun m -> m.Step >= Ready && m.Step <= Finished)
            StartedAtUnixMs = state.StartedAtUnixMs
            FinishedAtUnixMs = state.FinishedAtUnixMs
            Throttle = state.Limits.Throttle
            OldNodes = Planning.oldNodes plan.Moves
            NewNodes = Planning.newNodes plan.Moves
            Shards = shards
            DocumentsCopied = shards |> Array.sumBy _.DocumentsCopied
            DeltaCopied = shards |> Array.sumBy _.DeltaCopied
            DataLoss =
                if state.Moves |> Array.forall (fun m -> m.Certificates.Length = m.Targets.Length) then
                    0L
                else
                    -1L
            Warnings = [|
                yield! state.Limits.Warnings

                for move in state.Moves do
                    if move.Leftovers.Length > 0 then
                        yield
                            $"""shard {move.Source.Shard}: could not be deleted on {String.Join(", ", move.Leftovers |> Array.map _.Node)}; 'doctor' finds and reclaims it"""
            |]
            Timeline = [|
                for phase, at, detail in List.rev state.Timeline ->
                    {
                        Phase = phase
                        AtUnixMs = at
                        Detail = detail
                    }
            |]
        }
