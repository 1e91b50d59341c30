namespace Miroir.Explorer

open Miroir.Core
open Miroir.Core.Cutover

/// What must hold of every state.
[<RequireQualifiedAccess>]
module Properties =

    /// The names of what always holds, for the reader of a result.
    let always = [
        "linearizable: what clients saw of each key has a sequential explanation, a confirmed read of this moment included"
        "held: what was acknowledged is held by a write quorum of the owners that serve the key (nothing lost)"
        "rules: the coordinator's states and effects keep the rules of the stage table (certificates, barriers, deletes)"
        "no wedge: nothing is stuck, and under fair delivery everything comes to an end"
        "total: every step of every machine has an outcome"
    ]

    /// Acknowledged, and no longer on a write quorum of those who serve the key: lost disks apart.
    let private notHeld (setting: Setting) (w: World) (i: int) : string =
        let op = w.Ops[i]
        let key = setting.Operations[i].Key

        match op.Phase, op.Document with
        | Phase.Acknowledged, (NonNull document) ->
            match History.servedBy setting w.Published key with
            | None -> $"held: nobody serves {setting.Keys[key].Text}"
            | Some route ->
                let has (d: Document | null) =
                    match d with
                    | null -> false
                    | d -> not (Versions.isLater document.Version d.Version)

                let holds (r: Replica) =
                    let slot = w.Nodes[setting.NodeIndex r.Node].Slots[setting.ShardIndex r.Store]

                    (slot.IsServing && has slot.Docs[key])
                    || (slot.Lost.Length > 0 && has slot.Lost[key])

                let holders = route.Route.OwnerReplicas |> Array.filter holds

                if holders.Length < Quorum.write route.Route.Owners.Length then
                    $"held: {Story.operation setting i} was acknowledged with version {document.Version}, which is on {holders.Length} of the {route.Route.Owners.Length} owners of {route.Route.Stamp}"
                else
                    ""
        | _ -> ""

    /// What the state breaks, named first; "" where nothing.
    let broken (setting: Setting) (w: World) : string =
        if w.Broken <> "" then
            $"rules: {w.Broken}"
        else
            match w.Coordinator.State.Status with
            | Complete -> Seen.mark Sometimes.Completes
            | Aborted _ -> Seen.mark Sometimes.Aborts
            | _ ->
                if w.Coordinator.State.Moves |> Array.exists (fun m -> m.Attempt > 1) then
                    Seen.mark Sometimes.FallsBack

            let mutable result = ""

            for key in 0 .. setting.Keys.Length - 1 do
                if result = "" then
                    let last =
                        match History.servedBy setting w.Published key with
                        | Some route -> History.confirmedNow setting w.Nodes route.Route key
                        | None -> -1

                    if not (History.isLinearizable setting w.Ops key last) then
                        result <-
                            if last >= 0 && History.isLinearizable setting w.Ops key -1 then
                                $"linearizable: a confirmed read of {setting.Keys[key].Text} would now answer {Story.marks last}, which what clients have seen does not allow"
                            else
                                $"linearizable: no order of the operations on {setting.Keys[key].Text} explains what clients have seen"

            for i in 0 .. w.Ops.Length - 1 do
                if result = "" then
                    result <- notHeld setting w i

            result

    /// Nothing is left to do.
    let isOver (w: World) =
        w.Coordinator.IsEnded
        && w.Ops |> Array.forall (fun op -> op.IsEnded || op.Phase = Phase.Idle)
