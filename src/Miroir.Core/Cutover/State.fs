namespace Miroir.Core.Cutover

open System
open Miroir.Core

/// What is done to one replica of a move, over and over until it is done.
type TaskKind =
    /// Make the staging store.
    | Making
    | Filling
    /// Raise the Joint barrier on an owner.
    | Fencing
    /// The delta pass on a target.
    | Passing
    /// Ask for the incarnation once more.
    | Checking
    /// Ask now and then whether the store is still what it was, while the source is kept.
    | Watching
    /// Raise the ended route's barrier on a target.
    | Ending
    | Dropping

type TaskStatus =
    | Idle
    /// Its effect is out.
    | Busy of sequence: int64
    /// It failed; a timer is running.
    | Resting of sequence: int64
    | Done

/// One thing to do to one replica, and how it goes.
type Chore = {
    Status: TaskStatus
    /// Failures in a row.
    Failures: int
    LastError: string
} with

    static member Fresh = {
        Status = Idle
        Failures = 0
        LastError = ""
    }

/// One replica's part in a move.
type Member = {
    Replica: Replica
    Chores: Map<TaskKind, Chore>
    /// As made, or as confirmed with the Joint barrier; Guid.Empty: not known.
    Incarnation: Guid
    /// How far its copy is, durably.
    Position: Key option
    Copied: int64
    CopiedBytes: int64
    /// Copied in the streams before the one that runs.
    CopiedBefore: int64
    BytesBefore: int64
    /// The outcome of its delta pass.
    Pass: ReconcileProgress option
} with

    member this.Chore kind =
        this.Chores |> Map.tryFind kind |> Option.defaultValue Chore.Fresh

    member this.Is(kind, status) = (this.Chore kind).Status = status

    static member Of(replica: Replica) = {
        Replica = replica
        Chores = Map.empty
        Incarnation = Guid.Empty
        Position = None
        Copied = 0L
        CopiedBytes = 0L
        CopiedBefore = 0L
        BytesBefore = 0L
        Pass = None
    }

/// Where a source shard is on its way. Order matters: it is how far.
type Step =
    | Queued
    /// Copying is being published.
    | Opening
    | Copying
    /// Copied; dual-writing until the cutover.
    | Ready
    /// Joint is being published.
    | Joining
    /// The Joint barrier is being raised.
    | Draining
    | DeltaPass
    /// Incarnations are asked for before Switched.
    | Proving
    /// Switched is being published.
    | Activating
    | Holding
    /// Incarnations are asked for before Retiring.
    | Reproving
    /// The end of the route is being published.
    | Retiring
    /// The ended route's barrier is being raised on the targets.
    | Closing
    | Cleaning
    | Finished
    /// Copying is being published again, after Joint or Switched.
    | FallingBack
    /// Owned is being published again.
    | Undoing
    /// Owned by the old owners; staging is being dropped.
    | Clearing
    | Undone

type Move = {
    Source: ShardId
    Targets: TargetShard[]
    Step: Step
    /// One more with each fall back: what an earlier try left is not taken for this one's.
    Attempt: int
    Owners: Member[]
    /// The members of each target, in order of Targets.
    Takers: Member[][]
    /// The epoch at which Joint was entered; 0 before.
    JointEpoch: int64
    /// The drain timer's sequence; 0: none; -1: it has run out.
    DrainTimer: int64
    Certificates: Certificate[]
    /// Why it waits or fell back.
    Reason: string
    /// Fell back: only another `cutover` takes it up again.
    Held: bool
    StepSinceUnixMs: int64
    DrainMs: int64
    /// Asking the writer, while draining, for the writes that began before Joint.
    Writer: Chore
    /// As the writer last told.
    OpenWrites: OpenWrites
    DeltaCompared: int64
    DeltaCopied: int64
    /// Replicas that could not be dropped and are left for `doctor`.
    Leftovers: Replica[]
}

type Status =
    | Running
    | Paused
    | Aborting of reason: string
    /// The new layout is being made the index's own.
    | Completing
    | Complete
    | Aborted of reason: string
    /// Another leader wrote; this interpreter must stop.
    | Deposed

/// Whom an outstanding effect's answer is for.
type Purpose =
    | ForChore of move: int * replica: Replica * kind: TaskKind
    /// The pause after a failure.
    | ForRest of move: int * replica: Replica * kind: TaskKind
    | ForDrain of move: int
    | ForWriter of move: int
    | ForPublish
    | ForRetention
    | ForNothing

/// A publish whose answer is awaited: the changes, as they would have to be found in the metadata.
type PendingPublish = {
    Changes: RouteChange[]
    Layout: LayoutChange option
}

type State = {
    Plan: Plan
    Limits: Limits
    Status: Status
    /// Routes this migration answers for, as last known to be published.
    Routes: Map<ShardId, Route>
    Moves: Move[]
    CutoverOrdered: bool
    /// Effects whose answer is awaited: what a new leader performs again.
    Outstanding: Map<int64, Effect * Purpose>
    /// Publishes under way, by the sequence of the effect that will answer.
    Publishing: Map<int64, PendingPublish>
    /// Writers waiting for a publish of the same shard to end.
    Writers: Map<ShardId, string * int64>
    /// The timer over the time that the source is retained; 0: not begun; -1: over.
    RetentionTimer: int64
    NextSequence: int64
    /// Newest first.
    Timeline: (string * int64 * string) list
    StartedAtUnixMs: int64
    FinishedAtUnixMs: int64
    NowUnixMs: int64
} with

    /// Whether the route of this shard is the migration's to change: one of its own, or one that it is publishing. The
    /// metadata may show a new route before the answer to its publish is here.
    member this.AnswersFor(shard: ShardId) : bool =
        this.Routes.ContainsKey shard
        || this.Publishing
           |> Map.exists (fun _ pending -> pending.Changes |> Array.exists (fun change -> change.Shard = shard))

    member this.IsEnded =
        match this.Status with
        | Complete
        | Aborted _
        | Deposed -> true
        | Running
        | Paused
        | Aborting _
        | Completing -> false

[<RequireQualifiedAccess>]
module Move =

    let takers (move: Move) : Member[] = Array.concat move.Takers

    /// Staging replicas: those of the targets that were not owners of the same store before.
    let staging (move: Move) : Member[] =
        let owners = move.Owners |> Array.map _.Replica |> Set.ofArray
        takers move |> Array.filter (fun m -> not (owners.Contains m.Replica))

    /// Owners' replicas that no target keeps: what cleanup deletes.
    let leaving (move: Move) : Member[] =
        let kept = takers move |> Array.map _.Replica |> Set.ofArray
        move.Owners |> Array.filter (fun m -> not (kept.Contains m.Replica))

    let mapMember (replica: Replica) (change: Member -> Member) (move: Move) : Move =
        let apply (m: Member) =
            if m.Replica = replica then change m else m

        {
            move with
                Owners = Array.map apply move.Owners
                Takers = move.Takers |> Array.map (Array.map apply)
        }

    let tryMember (replica: Replica) (move: Move) : Member option =
        Seq.append (takers move) move.Owners
        |> Seq.tryFind (fun m -> m.Replica = replica)

    /// The move with its chores of these kinds as if never begun.
    let forget (kinds: TaskKind list) (move: Move) : Move =
        let clear (m: Member) = {
            m with
                Chores = m.Chores |> Map.filter (fun kind _ -> not (List.contains kind kinds))
        }

        {
            move with
                Owners = Array.map clear move.Owners
                Takers = move.Takers |> Array.map (Array.map clear)
        }

[<RequireQualifiedAccess>]
module Phase =

    /// The phase shown to people, of one shard.
    let ofStep (step: Step) : string =
        match step with
        | Queued
        | Opening -> "ComputingAssignments"
        | Copying
        | Ready
        | FallingBack -> "DualWriteMigrating"
        | Joining -> "CutoverBegin"
        | Draining -> "CutoverDraining"
        | DeltaPass
        | Proving -> "CutoverDeltaPass"
        | Activating
        | Holding
        | Reproving -> "CutoverActivate"
        | Retiring
        | Closing
        | Cleaning -> "CutoverCleanup"
        | Finished -> "Complete"
        | Undoing
        | Clearing -> "Aborting"
        | Undone -> "Aborted"

    /// The migration's: of the least advanced shard in cutover, or of the least advanced one where none is in it.
    let ofState (state: State) : string =
        match state.Status with
        | Complete -> "Complete"
        | Aborted _ -> "Aborted"
        | Deposed -> "Failed"
        | Aborting _ -> "Aborting"
        | Completing -> "CutoverCleanup"
        | Running
        | Paused ->
            let steps = state.Moves |> Array.map _.Step
            let inCutover = steps |> Array.filter (fun s -> s >= Joining && s < Finished)
            ofStep (Array.min (if inCutover.Length > 0 then inCutover else steps))
