namespace Miroir.Ports

open System
open System.Threading
open System.Threading.Tasks
open Miroir.Core

/// Where to begin without a cursor.
type FeedStart =
    /// With the oldest change that is retained.
    | Oldest = 0
    /// Behind the last one that there is.
    | Now = 1

type FeedRequest = {
    Index: string
    /// As a batch gave it; null: see `Start`.
    Cursor: string | null
    Start: FeedStart
    /// Events at most, 1 to 10,000. Those of one position are never parted, so that there may be a few more.
    Limit: int
    /// Whether each event whose version is still there carries the document.
    WithDocuments: bool
    /// How long to wait for a first event, in milliseconds, 0 (not at all) to 60,000.
    WaitMs: int
}

/// One write of a client.
type FeedEvent = {
    Change: Change
    /// The body, where it was asked for and a replica still holds this version; null where a later one has replaced it, and
    /// where it was deleted.
    Body: Nullable<ReadOnlyMemory<byte>>
}

/// Events in order for each key, and where to go on.
type FeedBatch = {
    Events: FeedEvent[]
    /// Behind the last event. Survives cutovers, reverts and restarts.
    Cursor: string
    /// Nothing more was there.
    IsCaughtUp: bool
}

/// The change feed of an index: each acknowledged write at least once, in order for each key, known by its operation's
/// id. Errors: index_not_found; invalid_feed_request; invalid_feed_cursor; feed_cursor_too_old, where changes behind the
/// cursor are gone (read the documents anew, and begin with `Now`); feed_unavailable, where too few replicas or no writer
/// answered in time. Throws OperationCanceledException where the token ends first.
type IChangeFeed =
    abstract Read: request: FeedRequest * cancel: CancellationToken -> Task<AdminReply<FeedBatch>>
