/// A migration run through a hostile world, held to every invariant at every step.
module Miroir.Core.Tests.Run

open System
open Miroir.Core
open Miroir.Core.Cutover
open Miroir.Core.Tests.WorldParts
open Miroir.Core.Tests.World

/// A shape of migration.
type Shape = {
    From: int
    Into: int
    Replication: int
    /// Nodes before and after; those that are not in the second are drained.
    Before: int
    After: int list
}

let shards from into replication = {
    From = from
    Into = into
    Replication = replication
    Before = replication + 1
    After = [ 0..replication ]
}

let private nodeName n = $"n{n}"

let private nodeOf n : NodeInfo = {
    Name = nodeName n
    Address = ""
    Zone = ""
    Weight = 1.0
    CapacityBytes = 0L
    Role = Active
}

let keys = [| for n in 0..15 -> Key.Of $"k{n}" |] |> Array.sort

let plan (shape: Shape) (limits: Limits) : Plan =
    let index = {
        Uid = "books"
        PrimaryKey = "id"
        Replication = shape.Replication
        Layout = {
            Generation = 1
            ShardCount = shape.From
        }
        LastGeneration = 1
        CreatedAtUnixMs = 0L
        UpdatedAtUnixMs = 0L
    }

    let placed = [|
        for n in 0 .. shape.Before - 1 ->
            {
                PlacementNode.Name = nodeName n
                Zone = ""
                Weight = 1.0
            }
    |]

    let routes = [|
        for n in 0 .. shape.From - 1 ->
            let shard = {
                Index = "books"
                Generation = 1
                Shard = n
            }

            {
                Shard = shard
                Range = Layout.range shape.From n
                Epoch = 1L
                Stage = Owned
                Owners =
                    (match Placement.owners placed shape.Replication shard with
                     | Ok names -> names
                     | Error why -> failwith why)
                Targets = [||]
                Writer = {
                    Router = "r0"
                    Incarnation = 1L
                    Term = 1L
                }
                Fences = [||]
                Migration = 0L
            }
    |]

    match Planning.compute 7L index routes [| for n in shape.After -> nodeOf n |] shape.Into limits with
    | Ok plan -> plan
    | Error why -> failwith why.Message

/// A plan of one shard from these nodes to those: owners and targets may be the same.
let rebalance (owners: string[]) (targets: string[]) (limits: Limits) : Plan =
    let p =
        plan
            {
                shards 1 2 owners.Length with
                    After = [ 0 .. owners.Length ]
            }
            limits

    let route = {
        p.Moves[0].Route with
            Owners = owners
    }

    {
        p with
            To = p.Index.Layout
            Moves = [|
                {
                    Route = route
                    Targets = [|
                        {
                            Shard = route.Shard
                            Range = route.Range
                            Nodes = targets
                        }
                    |]
                }
            |]
    }

type Ending =
    | Wanted
    | AbortedAt of afterSteps: int

type Hostility = {
    Steps: int
    Faults: Faults
    Crashes: bool
    Losses: bool
    Downs: bool
    Orders: bool
    Ending: Ending
}

let calm = {
    Steps = 0
    Faults = { Repeat = 0; Lose = 0 }
    Crashes = false
    Losses = false
    Downs = false
    Orders = false
    Ending = Wanted
}

let hostile seed =
    let random = Random(seed * 31 + 7)

    {
        Steps = 100 + random.Next 1500
        Faults = {
            Repeat = random.Next 3 * 10
            Lose = random.Next 3 * 10
        }
        Crashes = random.Next 2 = 0
        Losses = random.Next 2 = 0
        Downs = random.Next 2 = 0
        Orders = random.Next 2 = 0
        Ending = Wanted
    }

/// What a run came to, and what it met: so that no property holds for want of anything to see.
type Outcome = {
    State: State
    Broken: string list
    Steps: int
    Acknowledged: int
    DeltaCopied: int64
    FellBack: bool
    SawLoss: bool
    Seen: Set<Step>
}

type private Runner(plan: Plan, hostility: Hostility, seed: int) =
    let random = Random seed

    let names =
        plan.Moves
        |> Seq.collect (fun m -> Seq.append m.Route.Owners (m.Targets |> Seq.collect _.Nodes))
        |> Seq.distinct
        |> Seq.sort
        |> Seq.toArray

    let routes = plan.Moves |> Array.map _.Route
    let world = World(random, names, plan.Index, routes, keys)
    let journal = ResizeArray<Observation>()
    let broken = ResizeArray<string>()
    let mutable now = 1000L
    let mutable state = Unchecked.defaultof<State>
    let mutable seen = Set.empty
    let mutable fellBack = false
    let mutable sawLoss = false
    let mutable deltaCopied = 0L

    let fail why =
        if broken.Count < 10 then
            broken.Add why

    let judge (next: State) (effects: Effect list) =
        for why in Safety.check next do
            fail why

        for effect in effects do
            for why in Safety.allows next effect do
                fail why

        for move in next.Moves do
            seen <- seen.Add move.Step
            fellBack <- fellBack || move.Step = FallingBack
            deltaCopied <- max deltaCopied move.DeltaCopied

    let observe event =
        now <- now + int64 (random.Next 5)
        let observation = { AtUnixMs = now; Event = event }

        match Transition.step state observation with
        | Error _ -> ()
        | Ok(next, effects) ->
            journal.Add observation
            judge next effects

            match event with
            | Answered _ when random.Next 8 = 0 ->
                match Transition.step next observation with
                | Ok(again, []) when again = next -> ()
                | Error { Code = "migration_ended" } when next.IsEnded -> ()
                | other -> fail $"an answer given twice is taken twice: %A{other |> Result.map snd}"
            | _ -> ()

            state <- next
            world.Send effects

    /// What the journal says must be what was in force; what was outstanding is performed again.
    let crash (stored: Observation -> Observation) =
        match Transition.recover (Seq.map stored journal) with
        | Ok recovered when recovered = state ->
            state <- recovered
            world.Send(Transition.outstanding state)
        | Ok _ -> fail "the journal comes to another state"
        | Error why -> fail why.Message

    let stepOf (store: ShardId) =
        state.Moves
        |> Array.filter (fun m -> m.Targets |> Array.exists (fun t -> t.Shard = store))
        |> Array.map _.Step

    /// A target's store is lost: any number of them while the owners answer for everything, else as many as the
    /// replication factor allows.
    let lose () =
        let takers =
            state.Moves
            |> Array.collect Move.takers
            |> Array.map _.Replica
            |> Array.distinct

        let replica = takers[random.Next takers.Length]

        let set =
            state.Moves
            |> Array.collect (fun m -> Array.zip m.Targets m.Takers)
            |> Array.find (fun (t, _) -> t.Shard = replica.Store)
            |> snd
            |> Array.map _.Replica

        let isOwner =
            state.Moves
            |> Array.exists (fun m -> m.Owners |> Array.exists (fun o -> o.Replica = replica))

        let steps = stepOf replica.Store

        let within low high =
            steps |> Array.exists (fun s -> s >= low && s <= high)

        let lostOf (replicas: Replica[]) =
            replicas |> Array.filter world.Lost.ContainsKey |> Array.length

        let owners = state.Moves |> Array.collect (fun m -> m.Owners |> Array.map _.Replica)

        let isTolerated =
            (not (within Reproving Finished) || lostOf set < Quorum.write set.Length - 1)
            && (not isOwner || lostOf owners < Quorum.write set.Length - 1)

        if isTolerated && not (world.Lost.ContainsKey replica) then
            sawLoss <- true
            world.Lose(replica, isOwner || within Joining Finished)

    let order () =
        let sources = plan.Moves |> Array.map _.Route.Shard

        let shards =
            Array.append sources (plan.Moves |> Array.collect (fun m -> m.Targets |> Array.map _.Shard))

        match random.Next 10 with
        | 0 -> observe (Ordered Pause)
        | 1
        | 2 -> observe (Ordered Resume)
        | 3 -> observe (Ordered(Tune(random.Next 100 - 1, random.Next 1000 - 1)))
        | 4
        | 5
        | 6 ->
            let shard = shards[random.Next shards.Length]
            observe (Ordered(AssignWriter(shard, $"r{random.Next 3}", int64 (random.Next 3))))
        | _ -> observe (Ordered Order.Cutover)

    let deliver patient faults =
        match world.Deliver(faults, patient) with
        | Some(sequence, answer) -> observe (Answered(sequence, answer))
        | None -> ()

    /// Comes by itself, now and then, where a migration counts on it.
    let compare () =
        if plan.Limits.SkipDeltaPass then
            for order in AntiEntropyPass.run world keys state do
                observe (Ordered order)

                for forged in AntiEntropyPass.forgeries order do
                    match
                        Transition.step state {
                            AtUnixMs = now
                            Event = Ordered forged
                        }
                    with
                    | Error _ -> ()
                    | Ok(next, _) when next = state -> ()
                    | Ok _ -> fail $"a certificate that proves nothing was taken: %A{forged}"

    let hostileStep n =
        (match hostility.Ending with
         | AbortedAt steps when steps = n -> observe (Ordered(Order.Abort "no longer wanted"))
         | _ -> ())

        match random.Next 100 with
        | 0 when hostility.Crashes && random.Next 3 = 0 -> crash id
        | 1 when hostility.Losses -> lose ()
        | 2 when hostility.Downs ->
            let node = world.Nodes[names[random.Next names.Length]]
            node.IsUp <- not node.IsUp
        | 3 when hostility.Orders -> order ()
        | 4 -> observe (Ordered Order.Cutover)
        | 5 -> compare ()
        | k when k < 20 -> world.Begin()
        | _ -> deliver (random.Next 4 > 0) hostility.Faults

    member _.Go() : Outcome =
        match Transition.start now plan with
        | Error why -> failwith why.Message
        | Ok(first, effects) ->
            journal.Add { AtUnixMs = now; Event = Started plan }
            state <- first
            judge first effects
            world.Send effects

        for _ in 1..20 do
            world.Begin()

        let mutable n = 0

        while n < hostility.Steps && not state.IsEnded do
            hostileStep n
            n <- n + 1

        // A fair tail: everybody is up, nothing more is lost, and the operator goes on asking.
        for node in world.Nodes.Values do
            node.IsUp <- true

        world.Rebuild()

        (match hostility.Ending with
         | AbortedAt steps when steps >= hostility.Steps -> observe (Ordered(Order.Abort "no longer wanted"))
         | _ -> ())

        observe (Ordered Resume)
        let limit = n + 60_000
        let mutable idle = 0

        while n < limit && not state.IsEnded && idle < 50 do
            if world.Flights.Count = 0 then
                idle <- idle + 1
                observe (Ordered Order.Cutover)
                compare ()
            else
                idle <- 0

                if random.Next 20 = 0 && n < limit - 50_000 then
                    world.Begin()

                if random.Next 100 = 0 then
                    world.Rebuild()
                    // A source that is kept is looked after without end: the operator does not wait for silence.
                    observe (Ordered Order.Cutover)
                    compare ()

                deliver true { Repeat = 0; Lose = 0 }

            n <- n + 1

        match state.Status with
        | Complete
        | Aborted _ -> ()
        | _ -> fail $"it does not end: %A{state.Status} %A{state.Moves |> Array.map (fun m -> m.Step, m.Reason)}"

        // What is still on its way arrives, late.
        let mutable late = 0

        while world.Flights.Count > 0 && late < 20_000 do
            deliver false { Repeat = 0; Lose = 0 }
            late <- late + 1

        for why in world.Missing() do
            fail why

        if state.IsEnded then
            let left = state.Moves |> Seq.collect _.Leftovers |> Set.ofSeq

            for stray in world.Strays() do
                if not (left.Contains stray) then
                    fail $"{stray} is left over"

            for KeyValue(shard, route) in world.Published do
                if route.Stage <> Owned || route.Migration <> 0L then
                    fail $"{shard} is left in {route.Stage}"

            let generation =
                if state.Status = Complete then
                    plan.To
                else
                    plan.Index.Layout

            if world.Layout <> generation then
                fail $"the index has the layout {world.Layout}"

        crash (Journal.toBytes >> ReadOnlyMemory >> Journal.ofBytes)

        {
            State = state
            Broken = List.ofSeq broken
            Steps = n
            Acknowledged = Seq.length world.Acknowledged
            DeltaCopied = deltaCopied
            FellBack = fellBack
            SawLoss = sawLoss
            Seen = seen
        }

let run (plan: Plan) (hostility: Hostility) (seed: int) : Outcome = Runner(plan, hostility, seed).Go()
