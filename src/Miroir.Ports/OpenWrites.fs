namespace Miroir.Ports

open System

/// A put that its shard's writer has not seen acknowledged yet.
type OpenWriteView = {
    Router: string
    Index: string
    Generation: int
    Shard: int
    /// The document's id.
    Key: string
    OperationId: Guid
    /// "term.clock", as the writer gave it.
    Version: string
    /// Write (a client waits for it), PutBack (of a read) or Resend (its client was told that its outcome is unknown).
    Kind: string
    /// The epoch of the route under which it began, and of the one that it is put under now.
    BegunEpoch: int64
    Epoch: int64
    AgeMs: int64
    /// "shard on node" of each replica that holds it, and of each that does not, or did not say.
    Answered: string[]
    Missing: string[]
    /// The drain of its shard waits for it.
    IsStuck: bool
}

type OpenWritesView = {
    /// Oldest first.
    Results: OpenWriteView[]
    /// Live routers that gave no answer, and why: what is open there is not known.
    Unanswered: string[]
}

type FailWritesRequest = {
    /// The document's id.
    DocId: string
    /// "": of every index.
    Index: string
    /// For the logs, and for the client that is told.
    Reason: string
}
