namespace Miroir.Ports

open System.Threading
open System.Threading.Tasks
open Miroir.Core

/// A node as an operator sees it. `State`: Healthy, Degraded, Draining or Down.
type NodeView = {
    Name: string
    Address: string
    Zone: string
    Role: string
    State: string
    Weight: float
    CapacityBytes: int64
    /// Stores on it, staging ones included; -1 where it can't be asked.
    Shards: int
    Documents: int64
    Bytes: int64
    LatencyMs: float
    LastError: string
}

type RouterView = {
    Name: string
    Address: string
    Incarnation: int64
    /// Live or Silent.
    State: string
    /// Shards that it writes for.
    WriterOf: int
}

type ClusterView = {
    Healthy: bool
    Nodes: NodeView[]
    Routers: RouterView[]
    Indexes: IndexInfo[]
    /// What keeps it from being healthy, in words.
    Problems: string[]
    CoordinatorTerm: int64
    Revision: int64
}

/// Proof that a target holds, durably, everything that the merge of the old owners held at the Joint barrier.
type CertificateView = {
    TargetShard: string
    Nodes: string[]
    Incarnations: string[]
    Sources: string[]
    JointEpoch: int64
    Entries: int64
    Copied: int64
    Digest: string
    Watermark: string
}

/// One source shard's way. `State` names the step it is in, or waits for, in words an operator knows.
type ShardMoveView = {
    Shard: int
    State: string
    Stage: string
    Epoch: int64
    Attempt: int
    Owners: string[]
    /// "generation/shard on node, node" for each target.
    Targets: string[]
    DocumentsCopied: int64
    DocumentsTotal: int64
    DeltaCompared: int64
    DeltaCopied: int64
    DrainMs: int64
    /// Writes that its drain waits for, and how long the oldest has been open, as last told.
    OpenWrites: int
    OldestWriteMs: int64
    /// Why it fell back, waits or failed; "".
    Reason: string
    Certificates: CertificateView[]
}

/// A phase that was entered.
type PhaseStep = {
    Phase: string
    /// Unix milliseconds.
    AtUnixMs: int64
    Detail: string
}

type MigrationView = {
    Id: int64
    Index: string
    From: LayoutInfo
    To: LayoutInfo
    /// ComputingAssignments, DualWriteMigrating, CutoverBegin, CutoverDraining, CutoverDeltaPass,
    /// CutoverActivate, CutoverCleanup, Complete, Aborted or Failed.
    Phase: string
    /// Running, Paused, Complete, Aborted or Failed.
    Status: string
    Reason: string
    /// True once `cutover` was said.
    CutoverRequested: bool
    /// True when every shard's copy is done and only `cutover` is missing.
    ReadyForCutover: bool
    StartedAtUnixMs: int64
    /// 0 while it runs.
    FinishedAtUnixMs: int64
    Throttle: int
    OldNodes: string[]
    NewNodes: string[]
    Shards: ShardMoveView[]
    DocumentsCopied: int64
    DeltaCopied: int64
    /// Documents that a certificate shows missing: 0 with certificates for every shard; -1: unknown.
    DataLoss: int64
    Warnings: string[]
    Timeline: PhaseStep[]
}

type StartReshardRequest = {
    Index: string
    /// 0: as many as now (rebalancing).
    NewShards: int
    /// Documents per second over the whole migration; 0: unlimited.
    Throttle: int
    DryRun: bool
    /// True: without a delta pass, whatever is configured.
    SkipDeltaPass: bool
}

/// By id, or (id 0) the newest of an index.
type MigrationSelector = { Id: int64; Index: string }

/// Back to the old owners, while they are kept.
type RevertRequest = {
    Selector: MigrationSelector
    /// The first and the last of the old layout's shards that shall go back: a migration goes back as a whole, so all
    /// that it moves must be among them. Last -1: whatever it moves.
    FirstShard: int
    LastShard: int
    /// Even where too few of the old owners are there.
    Force: bool
} with

    static member All(selector: MigrationSelector) = {
        Selector = selector
        FirstShard = 0
        LastShard = -1
        Force = false
    }

type AddNodeRequest = {
    Name: string
    Address: string
    Zone: string
    Weight: float
    CapacityBytes: int64
}

/// What an operator's command asks of the coordinator.
type IAdmin =
    abstract Cluster: cancel: CancellationToken -> Task<ClusterView>
    /// One node with every store on it.
    abstract NodeStores: name: string * cancel: CancellationToken -> Task<AdminReply<NodeStatus>>
    abstract AddNode: request: AddNodeRequest * cancel: CancellationToken -> Task<AdminReply<NodeInfo>>
    abstract Routes: index: string * cancel: CancellationToken -> Task<AdminReply<Route[]>>
    abstract StartReshard: request: StartReshardRequest * cancel: CancellationToken -> Task<AdminReply<MigrationView>>
    abstract Migrations: cancel: CancellationToken -> Task<MigrationView[]>
    abstract Migration: selector: MigrationSelector * cancel: CancellationToken -> Task<AdminReply<MigrationView>>
    abstract Cutover: selector: MigrationSelector * cancel: CancellationToken -> Task<AdminReply<MigrationView>>
    abstract Abort: selector: MigrationSelector * cancel: CancellationToken -> Task<AdminReply<MigrationView>>
    /// Back to the old owners while they are still kept. The view's reason says what it costs.
    abstract Revert: request: RevertRequest * cancel: CancellationToken -> Task<AdminReply<MigrationView>>
    abstract Pause: selector: MigrationSelector * cancel: CancellationToken -> Task<AdminReply<MigrationView>>
    abstract Resume: selector: MigrationSelector * cancel: CancellationToken -> Task<AdminReply<MigrationView>>

    /// What is open at all live routers. `onlyStuck`: only what a drain waits for. `index`: "" for all.
    abstract OpenWrites: index: string * onlyStuck: bool * cancel: CancellationToken -> Task<OpenWritesView>

    /// Gives up every open write of a document: its client is told that the outcome is unknown. Answers those given up.
    abstract FailWrites: request: FailWritesRequest * cancel: CancellationToken -> Task<AdminReply<OpenWritesView>>

    /// -1 leaves a value as it is.
    abstract Set:
        selector: MigrationSelector * throttle: int * drainTimeoutMs: int * cancel: CancellationToken ->
            Task<AdminReply<MigrationView>>
