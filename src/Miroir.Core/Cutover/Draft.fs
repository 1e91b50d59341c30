namespace Miroir.Core.Cutover

open System
open Miroir.Core
open Miroir.Core.Cutover

/// A state being changed within one transition: the only mutation in the core, and it never leaves `Transition.step`.
[<Sealed>]
type internal Draft(initial: State) =
    let effects = ResizeArray<Effect>()
    let mutable state = initial

    member _.State
        with get () = state
        and set value = state <- value

    member _.Effects = List.ofSeq effects

    /// Hands an effect out. One whose answer is wanted stays outstanding until it is answered.
    member _.Issue (action: Action) (purpose: Purpose) : int64 =
        let sequence =
            match purpose with
            | ForChore(i, replica, kind) when Mutants.staleAttemptAccepted () ->
                let among = Seq.append (Move.takers state.Moves[i]) state.Moves[i].Owners
                let at = among |> Seq.findIndex (fun m -> m.Replica = replica)

                1_000_000L
                + (match kind with
                   | Making -> 0L
                   | Filling -> 1L
                   | Fencing -> 2L
                   | Passing -> 3L
                   | Checking -> 4L
                   | Ending -> 5L
                   | Watching -> 7L
                   | Dropping -> 6L)
                + 10L * int64 at
                + 1000L * int64 i
            | _ -> state.NextSequence

        let effect = {
            Migration = state.Plan.Migration
            Sequence = sequence
            Action = action
        }

        effects.Add effect

        state <- {
            state with
                NextSequence = state.NextSequence + 1L
                Outstanding =
                    if purpose = ForNothing then
                        state.Outstanding
                    else
                        Map.add sequence (effect, purpose) state.Outstanding
        }

        sequence

    member _.Move(i: int) = state.Moves[i]

    member _.SetMove (i: int) (move: Move) =
        state <- {
            state with
                Moves = Array.updateAt i move state.Moves
        }

    member this.ChangeMove (i: int) (change: Move -> Move) = this.SetMove i (change state.Moves[i])

    member this.SetStep (i: int) (step: Step) =
        this.ChangeMove i (fun m -> {
            m with
                Step = step
                StepSinceUnixMs = state.NowUnixMs
        })

    member this.SetChore (i: int) (replica: Replica) (kind: TaskKind) (chore: Chore) =
        this.ChangeMove
            i
            (Move.mapMember replica (fun m -> {
                m with
                    Chores = m.Chores.Add(kind, chore)
            }))

    member _.Route(shard: ShardId) : Route = state.Routes[shard]

    member this.SourceRoute(i: int) : Route = this.Route (this.Move i).Source

    /// A publish of this shard's route is awaited.
    member _.IsPublishing(shard: ShardId) : bool =
        state.Publishing
        |> Map.exists (fun _ p -> p.Changes |> Array.exists (fun c -> c.Shard = shard))

    /// What is published is known to be.
    member _.Apply(changes: RouteChange[]) =
        for change in changes do
            state <- {
                state with
                    Routes =
                        match change.Route with
                        | Some route -> state.Routes.Add(change.Shard, route)
                        | None -> state.Routes.Remove change.Shard
            }

    /// Publishes, unless a publish of one of these shards is still awaited. True: it is under way.
    member this.Publish (changes: RouteChange[]) (layout: LayoutChange option) : bool =
        if changes |> Array.exists (fun c -> this.IsPublishing c.Shard) then
            false
        else
            let sequence = this.Issue (Publish(changes, layout)) ForPublish

            state <- {
                state with
                    Publishing = state.Publishing.Add(sequence, { Changes = changes; Layout = layout })
            }

            if Mutants.publishNotAwaited () then
                this.Apply changes

            true

    /// Publishes a source's route one epoch on.
    member this.PublishNext (i: int) (change: Route -> Route) : bool =
        let route = this.SourceRoute i

        this.Publish
            [|
                {
                    Shard = route.Shard
                    FromEpoch = route.Epoch
                    Route =
                        Some {
                            change route with
                                Epoch = route.Epoch + 1L
                        }
                }
            |]
            None

    /// Takes an effect's answer off the list, and stops a long one from being performed.
    member this.Withdraw(wanted: Purpose -> bool) =
        let gone = state.Outstanding |> Map.filter (fun _ (_, purpose) -> wanted purpose)

        for KeyValue(sequence, (effect, _)) in gone do
            state <- {
                state with
                    Outstanding = state.Outstanding.Remove sequence
            }

            match effect.Action with
            | Reconcile _ -> this.Issue (Cancel sequence) ForNothing |> ignore
            | _ -> ()

    /// Everything outstanding of a move is withdrawn, and chores that were under way are to begin again.
    member this.WithdrawMove(i: int) =
        this.Withdraw(function
            | ForChore(move, _, _)
            | ForRest(move, _, _)
            | ForDrain move
            | ForWriter move -> move = i
            | ForPublish
            | ForRetention
            | ForNothing -> false)

        let rest (m: Member) = {
            m with
                CopiedBefore = m.Copied
                BytesBefore = m.CopiedBytes
                Chores =
                    m.Chores
                    |> Map.map (fun _ chore ->
                        match chore.Status with
                        | Busy _
                        | Resting _ -> { chore with Status = Idle }
                        | Idle
                        | Done -> chore)
        }

        this.ChangeMove i (fun m -> {
            m with
                DrainTimer = 0L
                Writer = if m.Writer.Status = Done then m.Writer else Chore.Fresh
                Owners = Array.map rest m.Owners
                Takers = m.Takers |> Array.map (Array.map rest)
        })

    /// A chore's effect goes out, unless it is out, resting or done.
    member this.Ensure (i: int) (m: Member) (kind: TaskKind) (action: unit -> Action) =
        let chore =
            match Move.tryMember m.Replica (this.Move i) with
            | Some current -> current.Chore kind
            | None -> Chore.Fresh

        if chore.Status = Idle then
            let sequence = this.Issue (action ()) (ForChore(i, m.Replica, kind))
            this.SetChore i m.Replica kind { chore with Status = Busy sequence }

    member this.Succeed (i: int) (replica: Replica) (kind: TaskKind) =
        this.SetChore i replica kind {
            Status = Done
            Failures = 0
            LastError = ""
        }

    /// The chore rests, twice as long each time, and is tried again.
    member this.Fail (i: int) (replica: Replica) (kind: TaskKind) (why: string) =
        match Move.tryMember replica (this.Move i) with
        | None -> ()
        | Some m ->
            let chore = m.Chore kind
            let doublings = min chore.Failures 16

            let pause =
                min state.Limits.MaxRetryMs (state.Limits.RetryMs <<< doublings |> max 1)

            let sequence = this.Issue (Wait pause) (ForRest(i, replica, kind))

            this.SetChore i replica kind {
                Status = Resting sequence
                Failures = chore.Failures + 1
                LastError = why
            }
