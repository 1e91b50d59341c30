namespace Miroir.Explorer

open Miroir.Core
open Miroir.Core.Cutover

/// What routers, and the operations of their clients, may do next.
[<RequireQualifiedAccess>]
module Clients =

    let private pickRoute (setting: Setting) (router: RouterState) (key: int) : int =
        // As the table resolves it: old layouts first, and on to the targets where they have retired.
        let hash = setting.Keys[key].Hash

        router.Known
        |> Array.tryFindIndex (fun known ->
            match known with
            | Some r -> r.Route.Stage <> Retired && r.Route.Range.Contains hash
            | None -> false)
        |> Option.defaultValue -1

    let private isQueueFree (w: World) (setting: Setting) (except: int) r s term key =
        let mutable free = true

        for j in 0 .. w.Ops.Length - 1 do
            let op = w.Ops[j]

            if
                j <> except
                && op.IsInQueue
                && op.Router = r
                && op.Shard = s
                && op.Term = term
                && setting.Operations[j].Key = key
            then
                free <- false

        free

    let ofRouter (setting: Setting) (w: World) (r: int) (emit: bool -> (unit -> string) -> World -> unit) =
        let router = w.Routers[r]
        let name = setting.Routers[r]

        let isNews =
            Array.exists2
                (fun (known: RouteRef option) (published: RouteRef option) ->
                    match known, published with
                    | None, None -> false
                    | Some k, Some p -> k.Print <> p.Print
                    | _ -> true)
                router.Known
                w.Published

        if isNews then
            let mutable next = w

            for s in 0 .. router.Known.Length - 1 do
                match next.Routers[r].Known[s], w.Published[s] with
                | Some k, Some p when p.Epoch > k.Epoch -> next <- Operations.follow setting next r s (Some p)
                | None, Some p -> next <- Operations.follow setting next r s (Some p)
                | Some _, None -> next <- Operations.follow setting next r s None
                | _ -> ()

            emit false (fun () -> $"router {name} learns what is published") next

        for s in 0 .. router.Writers.Length - 1 do
            match router.Writers[s] with
            | Some({ Activation = Some activation } as writer) ->
                for struct (replica, command) in Activation.outstanding activation do
                    let n = setting.NodeIndex replica.Node
                    let struct (after, reply) = Nodes.raise' setting n w.Nodes[n] command
                    let now = Activation.replied activation replica command reply

                    let next =
                        Edit.withWriter
                            (Edit.withNode w n after)
                            r
                            s
                            (Some {
                                writer with
                                    Activation = (if now.IsActive then None else Some now)
                            })

                    emit
                        false
                        (fun () ->
                            $"router {name}, the new writer of {setting.Shards[s]}, raises {command.Stamp} on {replica}: {reply}")
                        next
            | _ -> ()

    /// The router that issued the put hands it to the one that writes for its key now, as far as it knows.
    let private ofHandOver (setting: Setting) (w: World) (i: int) (s: int) (serving: Route) emit =
        let op = w.Ops[i]

        for r in 0 .. w.Routers.Length - 1 do
            if
                Inspection.mayHandOver setting.Routers[op.Router] 1L serving
                && serving.Writer.Is(setting.Routers[r], 1L)
            then
                match w.Routers[r].Known[s], w.Routers[r].Writers[s], op.Document with
                | Some theirs, Some { Activation = None; Term = term }, NonNull issued when
                    Inspection.mayTakeOver issued.Version theirs.Route
                    && isQueueFree w setting i r s term setting.Operations[i].Key
                    ->
                    emit
                        false
                        (fun () ->
                            $"{Story.operation setting i} is handed to {setting.Routers[r]}, writer of term {term}")
                        (Operations.inspect setting w i r s)
                | _ -> ()

    let ofOperation (setting: Setting) (w: World) (i: int) (emit: bool -> (unit -> string) -> World -> unit) =
        let op = w.Ops[i]
        let script = setting.Operations[i]
        let left = w.Left
        let name () = Story.operation setting i

        let beginAtWriters () =
            for r in 0 .. w.Routers.Length - 1 do
                let s = pickRoute setting w.Routers[r] script.Key

                if s >= 0 then
                    match w.Routers[r].Writers[s] with
                    | Some { Activation = None; Term = term } when isQueueFree w setting i r s term script.Key ->
                        emit
                            false
                            (fun () ->
                                $"{name ()} begins at writer {setting.Routers[r]} of {setting.Shards[s]}, term {term}")
                            (Operations.beginAtWriter setting w i r s)
                    | _ -> ()

        let ask (state: ReadState) =
            for a in 0 .. state.Replicas.Length - 1 do
                if
                    (match state.Heard[a] with
                     | Heard.Nothing -> true
                     | _ -> false)
                then
                    let replica = state.Replicas[a]
                    let n = setting.NodeIndex replica.Node
                    let stamp = state.Route.Stamp

                    let struct (after, reply) =
                        Nodes.read setting w.Nodes[n] stamp replica.Store script.Key

                    emit
                        false
                        (fun () ->
                            let what =
                                match reply with
                                | Found d -> Story.document d
                                | Absent -> "nothing"
                                | ReadStaleEpoch(epoch, _) -> $"stale: epoch {epoch} is known"
                                | ReadNotServing -> "not serving"
                                | ReadRefused _ -> "refused"

                            $"{name ()} ({op.Phase}) asks {replica} under {stamp}: {what}")
                        (Operations.hearRead
                            setting
                            (Edit.withNode w n after)
                            i
                            (ReadInput.Replied(stamp.Epoch, replica, reply)))

                    if op.Phase = Phase.Reading && left.Timeouts > 0 then
                        emit
                            true
                            (fun () -> $"{name ()} hears nothing of {replica}")
                            (Operations.hearRead
                                setting
                                {
                                    w with
                                        Left = {
                                            left with
                                                Timeouts = left.Timeouts - 1
                                        }
                                }
                                i
                                (ReadInput.NoAnswer(stamp.Epoch, replica)))

            if op.Phase <> Phase.Reading && state.HasFailed then
                emit false (fun () -> $"{name ()} asks again") (Operations.hearRead setting w i ReadInput.Retry)

        match op.Phase with
        | Phase.Idle
        | Phase.ReadAgain when script.Kind = Read ->
            for r in 0 .. w.Routers.Length - 1 do
                if op.Phase = Phase.Idle || op.Router = r then
                    let s = pickRoute setting w.Routers[r] script.Key

                    if s >= 0 then
                        emit
                            false
                            (fun () ->
                                $"{name ()} begins at router {setting.Routers[r]} under {w.Routers[r].Known[s].Value.Route.Stamp}")
                            (Operations.beginReading setting w i r s)
        | Phase.Idle
        | Phase.Waiting -> beginAtWriters ()
        | Phase.Orphaned ->
            let s = pickRoute setting w.Routers[op.Router] script.Key

            if s >= 0 then
                match w.Routers[op.Router].Known[s] with
                | Some known when Inspection.mayInspect setting.Routers[op.Router] 1L known.Route ->
                    match w.Routers[op.Router].Writers[s] with
                    | Some { Activation = None; Term = term } when isQueueFree w setting i op.Router s term script.Key ->
                        emit
                            false
                            (fun () -> $"{name ()} is looked for by the writer of term {term}")
                            (Operations.inspect setting w i op.Router s)
                    | _ -> ()
                | Some known ->
                    emit false (fun () -> $"{name ()}: another router writes now") (Operations.giveUp w i)
                    ofHandOver setting w i s known.Route emit
                | None -> ()
        | _ -> ()

        match op.ReadState with
        | Some state -> ask state
        | None when op.AsksAtWriter ->
            match w.Routers[op.Router].Known[op.Shard] with
            | Some known when op.Route.IsSome && known.Epoch > op.Route.Value.Epoch ->
                emit
                    false
                    (fun () -> $"{name ()} reads afresh under {known.Route.Stamp}")
                    (Operations.readAfresh setting w i known)
            | _ -> ()
        | None -> ()

        match op.WriteState with
        | Some state when op.IsPutting ->
            if state.HasMissing then
                emit
                    false
                    (fun () -> $"{name ()} sends again what was refused or not answered")
                    (Operations.hearPut setting w i WriteInput.Retry)

            if left.Deadlines > 0 then
                emit
                    true
                    (fun () -> $"the time of {name ()} is over")
                    (Operations.hearPut
                        setting
                        {
                            w with
                                Left = {
                                    left with
                                        Deadlines = left.Deadlines - 1
                                }
                        }
                        i
                        WriteInput.Deadline)
        | _ -> ()
