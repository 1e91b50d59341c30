namespace Miroir.Core

/// What a replica said of a key, or that it did not.
[<RequireQualifiedAccess>]
type ReadInput =
    | Replied of Epoch: int64 * Replica: Replica * Reply: ReadReply
    | NoAnswer of Epoch: int64 * Replica: Replica
    /// Ask again those that failed (in the key's queue at the writer only).
    | Retry
    /// The time set aside for asking is over.
    | OutOfPatience

/// The highest version that the replicas asked were found to hold.
[<Struct>]
type Finding = {
    /// null where it is version zero.
    Document: Document | null
    Version: DocumentVersion
    /// In every set a write quorum holds exactly this version.
    IsConfirmed: bool
    /// A write quorum of the owners holds exactly this version: it was there for good before this read.
    IsHeld: bool
}

[<RequireQualifiedAccess>]
type ReadVerdict =
    | Asking
    | Found of Finding
    /// Can't be confirmed by asking alone: only the shard's writer may put back.
    | PassToWriter of Why: string
    /// A node follows a newer epoch: start again from asking, under that route.
    | StartAgain of Epoch: int64 * Route: Route option

/// One replica's part in a read.
[<Struct>]
type internal Heard =
    | Nothing
    | Failed
    | Holds of (Document | null)

    member Version: DocumentVersion

/// A read's life under one route. Immutable.
[<Sealed>]
type ReadState =
    member Route: Route
    /// Each replica of every quorum set, once: all of them are to be asked at the start.
    member Replicas: Replica[]
    member Verdict: ReadVerdict
    member IsOpen: bool
    /// Whether a retry would ask anyone.
    member HasFailed: bool
    /// By replica: what tells two states of one route apart.
    member internal Heard: Heard[]

/// A confirmed read through any router: the highest version of all replies, once in every set a write quorum
/// holds exactly that version. Absence is version zero and needs the same.
[<RequireQualifiedAccess>]
module ReadMachine =
    val start: route: Route -> keyHash: uint64 -> ReadState
    val step: state: ReadState -> input: ReadInput -> ReadState

/// The read in the key's queue at the writer: the highest version of a write quorum of every set, whether or not
/// it is confirmed. Who answers a client from it puts it back first where it is not.
[<RequireQualifiedAccess>]
module WriterRead =
    val start: route: Route -> keyHash: uint64 -> ReadState
    /// The replicas to ask (again) come with a retry.
    val step: state: ReadState -> input: ReadInput -> struct (ReadState * Replica[])
