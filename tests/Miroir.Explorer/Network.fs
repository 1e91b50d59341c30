namespace Miroir.Explorer

open System
open Miroir.Core
open Miroir.Core.Cutover

/// Messages, and the coordinator's answers.
[<RequireQualifiedAccess>]
module Network =

    let private barrierAt (setting: Setting) (w: World) (node: string) (stamp: RouteStamp) =
        w.Nodes[setting.NodeIndex node].Barriers[setting.ShardIndex stamp.Shard]

    /// Whether an answer to a put that was sent in this run reaches the machine that sent it.
    let isAwaited (op: Op) (run: int) = op.IsPutting && op.Run = run

    /// Whether the operation counts an answer to a put that it sent in this run under this epoch.
    let isHeard (op: Op) (run: int) (epoch: int64) =
        isAwaited op run
        && (match op.WriteState with
            | Some state -> state.Route.Epoch = epoch || Mutants.epochOfAnswersIgnored ()
            | None -> false)

    let private keyIndex (setting: Setting) (document: Document) =
        setting.Keys |> Array.findIndex (fun k -> k.Equals(box document.Key))

    /// What is on its way and can do nothing any more, whatever happens: taken out. What nobody waits for: made alike.
    let private tidied (setting: Setting) (w: World) (flight: Flight) : Flight voption =
        let isStale node (stamp: RouteStamp) =
            barrierAt setting w node stamp > stamp.Epoch
            && not (WorldFaults.epochCheckLeftOut ())

        match flight.Cargo with
        | PutRequest(op, run, stamp, replica, document) ->
            let isDead = op < 0 || not (isHeard w.Ops[op] run stamp.Epoch)

            if not isDead then
                ValueSome(
                    if run = 0 then
                        flight
                    else
                        Flight(PutRequest(op, 0, stamp, replica, document))
                )
            elif isStale replica.Node stamp then
                Seen.mark Sometimes.LatePutRefused
                ValueNone
            else
                let slot =
                    w.Nodes[setting.NodeIndex replica.Node].Slots[setting.ShardIndex replica.Store]

                let key = keyIndex setting document

                // A lost disk would bring it back to life.
                let isDominated =
                    w.Left.Losses = 0
                    && slot.IsServing
                    && not (WorldFaults.olderOverwrites ())
                    && barrierAt setting w replica.Node stamp >= stamp.Epoch
                    && (match slot.Docs[key] with
                        | null -> false
                        | stored -> not (Versions.isLater document.Version stored.Version))

                if isDominated && not (WorldFaults.epochCheckLeftOut ()) then
                    ValueNone
                elif op < 0 then
                    ValueSome flight
                else
                    ValueSome(Flight(PutRequest(-1, 0, stamp, replica, document)))
        | PutAnswer(op, run, epoch, replica, reply) ->
            if isHeard w.Ops[op] run epoch then
                match reply with
                | StaleEpoch(known, Some route) when not (Knowledge.isNewsTo setting w w.Ops[op].Router route) ->
                    ValueSome(Flight(PutAnswer(op, 0, epoch, replica, StaleEpoch(known, None))))
                | _ when run <> 0 -> ValueSome(Flight(PutAnswer(op, 0, epoch, replica, reply)))
                | _ -> ValueSome flight
            else
                ValueNone
        | Request(0L, action) ->
            let keep isUseful =
                if isUseful then ValueSome flight else ValueNone

            match action with
            | RaiseBarrier(node, command) ->
                let s = setting.ShardIndex command.Stamp.Shard
                let barrier = barrierAt setting w node command.Stamp

                let tells =
                    match command.Route, w.Nodes[setting.NodeIndex node].Told[s] with
                    | None, _ -> false
                    | Some route, Some told when told.Epoch >= route.Epoch -> false
                    | Some route, _ -> Knowledge.isNews setting w s route.Epoch

                keep (barrier < command.Stamp.Epoch || barrier = command.Stamp.Epoch && tells)
            | Reconcile(node, command) -> keep (not (isStale node command.Stamp))
            | MakeStore(node, command) ->
                keep (
                    not (isStale node command.Stamp)
                    && (w.Left.Losses > 0
                        || not (w.Nodes[setting.NodeIndex node].Slots[setting.ShardIndex command.Store].IsServing)
                        || barrierAt setting w node command.Stamp < command.Stamp.Epoch)
                )
            | DropStore(node, command) ->
                let n = setting.NodeIndex node
                let slot = w.Nodes[n].Slots[setting.ShardIndex command.Store]

                // Its incarnation is no more, and never comes again.
                let isGone =
                    command.Incarnation <> Guid.Empty
                    && (not slot.IsServing || command.Incarnation <> Nodes.guid n slot.Incarnation)
                    && barrierAt setting w node command.Stamp >= command.Stamp.Epoch

                keep (WorldFaults.dropsCarryNoEpoch () || not (isStale node command.Stamp || isGone))
            | Publish(changes, _) ->
                keep (
                    changes
                    |> Array.forall (fun c ->
                        match w.Published[setting.ShardIndex c.Shard] with
                        | Some route -> route.Epoch = c.FromEpoch
                        | None -> c.FromEpoch = 0L)
                )
            | Inspect _
            | AskWriter _
            | Cancel _
            | Wait _ -> ValueNone
        | Carried(0L, target, command, incarnation, documents) ->
            let n = setting.NodeIndex target
            let slot = w.Nodes[n].Slots[setting.ShardIndex command.Store]

            let isHeld (document: Document | null) =
                match document with
                | null -> true
                | document ->
                    match slot.Docs[keyIndex setting document] with
                    | null -> false
                    | stored -> not (Versions.isLater document.Version stored.Version)

            // Everything it carries is there, or its incarnation is no more.
            let isDone =
                barrierAt setting w target command.Stamp >= command.Stamp.Epoch
                && not (WorldFaults.olderOverwrites ())
                && (not slot.IsServing
                    || incarnation <> Nodes.guid n slot.Incarnation
                    || Array.forall isHeld documents)

            if isStale target command.Stamp || isDone then
                ValueNone
            else
                ValueSome flight
        | Reply(0L, _) -> ValueNone
        | Request _
        | Carried _
        | Reply _ -> ValueSome flight

    /// Nobody waits for it, and two do no more than one: when one has arrived, the other can do nothing any more. (Not so
    /// a reconcile, which reads its sources when it arrives.)
    let private isUnowned (flight: Flight) =
        match flight.Cargo with
        | PutRequest(op, _, _, _, _) -> op < 0
        | Request(_, Reconcile _) -> false
        | Request(sequence, _)
        | Carried(sequence, _, _, _, _) -> sequence = 0L
        | _ -> false

    let private order (a: Flight) (b: Flight) =
        match a.Print.A.CompareTo b.Print.A with
        | 0 -> a.Print.B.CompareTo b.Print.B
        | sign -> sign

    /// What is on its way has no order.
    let inOrder (w: World) : World = {
        w with
            Flights = Array.sortWith order w.Flights
    }

    let tidy (setting: Setting) (w: World) : World =
        let kept = ResizeArray<Flight>(w.Flights.Length)

        for flight in w.Flights do
            match tidied setting w flight with
            | ValueSome f -> kept.Add f
            | ValueNone -> ()

        // All but the newest are in order: sorted by insertion.
        for at in 1 .. kept.Count - 1 do
            let flight = kept[at]
            let mutable into = at

            while into > 0 && order kept[into - 1] flight > 0 do
                kept[into] <- kept[into - 1]
                into <- into - 1

            kept[into] <- flight

        let mutable i = 1

        while i < kept.Count do
            if isUnowned kept[i] && order kept[i] kept[i - 1] = 0 then
                kept.RemoveAt i
            else
                i <- i + 1

        {
            w with
                Flights = kept.ToArray()
                Ops =
                    if w.Ops |> Array.exists (fun op -> op.Run <> 0) then
                        w.Ops |> Array.map (Operations.inRun 0)
                    else
                        w.Ops
        }

    /// The coordinator takes an observation down. ValueNone: it refuses it.
    let observe (w: World) (event: Event) (print: Fingerprint) : World voption =
        let s = Coordination.step w.Coordinator event print

        if s.IsRefused then
            ValueNone
        else
            let rename sequence =
                let mutable now = 0L

                for struct (old, renamed) in s.Renamed do
                    if old = sequence then
                        now <- renamed

                if sequence >= Coordination.Kept then sequence else now

            let flights = [|
                for f in w.Flights do
                    match f.Cargo with
                    | Request(sequence, action) when rename sequence <> sequence ->
                        Flight(Request(rename sequence, action))
                    | Reply(sequence, answer) when rename sequence <> sequence -> Flight(Reply(rename sequence, answer))
                    | Carried(sequence, target, command, incarnation, documents) when rename sequence <> sequence ->
                        Flight(Carried(rename sequence, target, command, incarnation, documents))
                    | _ -> f
                for sequence, action in s.Sent do
                    Flight(Request(sequence, action))
            |]

            ValueSome {
                w with
                    Coordinator = s.Next
                    Flights = flights
                    Broken = (if w.Broken = "" then s.Broken else w.Broken)
            }

    let answered (w: World) (sequence: int64) (answer: Answer) : World =
        if sequence = 0L || w.Coordinator.IsEnded then
            w
        else
            let print =
                Encoder.Of(fun e ->
                    e.Byte 1
                    e.Num sequence
                    Encode.answer e answer)

            match observe w (Answered(sequence, answer)) print with
            | ValueSome next -> next
            | ValueNone -> w

    let private publish (setting: Setting) (w: World) (changes: RouteChange[]) : World * Answer =
        let known (c: RouteChange) =
            w.Published[setting.ShardIndex c.Shard] |> Option.map _.Route

        if changes |> Array.forall (fun c -> known c = c.Route) then
            w, Published
        elif
            changes
            |> Array.forall (fun c ->
                match known c with
                | Some route -> route.Epoch = c.FromEpoch
                | None -> c.FromEpoch = 0L)
        then
            let published = Array.copy w.Published

            for c in changes do
                published[setting.ShardIndex c.Shard] <- c.Route |> Option.map RouteRef.Of

            { w with Published = published }, Published
        else
            w, PublishConflict

    /// A request of the coordinator's arrives. ValueNone: what follows is on its way still.
    let perform (setting: Setting) (w: World) (sequence: int64) (action: Action) : struct (World * Answer voption) =
        let at node (ask: NodeState -> struct (NodeState * Answer)) =
            let i = setting.NodeIndex node
            let struct (after, answer) = ask w.Nodes[i]
            struct (Edit.withNode w i after, ValueSome answer)

        match action with
        | Publish(changes, _) ->
            let w, answer = publish setting w changes
            struct (w, ValueSome answer)
        | Inspect shards ->
            struct (w,
                    ValueSome(
                        Inspected [|
                            for shard in shards ->
                                w.Published[setting.ShardIndex shard]
                                |> Option.map (fun (r: RouteRef) -> r.Route)
                        |]
                    ))
        | MakeStore(node, command) ->
            at node (fun n ->
                let i = setting.NodeIndex node
                let slot = n.Slots[setting.ShardIndex command.Store]

                if slot.Incarnation > 0 && not slot.IsServing then
                    Seen.mark Sometimes.StoreMadeAgain

                let struct (n, reply) = Nodes.make setting i n command
                struct (n, MakeAnswered reply))
        | RaiseBarrier(node, command) ->
            at node (fun n ->
                let struct (n, reply) = Nodes.raise' setting (setting.NodeIndex node) n command
                struct (n, BarrierAnswered reply))
        | DropStore(node, command) ->
            at node (fun n ->
                let struct (n, reply) = Nodes.drop setting (setting.NodeIndex node) n command
                struct (n, DropAnswered reply))
        | Reconcile(target, command) ->
            let struct (nodes, read) = Nodes.readSources setting w.Nodes target command
            let w = { w with Nodes = nodes }

            match read with
            | Error answer -> struct (w, ValueSome answer)
            | Ok(struct (incarnation, documents)) ->
                struct (Edit.addFlights w [ Flight(Carried(sequence, target, command, incarnation, documents)) ],
                        ValueNone)
        | AskWriter _ -> struct (w, ValueSome(WritesOpen { Count = 0; OldestMs = 0L }))
        | Wait _ -> struct (w, ValueSome Elapsed)
        | Cancel _ -> struct (w, ValueNone)

    let putCarried (setting: Setting) (w: World) target (command: ReconcileCommand) incarnation documents =
        let i = setting.NodeIndex target

        let struct (after, answer, copied) =
            Nodes.putCarried setting w.Nodes[i] i command incarnation documents

        if copied > 0 && command.Mode = ReconcileMode.Delta then
            Seen.mark Sometimes.DeltaPassCopies

        struct (Edit.withNode w i after, answer)
