namespace Miroir.Ports

open System
open System.Threading
open System.Threading.Tasks

/// A task's number: 13 bits of the router that made it above 40 bits of that router's own counter. Unique over all
/// routers, and below 2^53, so that a JavaScript client reads it exactly.
[<RequireQualifiedAccess>]
module TaskUid =

    /// The greatest number that a router may have.
    [<Literal>]
    let MaxRouter = 8191

    /// The greatest count of one router.
    [<Literal>]
    let MaxCount = 0xFF_FFFF_FFFFL

    let make (router: int) (count: int64) : int64 = (int64 router <<< 40) ||| count

    /// The number of the router that made it.
    let router (uid: int64) : int = int (uid >>> 40)

/// What became of one write request. Recorded once, when it has ended.
type TaskRecord = {
    /// Given by the log; 0 in what is handed to it.
    Uid: int64
    /// "" where it concerned no index.
    IndexUid: string
    /// succeeded or failed.
    Status: string
    /// documentAdditionOrUpdate, documentDeletion, indexCreation, indexUpdate or indexDeletion.
    Type: string
    EnqueuedAtUnixMs: int64
    FinishedAtUnixMs: int64
    /// A JSON object.
    Details: string
    /// A JSON object of the error's shape; "" where it succeeded.
    Error: string
    /// What the client asked to be kept with it; "" where it asked for nothing.
    CustomMetadata: string
}

/// Which tasks: an empty list or a bound of 0 asks for nothing in particular.
type TaskQuery = {
    /// Tasks at most.
    Limit: int
    /// Newest first from this one on (oldest first, where `OldestFirst`); -1: from the end.
    From: int64
    OldestFirst: bool
    Uids: int64[]
    Statuses: string[]
    Types: string[]
    IndexUids: string[]
    EnqueuedAfterUnixMs: int64
    EnqueuedBeforeUnixMs: int64
    FinishedAfterUnixMs: int64
    FinishedBeforeUnixMs: int64
}

type TaskPage = {
    Tasks: TaskRecord[]
    /// How many there are without `Limit` and `From`.
    Total: int64
}

/// One router's tasks. Numbers are never used twice, whatever was lost; the oldest records are let go.
type ITaskLog =
    inherit IAsyncDisposable
    /// The router whose tasks these are: 1 to TaskUid.MaxRouter.
    abstract Router: int
    /// Gives the task its number and keeps it over a restart of the process.
    abstract Append: task: TaskRecord * cancel: CancellationToken -> Task<int64>
    abstract Find: uid: int64 * cancel: CancellationToken -> Task<TaskRecord voption>
    abstract List: query: TaskQuery * cancel: CancellationToken -> Task<TaskPage>
