/// A world small enough to be searched: nodes with stores, barriers and incarnations, metadata with routes, clients that
/// put under routes new and old, and a network that delays, repeats and loses everything.
module Miroir.Core.Tests.World

open System
open System.Collections.Generic
open Miroir.Core
open Miroir.Core.Cutover
open Miroir.Core.Tests.WorldParts

let private higher (a: DocumentVersion) (b: DocumentVersion) = if compare a b >= 0 then a else b

type World(random: Random, names: string[], index: IndexInfo, routes: Route[], keys: Key[]) =
    let nodes = names |> Array.map (fun n -> n, Node n) |> dict
    let published = Dictionary<ShardId, Route>()
    let history = ResizeArray<Route>()
    let flights = ResizeArray<Flight>()
    let writes = ResizeArray<Write>()
    let mutable layout = index.Layout
    let mutable clock = 0L

    /// Every other key is written only by the first writes: nothing later covers up for what a copy missed.
    let quietAfter = int64 (20 + random.Next 150)

    /// Replicas whose store was lost while a quorum counted on it, and what was held there.
    let lost = Dictionary<Replica, HashSet<Write>>()

    let guid () =
        let bytes = Array.zeroCreate<byte> 16
        random.NextBytes bytes
        Guid bytes

    let newStore migration = {
        Incarnation = guid ()
        Migration = migration
        Held = Dictionary()
    }

    do
        for route in routes do
            published[route.Shard] <- route
            history.Add route

            for owner in route.Owners do
                nodes[owner].Stores[ route.Shard ] <- newStore 0L

    /// A key's own route: while its shard of the old layout has not retired, no later one.
    let isServedBy (route: Route) (key: Key) =
        route.Range.Contains key
        && published.Values
           |> Seq.forall (fun r ->
               r.Shard.Generation >= route.Shard.Generation
               || r.Stage = Retired
               || not (r.Range.Contains key))

    let versionAt (replica: Replica) key =
        match nodes[replica.Node].Stores.TryGetValue replica.Store with
        | true, store ->
            match store.Held.TryGetValue key with
            | true, version -> version
            | _ -> DocumentVersion.Zero
        | _ -> DocumentVersion.Zero

    let refused: Refusal = {
        Code = RefusalCode.Injected
        Message = "refused on purpose"
    }

    let publish (changes: RouteChange[]) (newLayout: LayoutChange option) =
        let known shard =
            match published.TryGetValue shard with
            | true, route -> Some route
            | _ -> None

        let setLayout () =
            newLayout |> Option.iter (fun l -> layout <- l.Layout)

        if changes |> Array.forall (fun c -> known c.Shard = c.Route) then
            setLayout ()
            Published
        elif
            changes
            |> Array.forall (fun c ->
                match known c.Shard with
                | Some route -> route.Epoch = c.FromEpoch
                | None -> c.FromEpoch = 0L)
        then
            for change in changes do
                match change.Route with
                | Some route ->
                    published[change.Shard] <- route
                    history.Add route
                | None -> published.Remove change.Shard |> ignore

            setLayout ()
            Published
        else
            PublishConflict

    let begin' (command: ReconcileCommand) (target: string) =
        let node = nodes[target]

        if not (node.Admits command.Stamp) then
            Error(ReconcileStaleEpoch(node.Barrier command.Stamp.Shard))
        else
            match node.Stores.TryGetValue command.Store with
            | true, store ->
                Ok {
                    Command = command
                    Target = target
                    Incarnation = store.Incarnation
                    Keys =
                        keys
                        |> Seq.filter (fun k ->
                            command.Range.Contains k
                            && (match command.After with
                                | null -> true
                                | after -> k.CompareTo after > 0))
                        |> Queue
                    Last = null
                    Compared = 0L
                    Copied = 0L
                }
            | _ -> Error ReconcileNotServing

    let progress (stream: Stream) isComplete : ReconcileProgress = {
        Position = stream.Last
        Compared = stream.Compared
        Copied = stream.Copied
        CopiedBytes = 0L
        CopiedTombstones = 0L
        MergeDigest = Digest.Zero
        Watermark = DocumentVersion.Zero
        Incarnation = stream.Incarnation
        IsComplete = isComplete
    }

    /// One key on. Some: the end.
    let advance (stream: Stream) : ReconcileReply option =
        let command, target = stream.Command, nodes[stream.Target]

        let failedSource =
            command.Sources
            |> Array.tryPick (fun s ->
                let node = nodes[s.Node]

                if not node.IsUp then
                    Some(SourceFailed(s.Node, "down"))
                elif not (node.Admits command.Stamp) then
                    Some(SourceFailed(s.Node, "stale epoch"))
                else
                    match node.Stores.TryGetValue s.Store with
                    | true, store when s.Incarnation = Guid.Empty || s.Incarnation = store.Incarnation -> None
                    | _ -> Some(SourceFailed(s.Node, "not serving")))

        match failedSource with
        | Some failed -> Some failed
        | None when not (target.Admits command.Stamp) -> Some(ReconcileStaleEpoch(target.Barrier command.Stamp.Shard))
        | None ->
            match target.Stores.TryGetValue command.Store with
            | true, store when store.Incarnation = stream.Incarnation ->
                if stream.Keys.Count = 0 then
                    Some(Progress(progress stream true))
                else
                    let key = stream.Keys.Dequeue()

                    let merged =
                        command.Sources
                        |> Array.map (fun s -> versionAt { Node = s.Node; Store = s.Store } key)
                        |> Array.reduce higher

                    stream.Compared <- stream.Compared + 1L
                    stream.Last <- key

                    if
                        merged >
                            versionAt
                                {
                                    Node = stream.Target
                                    Store = command.Store
                                }
                                key
                    then
                        store.Held[key] <- merged
                        stream.Copied <- stream.Copied + 1L

                    None
            | _ -> Some ReconcileNotServing

    let perform (effect: Effect) : Answer option =
        let at name (ask: Node -> Answer) =
            let node = nodes[name]

            if not node.IsUp then
                Some(Unreachable "down")
            else
                Some(ask node)

        match effect.Action with
        | Publish(changes, layout) -> Some(publish changes layout)
        | Inspect shards ->
            Some(
                Inspected [|
                    for shard in shards ->
                        match published.TryGetValue shard with
                        | true, route -> Some route
                        | _ -> None
                |]
            )
        | MakeStore(name, command) ->
            at name (fun node ->
                if not (node.Admits command.Stamp) then
                    MakeAnswered(MakeStaleEpoch(node.Barrier command.Stamp.Shard))
                else
                    if not (node.Stores.ContainsKey command.Store) then
                        node.Stores[command.Store] <- newStore command.Migration

                    MakeAnswered(Made node.Stores[command.Store].Incarnation))
        | RaiseBarrier(name, command) ->
            at name (fun node ->
                if not (node.Admits command.Stamp) then
                    BarrierAnswered(BarrierAbove(node.Barrier command.Stamp.Shard))
                else
                    match node.Stores.TryGetValue command.Store with
                    | true, store -> BarrierAnswered(Confirmed store.Incarnation)
                    | _ -> BarrierAnswered ConfirmedNotServing)
        | DropStore(name, command) ->
            at name (fun node ->
                if not (node.Admits command.Stamp) then
                    DropAnswered(DropStaleEpoch(node.Barrier command.Stamp.Shard))
                else
                    match node.Stores.TryGetValue command.Store with
                    | true, store when
                        (command.Incarnation = Guid.Empty || command.Incarnation = store.Incarnation)
                        && (command.Migration = 0L || command.Migration = store.Migration)
                        ->
                        node.Stores.Remove command.Store |> ignore
                        DropAnswered Dropped
                    | true, _ -> DropAnswered NotTheSame
                    | _ -> DropAnswered AlreadyGone)
        | AskWriter _ when random.Next 3 = 0 -> Some(Unreachable "the router is down")
        | AskWriter _ -> Some(WritesOpen { Count = random.Next 2; OldestMs = 0L })
        | Wait _ -> Some Elapsed
        | Reconcile _
        | Cancel _ -> None

    let refusal (effect: Effect) =
        match effect.Action with
        | MakeStore _ -> MakeAnswered(MakeRefused refused)
        | RaiseBarrier _ -> BarrierAnswered(BarrierRefused refused)
        | DropStore _ -> DropAnswered(DropRefused refused)
        | Reconcile _ -> ReconcileAnswered(ReconcileRefused refused)
        | Publish _ -> PublishUnknown "no answer"
        | Inspect _
        | AskWriter _
        | Wait _
        | Cancel _ -> Unreachable "no answer"

    let deliverPut (write: Write) (replica: Replica) =
        let node = nodes[replica.Node]

        if node.IsUp && node.Admits write.Route.Stamp then
            match node.Stores.TryGetValue replica.Store with
            | true, store ->
                let stored = versionAt replica write.Key

                if write.Version > stored then
                    store.Held[write.Key] <- write.Version

                // Superseded counts as holding only within the same term.
                if write.Version >= stored || stored.Term = write.Version.Term then
                    write.Holding.Add replica |> ignore
            | _ -> ()

        let plan = write.Route.Plan write.Key.Hash

        write.IsAcknowledged <-
            write.IsAcknowledged
            || plan.Quorums
               |> Array.forall (fun set ->
                   (set |> Array.filter write.Holding.Contains).Length >= Quorum.write set.Length)

    member _.Nodes = nodes
    member _.Published = published
    member _.Flights = flights
    member _.Layout = layout
    member _.Lost = lost
    member _.Acknowledged = writes |> Seq.filter _.IsAcknowledged

    /// The effects of a transition go out.
    member _.Send(effects: Effect list) =
        for effect in effects do
            match effect.Action with
            | Cancel sequence ->
                // Stopping comes too late now and then.
                if random.Next 3 > 0 then
                    flights.RemoveAll(function
                        | Pass(s, _) -> s = sequence
                        | _ -> false)
                    |> ignore
            | _ -> flights.Add(Request effect)

    /// A client starts a put under a route of now or of before.
    member _.Begin() =
        let live = history |> Seq.filter (fun r -> r.Stage <> Retired) |> Seq.toArray

        let route =
            if random.Next 3 = 0 then
                live[random.Next live.Length]
            else
                let current =
                    published.Values |> Seq.filter (fun r -> r.Stage <> Retired) |> Seq.toArray

                current[random.Next current.Length]

        let inRange =
            keys
            |> Array.indexed
            |> Array.filter (fun (i, key) -> (i % 2 = 0 || clock < quietAfter) && isServedBy route key)
            |> Array.map snd

        if inRange.Length > 0 then
            clock <- clock + 1L
            let key = inRange[random.Next inRange.Length]

            let write = {
                Route = route
                Key = key
                Version = {
                    Term = route.Writer.Term
                    Clock = clock
                }
                Holding = HashSet()
                IsAcknowledged = false
            }

            writes.Add write
            let plan = route.Plan key.Hash

            for replica in Seq.append (Seq.concat plan.Quorums) plan.Extra |> Seq.distinct do
                flights.Add(Put(write, replica))

    /// One thing on its way arrives, or does not. Some: what the coordinator hears.
    member _.Deliver(faults: Faults, patient: bool) : (int64 * Answer) option =
        if flights.Count = 0 then
            None
        else
            let isTimer =
                function
                | Request { Action = Wait _ } -> true
                | _ -> false

            // A fair world does not let timers run out while others could act.
            let candidates =
                if patient && flights.Exists(fun f -> not (isTimer f)) then
                    [|
                        for i in 0 .. flights.Count - 1 do
                            if not (isTimer flights[i]) then
                                i
                    |]
                else
                    [| 0 .. flights.Count - 1 |]

            let i = candidates[random.Next candidates.Length]
            let flight = flights[i]

            if random.Next 100 >= faults.Repeat then
                flights.RemoveAt i

            let isLost = random.Next 100 < faults.Lose

            match flight with
            | Put(write, replica) ->
                if not isLost then
                    deliverPut write replica

                None
            | Request effect when isLost ->
                let answer =
                    if random.Next 2 = 0 then
                        refusal effect
                    else
                        Unreachable "lost"

                flights.Add(Reply(effect.Sequence, answer))
                None
            | Request effect ->
                match effect.Action with
                | Reconcile(target, command) ->
                    if not nodes[target].IsUp then
                        flights.Add(Reply(effect.Sequence, Unreachable "down"))
                    else
                        match begin' command target with
                        | Ok stream -> flights.Add(Pass(effect.Sequence, stream))
                        | Error reply -> flights.Add(Reply(effect.Sequence, ReconcileAnswered reply))
                | _ ->
                    match perform effect with
                    | Some answer -> flights.Add(Reply(effect.Sequence, answer))
                    | None -> ()

                None
            | Pass(sequence, stream) ->
                flights.RemoveAll(fun f -> obj.ReferenceEquals(f, flight)) |> ignore

                if not nodes[stream.Target].IsUp then
                    flights.Add(Reply(sequence, Unreachable "down"))
                    None
                else
                    match advance stream with
                    | Some reply ->
                        flights.Add(Reply(sequence, ReconcileAnswered reply))
                        None
                    | None ->
                        flights.Add flight

                        if random.Next 4 = 0 then
                            Some(sequence, Progressed(progress stream false))
                        else
                            None
            | Reply(sequence, _) when isLost -> Some(sequence, Unreachable "the answer was lost")
            | Reply(sequence, answer) -> Some(sequence, answer)

    /// The store is gone; its barriers are not.
    member _.Lose(replica: Replica, isCountedOn: bool) =
        let node = nodes[replica.Node]

        match node.Stores.TryGetValue replica.Store with
        | true, store ->
            if isCountedOn then
                let held =
                    writes
                    |> Seq.filter (fun w ->
                        match store.Held.TryGetValue w.Key with
                        | true, version -> version >= w.Version
                        | _ -> false)

                match lost.TryGetValue replica with
                | true, known -> known.UnionWith held
                | _ -> lost[replica] <- HashSet held

            node.Stores.Remove replica.Store |> ignore
        | _ -> ()

    /// What an operator does about an owner's lost store: another one, which dominates the other owners.
    member _.Rebuild() =
        for route in published.Values do
            if route.Stage <> Retired then
                for owner in route.OwnerReplicas do
                    if not (nodes[owner.Node].Stores.ContainsKey owner.Store) then
                        let store = newStore 0L

                        for other in route.OwnerReplicas do
                            for key in keys do
                                match versionAt other key with
                                | version when version.IsZero -> ()
                                | version ->
                                    store.Held[key] <-
                                        match store.Held.TryGetValue key with
                                        | true, known -> higher known version
                                        | _ -> version

                        nodes[owner.Node].Stores[ owner.Store ] <- store

    /// Acknowledged writes that fewer than a write quorum of those who serve their key hold, lost disks apart.
    member _.Missing() : string list = [
        for write in writes do
            if write.IsAcknowledged then
                match
                    published.Values
                    |> Seq.tryFind (fun r -> r.Stage <> Retired && isServedBy r write.Key)
                with
                | None -> yield $"nobody serves {write.Key}"
                | Some route ->
                    let holders =
                        route.OwnerReplicas
                        |> Array.filter (fun r ->
                            versionAt r write.Key >= write.Version
                            || (match lost.TryGetValue r with
                                | true, held -> held.Contains write
                                | _ -> false))

                    if holders.Length < Quorum.write route.Owners.Length then
                        yield
                            $"{write.Key} {write.Version} of {write.Route.Stage} {write.Route.Stamp} is on {holders.Length} of {route.Owners.Length} of {route.Stamp}"
    ]

    /// Stores that no published route gives to their node.
    member _.Strays() = [
        for KeyValue(name, node) in nodes do
            for shard in node.Stores.Keys do
                let isServed =
                    match published.TryGetValue shard with
                    | true, route -> Array.contains name route.Owners
                    | _ -> false

                if not isServed then
                    yield { Node = name; Store = shard }
    ]
