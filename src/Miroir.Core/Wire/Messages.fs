namespace Miroir.Core

open System

/// Why a node would not do what it was asked although it could be reached. Sent on the wire by number: append only.
type RefusalCode =
    /// The disk, or the shard's allowance, is full.
    | DiskFull = 1
    /// The key is not in the range of the shard it was sent to.
    | WrongShard = 2
    /// The shard's file can't be read.
    | Corrupt = 3
    /// Bounds of the node's queues are reached: try later.
    | Overloaded = 4
    /// A fault that a test asked for.
    | Injected = 5
    /// Anything else; the message says it.
    | Failed = 6

[<Struct>]
type Refusal = { Code: RefusalCode; Message: string }

/// Put one version of one document into one store, following a route.
type PutCommand = {
    /// The route followed: the moving shard's own, also where the store is a target's.
    Stamp: RouteStamp
    Store: ShardId
    Document: Document
}

/// A node's durable answer to a put. That no answer came is not one of them.
type PutReply =
    /// Stored. `PreviousWasLive`: whether there was a live document under the key just before.
    | Applied of PreviousWasLive: bool
    /// The store holds this version, which is the same or a greater one.
    | Superseded of Stored: DocumentVersion
    /// The barrier stands at this epoch; the route is the one that the node was told, if any.
    | StaleEpoch of Epoch: int64 * Route: Route option
    /// The store is not there, or not yet made for this epoch.
    | NotServing
    | Refused of Refusal

type ReadCommand = {
    Stamp: RouteStamp
    Store: ShardId
    Key: Key
}

type ReadReply =
    /// The stored version, tombstones included.
    | Found of Document
    /// Nothing is stored under the key: version zero.
    | Absent
    | ReadStaleEpoch of Epoch: int64 * Route: Route option
    | ReadNotServing
    | ReadRefused of Refusal

/// Raise a barrier, and say in which incarnation a store stands behind it.
type BarrierCommand = {
    /// From now on, and for ever, nothing under an older epoch of this shard's route is admitted.
    Stamp: RouteStamp
    /// The store whose membership is asked for.
    Store: ShardId
    /// The published route of that epoch, for those that come later with an older one.
    Route: Route option
}

type BarrierReply =
    /// The barrier stands at the epoch asked for, durably, and the store serves in this incarnation.
    | Confirmed of Incarnation: Guid
    /// The barrier stands, but the store does not serve: it counts for no quorum.
    | ConfirmedNotServing
    /// It stands higher already.
    | BarrierAbove of Epoch: int64
    | BarrierRefused of Refusal

/// Make a store: a new shard's on its owner, or a staging one on a target. Idempotent: a late or repeated
/// making of what is there wipes nothing and answers with the incarnation that it has.
type MakeCommand = {
    Stamp: RouteStamp
    Store: ShardId
    Range: HashRange
    /// The migration it is made for; 0 for a new index.
    Migration: int64
    /// Which try of that migration.
    Attempt: int
}

type MakeReply =
    | Made of Incarnation: Guid
    | MakeStaleEpoch of Epoch: int64
    | MakeRefused of Refusal

/// Delete a store's data; its barrier stays. Carries its epoch, so that a deposed leader deletes nothing.
type DropCommand = {
    Stamp: RouteStamp
    Store: ShardId
    /// Only this incarnation; Guid.Empty where it was never learned (a staging of a failed attempt).
    Incarnation: Guid
    /// Only what was made for this migration; 0: whatever was made.
    Migration: int64
}

type DropReply =
    | Dropped
    | AlreadyGone
    | DropStaleEpoch of Epoch: int64
    /// Another incarnation, or another migration's: left alone.
    | NotTheSame
    | DropRefused of Refusal

/// One page of a store in key order.
type ScanCommand = {
    Stamp: RouteStamp
    Store: ShardId
    Range: HashRange
    /// Start behind this key; null: at the start of the range.
    After: Key | null
    /// Entries in a page at most.
    MaxEntries: int
    /// Bytes of bodies in a page at most (one document may be larger).
    MaxBytes: int
    WithBodies: bool
}

type ScanPage = {
    Entries: Entry[]
    /// As many as entries, or none where they were not asked for.
    Bodies: ReadOnlyMemory<byte>[]
    /// Nothing in the range is behind this page.
    IsLast: bool
} with

    member this.Document(i: int) =
        Document(this.Entries[i], this.Bodies[i])

type ScanReply =
    | Page of ScanPage
    | ScanStaleEpoch of Epoch: int64 * Route: Route option
    | ScanNotServing
    | ScanRefused of Refusal

/// Whether a store answers for its data. Sent on the wire by number: append only.
type StoreHealth =
    | Serving = 0
    /// It is being filled from the other replicas, and answers nothing until it holds what they hold.
    | Filling = 1
    /// Its file is unusable, or not the one that was written last: it answers nothing until it has been rebuilt.
    | Quarantined = 2

/// What a node tells of one of its stores.
type StoreStatus = {
    Store: ShardId
    Range: HashRange
    Incarnation: Guid
    Migration: int64
    Attempt: int
    /// Live documents.
    Documents: int64
    Tombstones: int64
    /// Bytes on disk, logs included.
    Bytes: int64
    /// Puts that were refused by a test's fault switch or by the disk.
    FailedPuts: int64
    Health: StoreHealth
}

type NodeStatus = {
    Name: string
    /// Which start of the process.
    Incarnation: Guid
    Version: string
    Stores: StoreStatus[]
    LastError: string
}

/// What a target does to become like its sources.
type ReconcileMode =
    /// The first fill, from one source, throttled.
    | Copy = 0
    /// The delta pass: the merge of every source, compared with the target, what it lacks fetched.
    | Delta = 1
    /// A replica that lost its data, or must not trust it, is made anew and filled: a copy of the first source, then the
    /// merge of all. It serves once it dominates that merge.
    | Rebuild = 2
    /// Only the tail of the change log: for a target that needed no delta pass.
    | ChangeLog = 3

/// A member that a target reads from.
type SourceReplica = {
    Node: string
    Address: string
    Store: ShardId
    /// Guid.Empty in a copy; in a delta pass the incarnation that confirmed the barrier.
    Incarnation: Guid
}

/// Asked of a target node: pull what its store lacks of a source shard's range.
type ReconcileCommand = {
    /// The source shard's route.
    Stamp: RouteStamp
    /// The target's store.
    Store: ShardId
    /// The part of the source's range that falls to this target.
    Range: HashRange
    Sources: SourceReplica[]
    Mode: ReconcileMode
    /// Go on behind this key; null: from the start.
    After: Key | null
    /// Documents per second; 0: unlimited.
    DocumentsPerSecond: int
    Migration: int64
    Attempt: int
}

/// How far a reconcile is. The last one of a whole pass has `IsComplete`.
type ReconcileProgress = {
    /// Everything up to this key is dominated, durably; null: nothing yet.
    Position: Key | null
    /// Keys of the merge that were compared since the start of this command.
    Compared: int64
    /// Documents (tombstones included) put into the target since the start of this command.
    Copied: int64
    CopiedBytes: int64
    /// Of these, tombstones.
    CopiedTombstones: int64
    /// Sum of the entry digests of the merge.
    MergeDigest: Digest
    /// The greatest version seen.
    Watermark: DocumentVersion
    /// The store's incarnation.
    Incarnation: Guid
    IsComplete: bool
}

type ReconcileReply =
    | Progress of ReconcileProgress
    | ReconcileStaleEpoch of Epoch: int64
    | ReconcileNotServing
    /// A source failed or answered something unusable; who, and why.
    | SourceFailed of Node: string * Message: string
    | ReconcileRefused of Refusal

/// What a write does to its document.
type WriteIntent =
    /// Replace the document, or add it.
    | Replace = 0
    /// Set the fields given, keep the others; add it where there is none.
    | Merge = 1
    | Delete = 2

/// When a write may happen.
[<Struct>]
type Condition =
    | Always
    /// Only while the document has this version (If-Match).
    | IfVersion of DocumentVersion
    /// Only while there is no live document (If-None-Match: *).
    | IfAbsent
    /// Only while there is a live document (If-Match: *).
    | IfPresent

/// One document's write as a client asked for it.
type WriteCommand = {
    Index: string
    Key: Key
    Intent: WriteIntent
    /// A JSON object in UTF-8; empty for a delete.
    Body: ReadOnlyMemory<byte>
    Condition: Condition
    OperationId: Guid
}

type WriteOutcome =
    /// Acknowledged: a write quorum of every set holds it. `WasLive`: a live document was there before, as far as
    /// the answering nodes knew.
    | Written of Version: DocumentVersion * WasLive: bool
    /// The condition did not hold; nothing was written. The version found: zero where there was none.
    | ConditionFailed of Found: DocumentVersion
    /// Neither success nor failure is known: it may be there, or may appear.
    | Unknown of Why: string
    /// Certainly not written.
    | Rejected of Refusal

/// A put whose term ended before it was acknowledged, handed to the writer of the term that serves its key now.
type InspectCommand = {
    Command: WriteCommand
    /// The version given in the ended term.
    Issued: DocumentVersion
    /// Where the write is conditional, what its condition was checked against (zero: absent).
    CheckedBase: DocumentVersion voption
    /// Whether a live document was there, as far as its first writer knew.
    WasLive: bool
}

type ReadOutcome =
    /// Confirmed, or for an eventual read what one node had. A tombstone is answered as Nothing.
    | Value of Document
    | Nothing of Version: DocumentVersion
    /// No answer that the consistency asked for allows could be had in time.
    | Unavailable of Why: string
