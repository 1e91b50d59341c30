namespace Miroir.Ports

open System.Threading
open System.Threading.Tasks

/// Differences between replicas, by kind.
type DivergenceCounts = {
    /// A replica has nothing under a live document's key.
    Missing: int64
    /// A replica has an older version of a live document.
    Stale: int64
    /// A replica has not heard of a deletion.
    LacksTombstone: int64
    /// The same version has other content on another replica, or its body is not what its digest was taken of.
    Corrupt: int64
    /// Was different at first sight, and equal at the second: a write on its way.
    InFlight: int64
    /// Was written between two looks, and had to be looked at once more.
    Hot: int64
} with

    static member Zero = {
        Missing = 0L
        Stale = 0L
        LacksTombstone = 0L
        Corrupt = 0L
        InFlight = 0L
        Hot = 0L
    }

    member this.Plus(other: DivergenceCounts) = {
        Missing = this.Missing + other.Missing
        Stale = this.Stale + other.Stale
        LacksTombstone = this.LacksTombstone + other.LacksTombstone
        Corrupt = this.Corrupt + other.Corrupt
        InFlight = this.InFlight + other.InFlight
        Hot = this.Hot + other.Hot
    }

    /// Without what was only on its way.
    member this.Divergences =
        this.Missing + this.Stale + this.LacksTombstone + this.Corrupt

/// One document whose replicas differ.
type DivergenceView = {
    Key: string
    Generation: int
    Shard: int
    /// Missing, Stale, LacksTombstone or Corrupt.
    Kind: string
    /// The highest version there is, "term.clock".
    Version: string
    /// Where Corrupt: the content to keep (32 hexadecimal digits), "" where there is no majority.
    Keep: string
    /// "node: version" of each replica that lacks it ("node: -" where it has nothing).
    Lacking: string[]
    /// Repaired, Planned, Reported or why not.
    Outcome: string
}

type ShardPassView = {
    Generation: int
    Shard: int
    /// Replicas that were compared.
    Copies: int
    /// InSync, Divergent, Repaired or Failed (a replica could not be compared; `Problem` says why).
    State: string
    /// Entries of the shard, tombstones included; -1 unknown.
    Entries: int64
    /// Entries of the merges that were looked at.
    Compared: int64
    Divergences: DivergenceCounts
    Repaired: int64
    /// Tombstones deleted for good.
    Purged: int64
    /// Digest leaves put right by a scrub.
    DriftedLeaves: int64
    BytesRead: int64
    RoundTrips: int64
    ElapsedMs: int64
    /// What kept it from being compared whole; "".
    Problem: string
    /// Each replica that was compared holds, durably, all that any of them held when the pass began.
    IsCertified: bool
    /// The sum over the shard's entries, where all replicas had the same.
    Digest: string
}

type PassView = {
    /// Grows with each pass.
    Id: int64
    Index: string
    /// verify, run, dry-run, apply, scheduled, migration, rebuild or scrub.
    Kind: string
    /// Running, Done or Failed.
    Status: string
    Reason: string
    StartedAtUnixMs: int64
    /// 0 while it runs.
    FinishedAtUnixMs: int64
    ShardsTotal: int
    /// -1 where it is not known.
    RemainingMs: int64
    Shards: ShardPassView[]
    /// The first 10,000 at most; `Divergences` counts all.
    Documents: DivergenceView[]
    Divergences: DivergenceCounts
    Repaired: int64
    BytesRead: int64
} with

    /// For lists and for looks at a running pass: its documents are asked for by themselves.
    member this.WithoutDocuments() = { this with Documents = [||] }

type AntiEntropyView = {
    Enabled: bool
    Schedule: string
    AutoRepair: bool
    /// 0: never.
    NextRunAtUnixMs: int64
    /// Passes that run now.
    Running: PassView[]
    /// Finished ones, newest last; at most one of each index.
    Last: PassView[]
    /// Since this coordinator leads.
    Totals: DivergenceCounts
    Repaired: int64
    BytesRead: int64
} with

    member this.WithoutDocuments() = {
        this with
            Running = this.Running |> Array.map _.WithoutDocuments()
            Last = this.Last |> Array.map _.WithoutDocuments()
    }

type PassRequest = {
    Index: string
    /// verify, run, dry-run or scrub.
    Kind: string
    /// Of the layout in force, both included; last -1: all.
    FirstShard: int
    LastShard: int
    /// Only these documents, as an earlier dry run planned them; empty: whatever differs.
    Plan: DivergenceView[]
}

/// What an operator's command asks of anti-entropy.
type IAntiEntropy =
    abstract State: index: string * cancel: CancellationToken -> Task<AdminReply<AntiEntropyView>>
    /// Finished passes, newest last. Index "": of all.
    abstract History: index: string * limit: int * cancel: CancellationToken -> Task<AdminReply<PassView[]>>
    /// Begins a pass and answers at once: `Pass` tells how far it is.
    abstract Start: request: PassRequest * cancel: CancellationToken -> Task<AdminReply<PassView>>
    abstract Pass: id: int64 * cancel: CancellationToken -> Task<AdminReply<PassView>>
