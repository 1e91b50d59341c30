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

    let private writerPrint =
        Array.init 16 (fun shard -> Array.init 4 (fun router -> marker (100 + 10 * shard + router)))

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

    let private isAwaitedTimer (w: World) (sequence: int64) =
        w.Coordinator.State.Moves |> Array.exists (fun m -> m.DrainTimer = sequence)

    let private plan (setting: Setting) (w: World) (migration: int) : Plan =
        let goal = setting.Goals[migration]

        let routes =
            w.Published
            |> Array.choose (fun p -> p |> Option.map _.Route)
            |> Array.filter (fun r -> r.Stage = Owned)

        let generation = routes[0].Shard.Generation

        let moves =
            routes
            |> Array.map (fun route -> {
                Route = route
                Targets = goal |> Array.filter (fun t -> (route.Range.Intersect t.Range).IsSome)
            })

        {
            Migration = int64 migration + 1L
            Index = {
                Uid = "i"
                PrimaryKey = "id"
                Replication = routes[0].Owners.Length
                Layout = {
                    Generation = generation
                    ShardCount = routes.Length
                }
                LastGeneration = generation
                CreatedAtUnixMs = 0L
                UpdatedAtUnixMs = 0L
            }
            To = {
                Generation = goal[0].Shard.Generation
                ShardCount = goal.Length
            }
            Moves = moves
            Limits = setting.Limits
        }

    let private withStarted (w: World) (started: Stepped) (migrations: int) : World = {
        w with
            Coordinator = started.Next
            Migrations = migrations
            Broken = started.Broken
            Flights =
                Array.append w.Flights [| for sequence, action in started.Sent -> Flight(Request(sequence, action)) |]
    }

    let initial (setting: Setting) : World =
        let source = setting.Shards[0]

        let route = {
            Shard = source
            Range = Layout.range 1 0
            Epoch = 1L
            Stage = Owned
            Owners = setting.Owners
            Targets = [||]
            Writer = {
                Router = setting.Routers[0]
                Incarnation = 1L
                Term = 1L
            }
            Fences = [||]
            Migration = 0L
        }

        let first = RouteRef.Of route
        let count = setting.Shards.Length
        let none = Array.create<Document | null> setting.Keys.Length null

        let before =
            Array.init setting.Keys.Length (fun k ->
                if setting.Before = 0 then
                    (null: Document | null)
                else
                    Documents.get setting k { Term = 1L; Clock = 1L } setting.Before)

        let itself: TargetShard = {
            Shard = source
            Range = route.Range
            Nodes = setting.Owners
        }

        let w = {
            Coordinator = Unchecked.defaultof<Coordinator>
            Migrations = 0
            Published = Array.init count (fun s -> if s = 0 then Some first else None)
            Nodes =
                setting.Nodes
                |> Array.map (fun name ->
                    NodeState(
                        Array.init count (fun s -> if s = 0 then 1L else 0L),
                        Array.create count None,
                        Array.init count (fun s ->
                            if s = 0 && Array.contains name setting.Owners then
                                {
                                    IsServing = true
                                    Incarnation = 1
                                    Migration = 0L
                                    Docs = before
                                    Lost = [||]
                                }
                            else
                                {
                                    IsServing = false
                                    Incarnation = 0
                                    Migration = 0L
                                    Docs = none
                                    Lost = [||]
                                })
                    ))
            Routers =
                setting.Routers
                |> Array.mapi (fun r _ ->
                    RouterState(
                        Array.init count (fun s -> if s = 0 then Some first else None),
                        Array.init count (fun s ->
                            if s = 0 && r = 0 then
                                Some {
                                    Term = 1L
                                    Activation = None
                                    Clock = 1L
                                    Issued = Issued.Empty 8
                                }
                            else
                                None)
                    ))
            Ops = setting.Operations |> Array.map (fun _ -> Op.Idle)
            Flights = [||]
            Left = setting.Budget
            Broken = ""
        }

        if setting.Goals.Length = 0 then
            {
                w with
                    Coordinator =
                        Coordination.idle (
                            plan
                                {
                                    setting with
                                        Goals = [| [| itself |] |]
                                }
                                w
                                0
                        )
            }
        else
            Network.tidy setting (withStarted w (Coordination.start (plan setting w 0)) 1)

    let private ofFlight (setting: Setting) (w: World) (i: int) (emit: bool -> (unit -> string) -> World -> unit) =
        let left = w.Left
        let rest = Operations.withFlightRemoved w i

        match w.Flights[i].Cargo with
        | PutRequest(op, run, stamp, replica, document) ->
            let n = setting.NodeIndex replica.Node

            let struct (after, reply) =
                Nodes.put setting w.Nodes[n] stamp replica.Store document

            let arrived = Operations.withNode rest n after

            let told () =
                let whose =
                    if op < 0 then
                        "a late put"
                    else
                        $"the put of operation {op}"

                $"{whose} ({Story.document document}, under {stamp}) arrives at {replica}: {Story.putReply reply}"

            if op < 0 then
                emit false told arrived
            else
                match reply with
                | StaleEpoch _ -> Seen.mark Sometimes.LatePutRefused
                | _ -> ()

                let input = WriteInput.Replied(stamp.Epoch, replica, reply)
                emit false told (Operations.hearPut setting arrived op input)

                if left.Delays > 0 then
                    let late =
                        Operations.addFlights arrived [ Flight(PutAnswer(op, run, stamp.Epoch, replica, reply)) ]

                    emit true (fun () -> told () + "; the answer is on its way") {
                        late with
                            Left = { left with Delays = left.Delays - 1 }
                    }

                if left.Duplicates > 0 then
                    let twice = Operations.withNode w n after

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
        | PutAnswer(op, _, epoch, replica, reply) ->
            emit
                false
                (fun () -> $"the late answer of {replica} reaches operation {op}: {Story.putReply reply}")
                (Operations.hearPut setting rest op (WriteInput.Replied(epoch, replica, reply)))
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
                            Operations.addFlights arrived [ Flight(Reply(sequence, answer)) ] with
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

    let private ofRouter (setting: Setting) (w: World) (r: int) (emit: bool -> (unit -> string) -> World -> unit) =
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
                        Operations.withWriter
                            (Operations.withNode w n after)
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

    let private ofOperation (setting: Setting) (w: World) (i: int) (emit: bool -> (unit -> string) -> World -> unit) =
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
                            (Operations.withNode w n after)
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
                            (Operations.inspect setting w i s)
                    | _ -> ()
                | Some _ -> emit false (fun () -> $"{name ()}: another router writes now") (Operations.giveUp w i)
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
                let started = Coordination.start (plan setting w w.Migrations)

                emit false (fun () -> $"migration {w.Migrations + 1} begins") (withStarted w started (w.Migrations + 1))

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

            if left.Aborts > 0 then
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
                                Operations.withNode w n (Nodes.lose setting w.Nodes[n] s) with
                                    Left = { left with Losses = left.Losses - 1 }
                            }

    let successors (setting: Setting) (w: World) : ResizeArray<Successor> =
        let all = ResizeArray<Successor>()

        let emit isFault told (next: World) =
            all.Add {
                Told = told
                IsFault = isFault
                World = Network.tidy setting next
            }

        for i in 0 .. w.Flights.Length - 1 do
            // Two of a kind lead to the same.
            if i = 0 || w.Flights[i].Print <> w.Flights[i - 1].Print then
                ofFlight setting w i emit

        for r in 0 .. w.Routers.Length - 1 do
            ofRouter setting w r emit

        for i in 0 .. w.Ops.Length - 1 do
            ofOperation setting w i emit

        ofCoordinator setting w emit
        all
