namespace Miroir.Ports

open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open Miroir.Core

/// What a read promises.
type Consistency =
    /// Linearizable: confirmed by a write quorum of every set of the route, or by the shard's writer.
    | Confirmed = 0
    /// What one node has: may be old.
    | Eventual = 1

/// Some of an index's documents, in key-hash order.
type DocumentPage = {
    Documents: Document[]
    /// Live documents in the index, as its nodes count them now.
    Total: int64
}

/// Documents of one index as its nodes count them.
type IndexStatistics = {
    Documents: int64
    Bytes: int64
    /// True while a migration moves the index.
    IsMoving: bool
}

/// A router seen by whoever has documents to write and read. Every call ends by its token's limit, or the router's own.
type IDocuments =
    /// Each document on its own, in input order for the same key; outcomes in input order. Not a transaction.
    abstract Write: commands: IReadOnlyList<WriteCommand> * cancel: CancellationToken -> Task<WriteOutcome[]>
    abstract Read: index: string * key: Key * consistency: Consistency * cancel: CancellationToken -> Task<ReadOutcome>

    /// Live documents from `offset` on, at most `limit`, in key-hash order over the whole index. Each is the highest
    /// version that a read quorum of its shard had.
    abstract List:
        index: string * offset: int64 * limit: int * cancel: CancellationToken -> Task<AdminReply<DocumentPage>>

    /// Every live document becomes a tombstone; answers how many.
    abstract DeleteAll: index: string * cancel: CancellationToken -> Task<AdminReply<int64>>
    abstract Statistics: index: string * cancel: CancellationToken -> Task<AdminReply<IndexStatistics>>
    /// The table that routes follow now.
    abstract Table: RoutingTable
    /// Waits, within the token's limit, until the table has at least this revision.
    abstract WaitForRevision: revision: int64 * cancel: CancellationToken -> Task
