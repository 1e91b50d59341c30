namespace Miroir.Core

open System

/// One write in a shard's change log: what was written, not its body.
[<Sealed>]
type Change(position: DocumentVersion, key: Key, version: DocumentVersion, isDelete: bool, operationId: Guid) =

    /// Where it stands in the feed of its shard, which is in order of positions: the version itself, but for a version
    /// that became certain only after its writer's term, and then stands where the next writer placed it.
    member _.Position = position
    member _.Key = key
    member _.Version = version
    member _.IsDelete = isDelete
    /// The client's operation that made this version: the event's id.
    member _.OperationId = operationId

    /// As a put logs it.
    static member Of(entry: Entry) =
        Change(entry.Version, entry.Key, entry.Version, entry.IsTombstone, entry.OperationId)

    /// The same write, where a later writer placed it.
    static member At(position: DocumentVersion, entry: Entry) =
        Change(position, entry.Key, entry.Version, entry.IsTombstone, entry.OperationId)

    override _.ToString() =
        $"""{position}: {key} {version}{if isDelete then " deleted" else ""}"""

/// A page of a store's change log, in order of positions.
type ChangesCommand = {
    Stamp: RouteStamp
    Store: ShardId
    /// Only keys of this range.
    Range: HashRange
    /// Only positions above this one ...
    After: DocumentVersion
    /// ... up to and with this one.
    Through: DocumentVersion
    /// Changes in a page at most; those of one position are never parted, so it may have a few more.
    MaxChanges: int
} with

    /// What is left of it behind a position.
    member this.Behind(position: DocumentVersion) : ChangesCommand = { this with After = position }

type ChangesPage = {
    Changes: Change[]
    /// Nothing up to `Through` is behind this page.
    IsLast: bool
    /// Changes of the range at this position and below may be gone from this log, as too old.
    Floor: DocumentVersion
}

type ChangesReply =
    | Changes of ChangesPage
    | ChangesStaleEpoch of Epoch: int64 * Route: Route option
    | ChangesNotServing
    | ChangesRefused of Refusal

/// Add changes to a store's log that no put brings: a version placed anew by a later writer, or the tail of the logs
/// that a target takes over. Idempotent: what is there at a position and key stays.
type LogChangesCommand = {
    Stamp: RouteStamp
    Store: ShardId
    Changes: Change[]
    /// The store's log need not have what is at this position and below, in `FloorRange`; it never sinks. Zero where it says
    /// nothing new.
    Floor: DocumentVersion
    FloorRange: HashRange
} with

    /// What the floor is said of in a store of this range: everywhere, where it is said of all that the store holds.
    member this.FloorIn(store: HashRange) =
        if this.FloorRange.Contains store.Lo && this.FloorRange.Contains store.Last then
            HashRange.Full
        else
            this.FloorRange

type LogChangesReply =
    /// They are in the log, durably (those above its floor).
    | Logged
    | LogStaleEpoch of Epoch: int64 * Route: Route option
    | LogNotServing
    | LogRefused of Refusal

/// What a shard's writer says of the end of its shard's feed.
type FeedBound =
    /// Nothing at `Settled` or below is still to come. `Newest`: the highest position that it gave out in its term; zero
    /// where none.
    | Bound of Epoch: int64 * Settled: DocumentVersion * Newest: DocumentVersion
    /// Not this router, or not yet.
    | NotTheWriter
