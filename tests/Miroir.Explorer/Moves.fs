namespace Miroir.Explorer

open Miroir.Core
open Miroir.Core.Cutover

/// One thing that can happen next: how it is told, whether it is one of the bounded faults, and the world after it.
[<Struct>]
type Successor = {
    Told: unit -> string
    IsFault: bool
    World: World
}

/// Everything that can happen next in a world, always in the same order.
[<RequireQualifiedAccess>]
module Moves =

    let private marker (number: int) =
        Encoder.Of(fun e ->
            e.Byte 2
            e.Num number)

    let private cutoverPrint = marker 0
    let private abortPrint = marker 1
    let private pausePrint = marker 2
    let private resumePrint = marker 3

    let private writerPrint =
        Array.init 16 (fun shard -> Array.init 4 (fun router -> marker (100 + 10 * shard + router)))

    let private isAwaitedTimer (w: World) (sequence: int64) =
        sequence <> 0L
        && w.Coordinator.State.Moves |> Array.exists (fun m -> m.DrainTimer = sequence)

    let private ofFlight (setting: Setting) (w: World) (i: int) (emit: bool -> (unit -> string) -> World -> unit) =
        let left = w.Left
        let rest = Edit.withFlightRemoved w i

        match w.Flights[i].Cargo with
        | PutRequest(op, run, stamp, replica, document) ->
            let n = setting.NodeIndex replica.Node

            let struct (after, reply) =
                Nodes.put setting w.Nodes[n] stamp replica.Store document

            let arrived = Edit.withNode rest n after

            let told () =
                let whose =
                    if op < 0 then
                        "a late put"
                    else
                        $"the put of operation {op}"

                $"{whose} ({Story.document document}, under {stamp}) arrives at {replica}: {Story.putReply reply}"

            let input = WriteInput.Replied(stamp.Epoch, replica, reply)

            if op < 0 || not (Network.isAwaited w.Ops[op] run) then
                emit false told arrived
            else
                match reply with
                | StaleEpoch _ -> Seen.mark Sometimes.LatePutRefused
                | _ -> ()

                emit false told (Operations.hearPut setting arrived op input)

            // What nobody counts is not worth a fault.
            if op >= 0 && Network.isHeard w.Ops[op] run stamp.Epoch then
                if left.Delays > 0 then
                    let late =
                        Edit.addFlights arrived [ Flight(PutAnswer(op, run, stamp.Epoch, replica, reply)) ]

                    emit true (fun () -> told () + "; the answer is on its way") {
                        late with
                            Left = { left with Delays = left.Delays - 1 }
                    }

                if left.Duplicates > 0 then
                    let twice = Edit.withNode w n after

                    emit
                        true
                        (fun () -> told () + "; and will arrive once more")
                        (Operations.hearPut
                            setting
                            {
                                twice with
                                    Left = {
                                        left with
                                            Duplicates = left.Duplicates - 1
                                    }
                            }
                            op
                            input)

                if left.Timeouts > 0 then
                    emit
                        true
                        (fun () -> $"operation {op} hears nothing of {replica} in time")
                        (Operations.hearPut
                            setting
                            {
                                w with
                                    Left = {
                                        left with
                                            Timeouts = left.Timeouts - 1
                                    }
                            }
                            op
                            (WriteInput.NoAnswer(stamp.Epoch, replica)))
        | PutAnswer(op, run, epoch, replica, reply) ->
            emit
                false
                (fun () -> $"the late answer of {replica} reaches operation {op}: {Story.putReply reply}")
                (if Network.isAwaited w.Ops[op] run then
                     Operations.hearPut setting rest op (WriteInput.Replied(epoch, replica, reply))
                 else
                     rest)
        | Request(sequence, action) ->
            let isTimer =
                match action with
                | Wait _ -> true
                | _ -> false

            let isDrain = isTimer && isAwaitedTimer w sequence

            if not isDrain || left.Drains > 0 then
                let struct (arrived, answer) = Network.perform setting rest sequence action

                let told () =
                    match answer with
                    | _ when isDrain -> "the drain timeout runs out"
                    | ValueSome a ->
                        let whose = if sequence = 0L then " (nobody waits for it)" else ""
                        $"{Story.action action}{whose}: {Story.answer a}"
                    | ValueNone -> $"{Story.action action}: sources read"

                match answer with
                | ValueNone -> emit false told arrived
                | ValueSome answer ->
                    let arrived =
                        if isDrain then
                            {
                                arrived with
                                    Left = { left with Drains = left.Drains - 1 }
                            }
                        else
                            arrived

                    emit isDrain told (Network.answered arrived sequence answer)

                    if sequence <> 0L && not isTimer && left.Delays > 0 then
                        emit true (fun () -> told () + "; the answer is on its way") {
                            Edit.addFlights arrived [ Flight(Reply(sequence, answer)) ] with
                                Left = { left with Delays = left.Delays - 1 }
                        }

                if sequence <> 0L && not isTimer && left.Timeouts > 0 then
                    let nothing =
                        match action with
                        | Publish _ -> PublishUnknown ""
                        | _ -> Unreachable ""

                    emit
                        true
                        (fun () -> $"the coordinator hears nothing of {Story.action action}")
                        (Network.answered
                            {
                                w with
                                    Left = {
                                        left with
                                            Timeouts = left.Timeouts - 1
                                    }
                            }
                            sequence
                            nothing)
        | Carried(sequence, target, command, incarnation, documents) ->
            let struct (arrived, answer) =
                Network.putCarried setting rest target command incarnation documents

            emit
                false
                (fun () ->
                    let all = documents |> Array.map Story.document |> String.concat ", "
                    $"the {command.Mode} under {command.Stamp} puts what it read ({all}) into {target}:{command.Store}: {Story.answer answer}")
                (Network.answered arrived sequence answer)
        | Reply(sequence, answer) ->
            emit
                false
                (fun () -> $"a late answer reaches the coordinator: {Story.answer answer}")
                (Network.answered rest sequence answer)

    let private ofCoordinator (setting: Setting) (w: World) (emit: bool -> (unit -> string) -> World -> unit) =
        let left = w.Left
        let c = w.Coordinator

        let order isFault told event print left =
            match Network.observe { w with Left = left } event print with
            | ValueSome next -> emit isFault told next
            | ValueNone -> ()

        if c.IsEnded then
            if w.Migrations < setting.Goals.Length then
                Seen.mark Sometimes.ThereAndBack
                let started = Coordination.start (Beginning.plan setting w w.Migrations)

                emit
                    false
                    (fun () -> $"migration {w.Migrations + 1} begins")
                    (Beginning.withStarted w started (w.Migrations + 1))

            if left.Writers > 0 then
                for s in 0 .. w.Published.Length - 1 do
                    match w.Published[s] with
                    | Some route when route.Route.Stage <> Retired ->
                        for r in 0 .. setting.Routers.Length - 1 do
                            if not (route.Route.Writer.Is(setting.Routers[r], 1L)) then
                                let next = {
                                    route.Route with
                                        Epoch = route.Epoch + 1L
                                        Writer = {
                                            Router = setting.Routers[r]
                                            Incarnation = 1L
                                            Term =
                                                route.Route.Writer.Term
                                                + (if WorldFaults.termNotRaised () then 0L else 1L)
                                        }
                                }

                                emit true (fun () -> $"{setting.Routers[r]} is named the writer of {setting.Shards[s]}") {
                                    w with
                                        Published = Array.updateAt s (Some(RouteRef.Of next)) w.Published
                                        Left = { left with Writers = left.Writers - 1 }
                                }
                    | _ -> ()
        else
            if c.State.Moves |> Array.exists _.Held then
                order false (fun () -> "the operator says cutover again") (Ordered Order.Cutover) cutoverPrint left

            if left.Crashes > 0 then
                Seen.mark Sometimes.CrashRecovered

                emit
                    true
                    (fun () ->
                        "the coordinator is lost; its heir takes the journal up and performs again what is outstanding")
                    {
                        w with
                            Left = { left with Crashes = left.Crashes - 1 }
                            Flights = [|
                                for f in w.Flights do
                                    match f.Cargo with
                                    | Reply _ -> ()
                                    | Request(sequence, action) when sequence <> 0L -> Flight(Request(0L, action))
                                    | Carried(sequence, target, command, incarnation, documents) when sequence <> 0L ->
                                        Flight(Carried(0L, target, command, incarnation, documents))
                                    | _ -> f
                                for effect in Transition.outstanding c.State do
                                    Flight(Request(effect.Sequence, effect.Action))
                            |]
                    }

            if left.Pauses > 0 && c.State.Status.IsRunning then
                order true (fun () -> "the operator pauses the migration") (Ordered Order.Pause) pausePrint {
                    left with
                        Pauses = left.Pauses - 1
                }

            if c.State.Status.IsPaused then
                Seen.mark Sometimes.PausedAndGoneOn

                order false (fun () -> "the operator lets the migration go on") (Ordered Order.Resume) resumePrint left

            if left.Aborts > 0 && not c.State.Status.IsAborting then
                order true (fun () -> "the operator aborts the migration") (Ordered(Order.Abort "")) abortPrint {
                    left with
                        Aborts = left.Aborts - 1
                }

            if left.Writers > 0 then
                for KeyValue(shard, route) in c.State.Routes do
                    let s = setting.ShardIndex shard

                    for r in 0 .. setting.Routers.Length - 1 do
                        if not (route.Writer.Is(setting.Routers[r], 1L)) then
                            order
                                true
                                (fun () -> $"{setting.Routers[r]} is to become the writer of {shard}")
                                (Ordered(AssignWriter(shard, setting.Routers[r], 1L)))
                                (writerPrint[s][r])
                                { left with Writers = left.Writers - 1 }

            if left.Losses > 0 then
                for n in 0 .. w.Nodes.Length - 1 do
                    for s in 0 .. setting.Shards.Length - 1 do
                        let replica = {
                            Node = setting.Nodes[n]
                            Store = setting.Shards[s]
                        }

                        let isStaging =
                            c.State.Moves
                            |> Array.exists (fun m ->
                                m.Step < Reproving
                                && Move.staging m |> Array.exists (fun t -> t.Replica = replica))

                        let isRedundant = setting.Owners.Length >= 3

                        if w.Nodes[n].Slots[s].IsServing && (isStaging || isRedundant) then
                            emit true (fun () -> $"the disk of {replica} is lost") {
                                Edit.withNode w n (Nodes.lose setting w.Nodes[n] s) with
                                    Left = { left with Losses = left.Losses - 1 }
                            }

    let successors (setting: Setting) (w: World) : ResizeArray<Successor> =
        let all = ResizeArray<Successor>()

        let emit isFault told (next: World) =
            all.Add {
                Told = told
                IsFault = isFault
                World =
                    if setting.IsReduced then
                        Reduction.apply setting next
                    else
                        Network.inOrder next
            }

        for i in 0 .. w.Flights.Length - 1 do
            // Two of a kind lead to the same.
            if i = 0 || w.Flights[i].Print <> w.Flights[i - 1].Print then
                ofFlight setting w i emit

        for r in 0 .. w.Routers.Length - 1 do
            Clients.ofRouter setting w r emit

        for i in 0 .. w.Ops.Length - 1 do
            Clients.ofOperation setting w i emit

        ofCoordinator setting w emit
        all
