namespace Miroir.Core

/// Why a version is being put.
type PutPurpose =
    /// The shard's writer has just given the version.
    | NewVersion = 0
    /// A read in the key's queue found it short of a write quorum, and puts it back.
    | PutBack = 1

/// How far one replica is under the current epoch.
type ReplicaProgress =
    /// Sent, not answered yet.
    | Awaited = 0
    /// Answered that it holds the version, or a greater one of the same term.
    | Holding = 1
    /// Refused, or no answer came: goes out again with the next retry.
    | Missing = 2
    /// Will not take it under this epoch, however often it is asked.
    | Barred = 3
    /// Refused since its disk is full: goes out again with the next retry, if there is one.
    | Full = 4

[<RequireQualifiedAccess>]
type WriteVerdict =
    | Open
    /// A write quorum of every set holds it under one epoch. `WasLive`: an answering node had a live document before.
    | Acknowledged of WasLive: bool
    /// This route ended the writer's term over the key: only inspection can tell what became of the put.
    | Inspect of EndedBy: Route
    /// A put-back met a version of another term: what it puts back is no longer the highest. Read again.
    | Overtaken of Stored: DocumentVersion
    /// Full disks leave no write quorum, and the version is nowhere and can land nowhere: it must not be sent again.
    | DiskFull of Refusal
    | Unknown of Why: string

[<RequireQualifiedAccess>]
type WriteInput =
    /// A replica's answer to a put that was sent under an epoch.
    | Replied of Epoch: int64 * Replica: Replica * Reply: PutReply
    /// A put that was sent under an epoch was not answered (in time).
    | NoAnswer of Epoch: int64 * Replica: Replica
    /// The route of the shard as it is known now.
    | RouteIs of Route
    /// Time to send again what was refused or not answered.
    | Retry
    | Deadline
    /// An operator gives it up.
    | GivenUp of Why: string

[<RequireQualifiedAccess>]
type WriteEffect =
    /// Put the version and body of this write on these replicas, under this epoch.
    | Send of Epoch: int64 * Replicas: Replica[]
    /// A node knows a newer epoch of the route, and perhaps the route itself.
    | LearnRoute of Epoch: int64 * Route: Route option

/// One versioned put's life at its shard's writer (protocol.md, section 2). Immutable.
[<Sealed>]
type WriteState =
    member Version: DocumentVersion
    /// The route whose epoch alone counts.
    member Route: Route
    /// Each replica of the stage once, those that decide nothing included.
    member Replicas: Replica[]
    member Progress: ReplicaProgress[]
    member Verdict: WriteVerdict
    member IsOpen: bool
    /// Whether a retry would send anything.
    member HasMissing: bool
    member HasAwaited: bool

[<RequireQualifiedAccess>]
module WriteMachine =

    /// A write of `version` to a key of this hash. `route` names the writer that runs the machine, in the term that
    /// must go on for a put to be repeated.
    val start:
        route: Route ->
        keyHash: uint64 ->
        version: DocumentVersion ->
        purpose: PutPurpose ->
            struct (WriteState * WriteEffect list)

    /// Total. What comes late, twice, or from another epoch changes nothing; nor does anything after the verdict.
    val step: state: WriteState -> input: WriteInput -> struct (WriteState * WriteEffect list)
