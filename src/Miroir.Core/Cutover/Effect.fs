namespace Miroir.Core.Cutover

open Miroir.Core

/// A route that is to be published where the metadata still hold the epoch that it follows.
type RouteChange = {
    Shard: ShardId
    /// The epoch published before; 0: there must be no route yet.
    FromEpoch: int64
    /// None: the route is taken out of the table.
    Route: Route option
}

/// The layout that an index's record is to name, and the highest generation used.
type LayoutChange = {
    Index: string
    Layout: LayoutInfo
    LastGeneration: int
}

/// Something done to the world, as data. The interpreter performs it, as often as it takes, and feeds the answer back.
type Action =
    /// All or nothing, by compare-and-set. Where the metadata hold just this already, it is published.
    | Publish of changes: RouteChange[] * layout: LayoutChange option
    /// Read back what is published: after a publish whose outcome is unknown.
    | Inspect of shards: ShardId[]
    | MakeStore of node: string * command: MakeCommand
    | RaiseBarrier of node: string * command: BarrierCommand
    | Reconcile of node: string * command: ReconcileCommand
    | DropStore of node: string * command: DropCommand
    /// How many writes that began under an older epoch than the stamp's are open at the shard's writer: answered once
    /// there is none, or after a while.
    | AskWriter of router: string * stamp: RouteStamp
    /// Stop performing that effect; no answer is wanted any more.
    | Cancel of sequence: int64
    | Wait of milliseconds: int

/// An action with its identity: what makes repeating it harmless and a late answer to an earlier attempt recognisable.
type Effect = {
    Migration: int64
    /// Never used twice within a migration.
    Sequence: int64
    Action: Action
}

/// Writes that began under an older epoch and have no outcome yet.
[<Struct>]
type OpenWrites = {
    Count: int
    /// How long the oldest has been open, ms; 0 where there is none.
    OldestMs: int64
}

/// What came of an effect.
type Answer =
    | Published
    /// The metadata hold something else: somebody else leads.
    | PublishConflict
    | PublishUnknown of why: string
    /// In the order asked; None: no such route.
    | Inspected of routes: Route option[]
    | MakeAnswered of MakeReply
    | BarrierAnswered of BarrierReply
    /// A reconcile goes on.
    | Progressed of ReconcileProgress
    /// A reconcile ended.
    | ReconcileAnswered of ReconcileReply
    | DropAnswered of DropReply
    | WritesOpen of OpenWrites
    | Elapsed
    /// No answer came: what was asked may or may not have happened.
    | Unreachable of why: string

/// What an operator or the coordinator wants of a migration.
type Order =
    | Cutover
    | Pause
    | Resume
    /// Back to the old owners, until the first shard retires.
    | Abort of reason: string
    /// A value below 0 leaves it as it is.
    | Tune of throttle: int * drainTimeoutMs: int
    /// Anti-entropy has compared confirmed owners with a target, as the delta pass would have: what releases a source
    /// that is kept since its delta pass was skipped.
    | Certify of source: ShardId * certificate: Certificate
    /// A live router incarnation takes a shard's writes over.
    | AssignWriter of shard: ShardId * router: string * incarnation: int64

/// Everything that can happen to a migration. The journal is a list of these.
type Event =
    | Started of Plan
    | Answered of sequence: int64 * answer: Answer
    | Ordered of Order

/// An event with the wall clock of the coordinator that saw it: shown to people, never compared.
type Observation = { AtUnixMs: int64; Event: Event }
