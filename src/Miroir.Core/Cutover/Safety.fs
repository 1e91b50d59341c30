namespace Miroir.Core.Cutover

open System
open Miroir.Core
open Miroir.Core.Cutover

[<RequireQualifiedAccess>]
module Safety =

    let private unless holds broken = if holds then [] else [ broken ]

    let private replicas (members: Member[]) =
        members |> Array.map _.Replica |> Set.ofArray

    /// Each target has a proof from this Joint, held by a write quorum of it, from a barrier quorum of the owners.
    let private isCertified (move: Move) =
        let known (proof: (Replica * Guid)[]) (members: Member[]) least =
            let named = proof |> Array.map fst |> Set.ofArray

            named.Count = proof.Length
            && named.Count >= least
            && Set.isSubset named (replicas members)
            && proof |> Array.forall (fun (_, incarnation) -> incarnation <> Guid.Empty)

        move.JointEpoch > 0L
        && move.Certificates.Length = move.Targets.Length
        && Seq.forall2
            (fun (certificate: Certificate) (target: TargetShard, takers: Member[]) ->
                certificate.Target = target.Shard
                && certificate.JointEpoch = move.JointEpoch
                && known certificate.Holders takers (Quorum.write takers.Length)
                && known certificate.Sources move.Owners (Quorum.barrier move.Owners.Length))
            move.Certificates
            (Seq.zip move.Targets move.Takers)

    let private confirmed kind least (members: Member[]) =
        (members |> Array.filter (fun m -> m.Is(kind, Done))).Length
        >= least members.Length

    let private hasEnded (move: Move) =
        move.Takers |> Array.forall (confirmed Ending Quorum.barrier)

    let private isFenced (move: Move) =
        confirmed Fencing Quorum.barrier move.Owners

    /// Retired, or about to be, or back from it never more.
    let private isRetiring (move: Move) =
        move.Step >= Retiring && move.Step <= Finished

    let private stageFits (state: State) (move: Move) =
        match move.Step, state.Routes |> Map.tryFind move.Source |> Option.map _.Stage with
        | (Queued | Opening | Clearing | Undone), Some Owned
        | (Step.Copying | Ready | Joining), Some Stage.Copying
        | (Draining | DeltaPass | Proving | Activating), Some Joint
        | (Holding | Reproving | Retiring), Some Switched
        | FallingBack, Some(Joint | Switched)
        | Undoing, Some(Stage.Copying | Joint | Switched) -> true
        | (Closing | Cleaning | Finished), Some Retired -> not state.Plan.KeepsLayout
        | (Closing | Cleaning | Finished), Some Owned -> state.Plan.KeepsLayout
        // The ended route is taken out; the publish of another writer may still be awaited.
        | Finished, None -> state.Status = Completing || state.Status = Complete
        | _ -> false

    let private ofMove (state: State) (move: Move) : string list =
        let within low high = move.Step >= low && move.Step <= high

        // A text is made only where a rule is broken: this runs after every step of every search.
        [
            if not (stageFits state move) then
                yield $"the published stage is not one of {move.Step}"

            // Kept until anti-entropy has certified it, a shard may switch, and not retire.
            let mustBeCertified =
                within (if state.Limits.SkipDeltaPass then Reproving else Activating) Finished

            if mustBeCertified && not (isCertified move) then
                yield $"{move.Step} without a valid certificate"

            if not (within Activating Finished || Array.isEmpty move.Certificates) then
                yield $"a certificate is still there in {move.Step}"

            if within DeltaPass Activating && not (isFenced move) then
                yield $"{move.Step} without the Joint barrier"

            if within Cleaning Finished && not (hasEnded move) then
                yield $"{move.Step} before the ended route's barrier is confirmed"

            if within Reproving Finished && state.RetentionTimer <> -1L then
                yield $"{move.Step} before every shard has switched and the source was retained"

            for m in Array.append move.Owners (Move.takers move) do
                for KeyValue(kind, chore) in m.Chores do
                    match chore.Status with
                    | Busy sequence
                    | Resting sequence ->
                        if not (state.Outstanding.ContainsKey sequence) then
                            yield $"{kind} of {m.Replica} waits for an effect that is not outstanding"
                    | Idle
                    | Done -> ()

            match move.Writer.Status with
            | Busy sequence
            | Resting sequence ->
                yield!
                    unless
                        (move.Step = Draining && state.Outstanding.ContainsKey sequence)
                        "the writer is awaited, and was not asked"
            | Idle
            | Done -> ()

            yield!
                unless
                    (move.DrainTimer <= 0L || state.Outstanding.ContainsKey move.DrainTimer)
                    "the drain timer is not outstanding"
        ]
        |> List.map (fun broken -> $"{move.Source}: {broken}")

    let check (state: State) : string list =
        let count low high =
            state.Moves
            |> Array.filter (fun m -> m.Step >= low && m.Step <= high)
            |> Array.length

        let all step =
            state.Moves |> Array.forall (fun m -> m.Step = step)

        let publishing =
            state.Publishing
            |> Map.toList
            |> List.collect (fun (_, p) -> [ for change in p.Changes -> change.Shard ])

        let awaited =
            state.Outstanding
            |> Map.filter (fun _ (_, purpose) -> purpose = ForPublish)
            |> Map.keys
            |> Set.ofSeq

        if state.Status = Deposed then
            // Somebody else leads: what is published is no longer known here.
            []
        else
            [
                yield! state.Moves |> Seq.collect (ofMove state)
                yield! unless (count Joining Activating <= state.Limits.MaxJoint) "too many shards in Joint"
                yield! unless (count Reproving Cleaning <= state.Limits.MaxRetiring) "too many shards retire at once"
                yield! unless (List.distinct publishing = publishing) "a shard is published twice at once"
                yield! unless (awaited = Set.ofSeq state.Publishing.Keys) "a publish is not awaited"

                yield!
                    unless
                        (state.Outstanding
                         |> Map.forall (fun sequence _ -> sequence < state.NextSequence))
                        "an effect of the future is outstanding"

                match state.Status with
                | Running
                | Paused
                | Deposed -> ()
                | Aborting _ ->
                    yield! unless (not (Array.exists isRetiring state.Moves)) "aborted after a source has retired"
                | Completing -> yield! unless (all Finished) "completing before every shard has finished"
                | Complete ->
                    yield! unless (all Finished && publishing.IsEmpty) "complete before every shard has finished"
                | Aborted _ -> yield! unless (all Undone && publishing.IsEmpty) "aborted before every shard is back"
            ]

    let private publishes (state: State) (change: RouteChange) : string list =
        let move = state.Moves |> Array.tryFind (fun m -> m.Source = change.Shard)

        match state.Routes.TryFind change.Shard, change.Route with
        | None, None -> [ "takes out a route that is not there" ]
        | None, Some route ->
            unless
                (change.FromEpoch = 0L
                 && route.Stage = Owned
                 && state.Moves
                    |> Array.exists (fun m ->
                        m.Step = Retiring && m.Targets |> Array.exists (fun t -> t.Shard = route.Shard)))
                "a target gets a route before its source retires"
        | Some known, None ->
            unless
                (change.FromEpoch = known.Epoch
                 && known.Stage = Retired
                 && state.Moves |> Array.forall (fun m -> m.Step = Finished))
                "a route is taken out before every shard has finished"
        | Some known, Some route ->
            let sameMembers = known.Owners = route.Owners && known.Targets = route.Targets

            let mayFollow =
                match known.Stage, route.Stage, move with
                | before, after, _ when before = after ->
                    // A new writer, or a target that another source ends in: a term of its own either way.
                    sameMembers && route.Writer.Term > known.Writer.Term
                | Owned, Stage.Copying, Some m -> m.Step = Opening && known.Owners = route.Owners
                | Stage.Copying, Joint, Some m ->
                    m.Step = Joining
                    && sameMembers
                    && m.Takers |> Array.forall (confirmed Making Quorum.write)
                | Joint, Switched, Some m ->
                    m.Step = Activating
                    && sameMembers
                    && (isCertified m || state.Limits.SkipDeltaPass)
                    && isFenced m
                | Switched, Retired, Some m ->
                    m.Step = Retiring && sameMembers && isCertified m && not state.Plan.KeepsLayout
                | (Joint | Switched), Stage.Copying, Some m -> m.Step = FallingBack && sameMembers
                | (Stage.Copying | Joint | Switched), Owned, Some m when m.Step = Undoing ->
                    known.Owners = route.Owners && Array.isEmpty route.Targets
                | Switched, Owned, Some m ->
                    m.Step = Retiring
                    && isCertified m
                    && state.Plan.KeepsLayout
                    && route.Owners = m.Targets[0].Nodes
                    && route.Writer.Term > known.Writer.Term
                | _ -> false

            [
                yield!
                    unless
                        (change.FromEpoch = known.Epoch && route.Epoch = known.Epoch + 1L)
                        "a route does not follow the one that is published"

                yield!
                    unless
                        (route.Writer.Term >= known.Writer.Term
                         && (route.Writer.Term > known.Writer.Term || route.Writer = known.Writer))
                        "another writer without a term of its own"

                yield! unless mayFollow $"{known.Stage} may not become {route.Stage} now"
            ]

    /// A source's end and its targets' routes are one publish: each new term above both, each end fenced off.
    let private handsOver (state: State) (changes: RouteChange[]) : string list = [
        for change in changes do
            match change.Route, state.Routes.TryFind change.Shard with
            | Some ended, Some known when ended.Stage = Retired && known.Stage <> Retired ->
                for target in ended.Targets do
                    let heir =
                        changes
                        |> Array.tryPick (fun c -> if c.Shard = target.Shard then c.Route else None)

                    yield!
                        unless
                            (match heir with
                             | Some heir ->
                                 heir.Owners = target.Nodes
                                 && heir.Writer.Term > known.Writer.Term
                                 && Array.contains ended.Stamp heir.Fences
                             | None -> false)
                            $"{target.Shard} does not take {ended.Shard} over"
            | _ -> ()
    ]

    /// Other moves that count on the target's store already: an empty one would pass for a member that holds nothing.
    /// One that enters Joint in the very transition still has its delta pass before it.
    let private isCountedOn (state: State) (move: Move) (store: ShardId) =
        state.Moves
        |> Array.exists (fun other ->
            other.Source <> move.Source
            && other.Step >= Draining
            && other.Step <= Finished
            && other.Targets |> Array.exists (fun t -> t.Shard = store))

    let private drops (state: State) (move: Move) (replica: Replica) (command: DropCommand) : string list =
        let isServing =
            match state.Routes.TryFind replica.Store with
            | Some route -> route.Stage <> Retired && Array.contains replica.Node route.Owners
            | None -> false

        [
            yield! unless (not isServing) "drops what a current route gives to the node"

            match move.Step with
            | Cleaning ->
                yield! unless ((replicas (Move.leaving move)).Contains replica) "drops what is not left behind"
                yield! unless (isCertified move) "drops a source without a certificate"
                yield! unless (hasEnded move) "drops a source before the ended route's barrier is confirmed"
                yield! unless (stageFits state move) "drops a source before its end was published"
            | Clearing ->
                yield! unless ((replicas (Move.staging move)).Contains replica) "drops what is not staging"
                yield! unless (stageFits state move) "drops staging before the owners have the shard back"
                yield! unless (command.Migration = state.Plan.Migration) "drops what another migration may have made"
            | step -> yield $"drops a store in {step}"
        ]

    let private ofChore (state: State) (move: Move) (replica: Replica) (action: Action) : string list =
        let isTaker = (replicas (Move.takers move)).Contains replica
        let isOwner = (replicas move.Owners).Contains replica

        let current (stamp: RouteStamp) =
            match state.Routes.TryFind move.Source with
            | Some route -> unless (route.Stamp = stamp) "carries an epoch that is not the published one"
            | None -> [ "concerns a shard without a route" ]

        match action with
        | MakeStore(node, command) -> [
            yield! current command.Stamp
            yield! unless (move.Step = Step.Copying && isTaker && not isOwner) "makes a store that is not staging"
            yield! unless (node = replica.Node && command.Store = replica.Store) "makes another store"
            yield! unless (not (isCountedOn state move command.Store)) "makes a store that other sources count on"
          ]
        | RaiseBarrier(_, command) -> current command.Stamp
        | Reconcile(_, command) ->
            let sources =
                command.Sources |> Array.map (fun s -> { Node = s.Node; Store = s.Store })

            let owned =
                sources
                |> Array.choose (fun s -> move.Owners |> Array.tryFind (fun o -> o.Replica = s))

            [
                yield! current command.Stamp
                yield! unless (isTaker && owned.Length = sources.Length && sources.Length > 0) "copies between others"

                match command.Mode with
                | ReconcileMode.Copy ->
                    yield! unless (move.Step = Step.Copying && not isOwner) "fills a store that is not staging"
                | _ ->
                    yield!
                        unless
                            (move.Step = DeltaPass
                             && owned.Length >= Quorum.barrier move.Owners.Length
                             && owned |> Array.forall (fun o -> o.Is(Fencing, Done))
                             && isNull (box command.After))
                            "a delta pass that is not over owners behind the Joint barrier"
            ]
        | DropStore(node, command) -> [
            yield! current command.Stamp
            yield! unless (node = replica.Node && command.Store = replica.Store) "drops another store"
            yield! drops state move replica command
          ]
        | Publish _
        | Inspect _
        | AskWriter _
        | Cancel _
        | Wait _ -> [ "is no chore" ]

    let allows (state: State) (effect: Effect) : string list =
        let broken =
            match state.Outstanding |> Map.tryFind effect.Sequence, effect.Action with
            | Some(_, ForChore(i, replica, _)), action -> ofChore state state.Moves[i] replica action
            | Some(_, ForPublish), Publish(changes, _) -> [
                yield! changes |> Seq.collect (publishes state)
                yield! handsOver state changes
              ]
            | Some(_, (ForRest _ | ForDrain _ | ForRetention | ForPublish)), Wait milliseconds ->
                unless (milliseconds >= 0) "waits backwards"
            | Some(_, ForPublish), Inspect _ -> []
            | Some(_, ForWriter i), AskWriter(_, stamp) ->
                let move = state.Moves[i]

                unless
                    (move.Step = Draining
                     && stamp.Shard = move.Source
                     && stamp.Epoch = move.JointEpoch)
                    "asks for writes that no drain waits for"
            | Some(_, purpose), _ -> [ $"does not fit {purpose}" ]
            | None, RaiseBarrier(_, command) ->
                unless
                    (match state.Routes.TryFind command.Stamp.Shard with
                     | Some route -> route.Stamp = command.Stamp
                     | None -> false)
                    "carries an epoch that is not the published one"
            // Taken back in the same transition, or nothing that touches the world.
            | None, _ -> []

        [
            yield! unless (effect.Migration = state.Plan.Migration) "is another migration's"
            yield! unless (effect.Sequence < state.NextSequence) "has a number that may be given again"
            yield! broken
        ]
        |> List.map (fun why -> $"effect {effect.Sequence}: {why}")
