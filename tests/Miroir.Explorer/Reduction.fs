namespace Miroir.Explorer

open Miroir.Core
open Miroir.Core.Cutover

/// States in which the same can still happen are made one: what nothing looks at any more is forgotten. (What is on its
/// way is the network's to tidy.)
[<RequireQualifiedAccess>]
module Reduction =

    let private isLast (setting: Setting) (w: World) = w.Migrations >= setting.Goals.Length

    /// No migration is under way, and none follows.
    let private isSettled (setting: Setting) (w: World) =
        w.Coordinator.IsEnded && isLast setting w

    /// The source has retired, or the migration is being undone: from here it only goes on to its end.
    let private isDecided (w: World) =
        w.Coordinator.State.Moves
        |> Array.forall (fun m ->
            match m.Step with
            | Closing
            | Cleaning
            | Finished
            | Undoing
            | Clearing
            | Undone -> true
            | _ -> false)

    /// Faults that have no occasion any more.
    let private left (setting: Setting) (w: World) : World =
        let b = w.Left

        if obj.ReferenceEquals(b, Budget.None) then
            w
        elif isSettled setting w then
            let isQuiet = w.Ops |> Array.forall _.IsEnded

            if not isQuiet && b.Crashes + b.Aborts + b.Pauses + b.Drains + b.Losses = 0 then
                w
            else
                let unless n = if isQuiet then 0 else n

                {
                    w with
                        Left = {
                            Budget.None with
                                Writers = b.Writers
                                Timeouts = unless b.Timeouts
                                Delays = unless b.Delays
                                Duplicates = unless b.Duplicates
                                Deadlines = unless b.Deadlines
                        }
                }
        elif b.Aborts + b.Losses > 0 && isLast setting w && isDecided w then
            {
                w with
                    Left = {
                        b with
                            Aborts = (if Mutants.abortAfterRetirement () then b.Aborts else 0)
                            Losses = (if setting.Owners.Length >= 3 then b.Losses else 0)
                    }
            }
        else
            w

    let private areSame (a: RouteRef option[]) (b: RouteRef option[]) =
        Array.forall2
            (fun (x: RouteRef option) (y: RouteRef option) ->
                match x, y with
                | None, None -> true
                | Some x, Some y -> obj.ReferenceEquals(x, y) || x.Print = y.Print
                | _ -> false)
            a
            b

    /// A bystander's table is taken for what is published.
    let private bystanders (setting: Setting) (w: World) : World =
        let mutable w = w

        for r in 1 .. w.Routers.Length - 1 do
            if
                Knowledge.isBystander setting w r
                && not (areSame w.Routers[r].Known w.Published)
            then
                w <- Edit.withRouter w r (RouterState(w.Published, w.Routers[r].Writers))

        w

    /// What a barrier told of and every router knows, or knows better, is news to none.
    let private told (setting: Setting) (w: World) : World =
        let mutable w = w

        for n in 0 .. w.Nodes.Length - 1 do
            let node = w.Nodes[n]

            for s in 0 .. node.Told.Length - 1 do
                match w.Nodes[n].Told[s] with
                | Some route when not (Knowledge.isNews setting w s route.Epoch) ->
                    let node = w.Nodes[n]
                    w <- Edit.withNode w n (NodeState(node.Barriers, Array.updateAt s None node.Told, node.Slots))
                | _ -> ()

        w

    /// Where a later version of the key was acknowledged, that the earlier one is held follows.
    let private acknowledged (setting: Setting) (w: World) : World =
        let mutable w = w

        for i in 0 .. w.Ops.Length - 1 do
            match w.Ops[i].Phase, w.Ops[i].Document with
            | Phase.Acknowledged, NonNull mine ->
                let isCovered =
                    w.Ops
                    |> Array.exists (fun other ->
                        match other.Phase, other.Document with
                        | Phase.Acknowledged, NonNull theirs ->
                            theirs.Key.Equals(box mine.Key) && Versions.isLater theirs.Version mine.Version
                        | _ -> false)

                if isCovered then
                    w <- Edit.withOp w i (Operations.forgotten w.Ops[i])
            | _ -> ()

        w

    let apply (setting: Setting) (w: World) : World =
        let coordinator = Coordination.reduced w.Coordinator

        // What is on its way is judged by the faults that are left.
        (if obj.ReferenceEquals(coordinator, w.Coordinator) then
             w
         else
             { w with Coordinator = coordinator })
        |> left setting
        |> Network.tidy setting
        |> bystanders setting
        |> told setting
        |> acknowledged setting
