namespace Miroir.Ports

open System
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open Miroir.Core

/// A node could not be reached, or its answer did not come in time: what was asked may or may not have happened.
type UnreachableException(peer: string, why: string, inner: exn | null) =
    inherit Exception($"{peer}: {why}", inner)
    new(peer, why) = UnreachableException(peer, why, null)
    member _.Peer = peer

/// Nobody took the connection: what was asked has certainly not happened.
type NotSentException(peer: string, why: string, inner: exn | null) =
    inherit UnreachableException(peer, why, inner)

/// One data node as the others see it. In one process it is the node itself; on the wire, a client; in the
/// simulator, either behind a network that delays, loses and repeats. Every call ends by its token's limit and
/// throws UnreachableException where no answer came.
type INode =
    abstract Name: string
    /// Replies in the order of the commands. Group commit: all answers are durable when it returns.
    abstract Put: commands: IReadOnlyList<PutCommand> * cancel: CancellationToken -> Task<PutReply[]>
    abstract Read: commands: IReadOnlyList<ReadCommand> * cancel: CancellationToken -> Task<ReadReply[]>
    abstract RaiseBarriers: commands: IReadOnlyList<BarrierCommand> * cancel: CancellationToken -> Task<BarrierReply[]>
    abstract Make: command: MakeCommand * cancel: CancellationToken -> Task<MakeReply>
    abstract Drop: command: DropCommand * cancel: CancellationToken -> Task<DropReply>
    /// Pages from `command.After` on, in key order, until one is the last or not a page. `command.MaxEntries` and
    /// `MaxBytes` bound each page; the stream as a whole is bounded by the reader (back-pressure).
    abstract Scan: command: ScanCommand * cancel: CancellationToken -> IAsyncEnumerable<ScanReply>
    /// Progress at least once a second while it runs; ends after the first reply that is not progress, or is complete.
    abstract Reconcile: command: ReconcileCommand * cancel: CancellationToken -> IAsyncEnumerable<ReconcileReply>
    abstract Status: cancel: CancellationToken -> Task<NodeStatus>
    abstract Digests: command: DigestCommand * cancel: CancellationToken -> Task<DigestReply>
    /// Pages of entries without bodies, as Scan has them; a page may reach over several of the ranges.
    abstract ScanRanges: command: RangesCommand * cancel: CancellationToken -> IAsyncEnumerable<ScanReply>
    /// Replies in the order of the commands, durable when it returns.
    abstract Heal: commands: IReadOnlyList<HealCommand> * cancel: CancellationToken -> Task<HealReply[]>
    abstract Scrub: command: ScrubCommand * cancel: CancellationToken -> Task<ScrubReply>
    abstract Purge: command: PurgeCommand * cancel: CancellationToken -> Task<PurgeReply>
    /// A page of a store's change log.
    abstract Changes: command: ChangesCommand * cancel: CancellationToken -> Task<ChangesReply>
    /// Durable when it returns.
    abstract LogChanges: command: LogChangesCommand * cancel: CancellationToken -> Task<LogChangesReply>

/// Who is behind an address. A directory keeps one INode for each and hands the same out again.
type INodeDirectory =
    abstract Get: name: string * address: string -> INode

/// A node's disk. The barrier is checked and kept inside the transaction that writes, and every answer comes from
/// what is durable. Implementations: SQLite (a file for each shard), memory.
type INodeStore =
    inherit IAsyncDisposable
    abstract Put: commands: IReadOnlyList<PutCommand> * cancel: CancellationToken -> Task<PutReply[]>
    abstract Read: commands: IReadOnlyList<ReadCommand> * cancel: CancellationToken -> Task<ReadReply[]>
    abstract RaiseBarriers: commands: IReadOnlyList<BarrierCommand> * cancel: CancellationToken -> Task<BarrierReply[]>
    abstract Make: command: MakeCommand * cancel: CancellationToken -> Task<MakeReply>
    abstract Drop: command: DropCommand * cancel: CancellationToken -> Task<DropReply>
    /// One page, read in one snapshot that is closed before it returns.
    abstract ScanPage: command: ScanCommand * cancel: CancellationToken -> Task<ScanReply>
    /// The same over several ranges.
    abstract ScanRangesPage: command: RangesCommand * cancel: CancellationToken -> Task<ScanReply>
    abstract Stores: cancel: CancellationToken -> Task<StoreStatus[]>
    /// From the digests that are kept in the transactions that put; a part that cuts a leaf is read.
    abstract Digests: command: DigestCommand * cancel: CancellationToken -> Task<DigestReply>
    abstract Heal: commands: IReadOnlyList<HealCommand> * cancel: CancellationToken -> Task<HealReply[]>
    abstract Scrub: command: ScrubCommand * cancel: CancellationToken -> Task<ScrubReply>
    abstract Purge: command: PurgeCommand * cancel: CancellationToken -> Task<PurgeReply>

    /// One page of the change log. A put of any origin but Migration that is answered Applied or Superseded is in it, from
    /// the same transaction; what is at its floor or below is let go.
    abstract Changes: command: ChangesCommand * cancel: CancellationToken -> Task<ChangesReply>
    /// Admitted where a put of origin Migration is: a store that is being filled takes it too.
    abstract LogChanges: command: LogChangesCommand * cancel: CancellationToken -> Task<LogChangesReply>

    /// Registers an empty store that does not serve, in place of one that is gone or quarantined; one that is being
    /// filled stays as it is, and one that serves is refused. It takes puts of origin Migration only.
    abstract BeginFill: command: MakeCommand * cancel: CancellationToken -> Task<MakeReply>
    /// One page of a store that is being filled, for the one who fills it.
    abstract ScanFilling: command: ScanCommand * cancel: CancellationToken -> Task<ScanReply>
    /// The store serves from now on. False: it is not the one of this incarnation that is being filled.
    abstract EndFill: store: ShardId * incarnation: Guid * cancel: CancellationToken -> Task<bool>

/// One key of the metadata with what it held when read.
[<Struct>]
type MetadataEntry = {
    Key: string
    Value: byte[]
    /// The store's revision when it was last put: what a compare-and-set compares.
    ModRevision: int64
}

/// A key must still have this revision; 0: it must not exist.
[<Struct>]
type MetadataGuard = { Key: string; ModRevision: int64 }

[<Struct>]
type MetadataWrite = {
    Key: string
    /// null deletes the key.
    Value: byte[] | null
}

type MetadataResult =
    | Committed of Revision: int64
    /// A guard did not hold; nothing was written.
    | Conflict
    /// Perhaps written: read to find out, never assume.
    | MetadataUnknown of Why: string

/// Routes, journal, leader's term: a small, ordered, linearizable store of keys with compare-and-set over several
/// of them. Shaped so that etcd's transactions fill it as well as a SQLite file does.
type IMetadataStore =
    inherit IAsyncDisposable
    abstract Read: prefix: string * cancel: CancellationToken -> Task<MetadataEntry[]>

    abstract Commit:
        guards: IReadOnlyList<MetadataGuard> * writes: IReadOnlyList<MetadataWrite> * cancel: CancellationToken ->
            Task<MetadataResult>

/// What a router asks of the coordinator. All of it may be repeated.
type ICoordinator =
    /// A router says that this start of it lives, and where. Answers its number for ever.
    abstract Register:
        name: string * address: string * incarnation: int64 * cancel: CancellationToken -> Task<RouterInfo>

    /// False: another start of the same name is the live one; this one must stop writing.
    abstract Heartbeat: name: string * incarnation: int64 * cancel: CancellationToken -> Task<bool>
    /// The changes behind `sinceRevision`; waits, within the token's limit and its own, until there is one.
    abstract Watch: sinceRevision: int64 * cancel: CancellationToken -> Task<TableUpdate>
    /// Makes an index; its routes are in the table when this returns. Error: what was wrong.
    abstract CreateIndex: request: CreateIndexRequest * cancel: CancellationToken -> Task<AdminReply<IndexInfo>>
    /// Sets the primary key while there is none.
    abstract SetPrimaryKey: uid: string * primaryKey: string * cancel: CancellationToken -> Task<AdminReply<IndexInfo>>
    abstract DeleteIndex: uid: string * cancel: CancellationToken -> Task<AdminReply<IndexInfo>>

and CreateIndexRequest = {
    Uid: string
    PrimaryKey: string
    /// 0: the default of the configuration.
    Shards: int
    /// 0: the default of the configuration.
    Replication: int
}

/// An administrative answer: a value, or an error in the documented shape.
and [<Sealed>] AdminReply<'T> private (isOk: bool, value: 'T, code: string, message: string) =
    member _.IsOk = isOk
    /// Only where IsOk.
    member _.Value = if isOk then value else invalidOp $"{code}: {message}"
    /// A stable name such as index_not_found; "" where IsOk.
    member _.Code = code
    member _.Message = message
    static member Ok(value: 'T) = AdminReply<'T>(true, value, "", "")

    static member Error(code: string, message: string) =
        AdminReply<'T>(false, Unchecked.defaultof<'T>, code, message)

/// Another router. Throws UnreachableException where no answer came: the writes are then Unknown, but after a
/// NotSentException certainly not written.
type IRouterPeer =
    /// Each write at its shard's writer, which must be that router at a table of at least `minRevision`.
    abstract Write:
        commands: IReadOnlyList<WriteCommand> * minRevision: int64 * cancel: CancellationToken -> Task<WriteOutcome[]>

    /// A read in the key's queue at the writer, with write-back.
    abstract ReadAtWriter:
        index: string * key: Key * minRevision: int64 * cancel: CancellationToken -> Task<ReadOutcome>

    /// Finds out, as the key's writer, what became of a put of an ended term, and completes it or runs it again where
    /// that is certain to be its only effect. To be asked once.
    abstract Inspect: inspected: InspectCommand * minRevision: int64 * cancel: CancellationToken -> Task<WriteOutcome>

    /// Which start of the router answers: whether it lives.
    abstract Incarnation: cancel: CancellationToken -> Task<int64>

    /// Writes of the shard that began under an older epoch than the stamp's: answered once there is none, or after a
    /// second.
    abstract Drain: stamp: RouteStamp * cancel: CancellationToken -> Task<Cutover.OpenWrites>

    /// Makes all replicas of each key equal, in the key's queue, as the key's writer (origin AntiEntropy). Outcomes in
    /// the order of the keys.
    abstract Repair: command: RepairCommand * minRevision: int64 * cancel: CancellationToken -> Task<RepairOutcome[]>

    /// How far the feed of each shard is settled, as far as that router is their writer at a table of at least
    /// `minRevision`. In the order of the shards.
    abstract FeedBounds:
        shards: IReadOnlyList<ShardId> * minRevision: int64 * cancel: CancellationToken -> Task<FeedBound[]>

    /// Oldest first.
    abstract OpenWrites: cancel: CancellationToken -> Task<OpenWriteView[]>

    /// Gives up the clients' open writes of a document; those that were.
    abstract FailWrites: request: FailWritesRequest * cancel: CancellationToken -> Task<OpenWriteView[]>

type IRouterDirectory =
    abstract Get: name: string * address: string -> IRouterPeer

/// Randomness, so that a simulation can decide it.
type IEntropy =
    abstract NewGuid: unit -> Guid
    /// Uniform in [0, 1).
    abstract NextDouble: unit -> float
    /// Uniform over all of int64 above zero.
    abstract NextInt64: unit -> int64
