namespace Miroir.Core

open System

/// The digests of parts of one store, as committed.
type DigestCommand = {
    Stamp: RouteStamp
    Store: ShardId
    /// Half-open, in any order; what is not in the store's range counts as empty.
    Ranges: HashRange[]
}

type RangeDigests = {
    /// The store's incarnation.
    Incarnation: Guid
    /// Tombstones below this version may have been purged here: having none counts as having one.
    Floor: DocumentVersion
    /// As many as ranges, in their order. All of one moment.
    Digests: RangeDigest[]
}

type DigestReply =
    | Digests of RangeDigests
    | DigestStaleEpoch of Epoch: int64 * Route: Route option
    | DigestNotServing
    | DigestRefused of Refusal

/// Entries of several ranges, without bodies, in key order: the ranges are ordered and share nothing.
type RangesCommand = {
    Stamp: RouteStamp
    Store: ShardId
    Ranges: HashRange[]
    /// Start behind this key; null: at the start of the first range.
    After: Key | null
    /// Entries in a page at most.
    MaxEntries: int
} with

    /// The first of the ranges that may hold something behind `After`; as many as there are, where none does.
    member this.First: int =
        match this.After with
        | null -> 0
        | key ->
            let mutable low = 0
            let mutable high = this.Ranges.Length

            while low < high do
                let middle = (low + high) / 2

                if this.Ranges[middle].Last < key.Hash then
                    low <- middle + 1
                else
                    high <- middle

            low

    /// What is left of it behind a key.
    member this.Behind(key: Key) : RangesCommand =
        let behind = { this with After = key }
        let first = behind.First

        // Ranges are left behind by halves, so that going through many of them copies each a few times at most.
        if first * 2 >= this.Ranges.Length then
            {
                behind with
                    Ranges = this.Ranges[first..]
            }
        else
            behind

/// Replace a copy whose content is wrong, at the same version.
type HealCommand = {
    Stamp: RouteStamp
    Store: ShardId
    /// The right content. It takes effect where this version is stored with another digest, which must be `Wrong`, or
    /// with a body that is not the one its digest was taken of.
    Document: Document
    /// The digest recorded with the wrong content.
    Wrong: Digest
}

type HealReply =
    | Healed
    /// The store holds this content already, or another version.
    | NothingToHeal of Stored: DocumentVersion
    | HealStaleEpoch of Epoch: int64 * Route: Route option
    | HealNotServing
    | HealRefused of Refusal

/// Recompute digests from the bodies of a store, a part at a time.
type ScrubCommand = {
    Stamp: RouteStamp
    Store: ShardId
    /// The leaf to begin with (`DigestGrid`).
    FromLeaf: int
    /// Bytes of bodies to read in this call at most (one leaf may have more).
    MaxBytes: int64
}

/// An entry whose body is not the one that its digest was taken of.
type RottenEntry = {
    Key: Key
    Version: DocumentVersion
    Recorded: Digest
    Actual: Digest
}

type ScrubPart = {
    /// The leaf to go on with; -1: the whole store was seen.
    NextLeaf: int
    Entries: int64
    Bytes: int64
    /// Bit rot: to be healed from another replica.
    Rotten: RottenEntry[]
    /// Leaves whose stored digest was not the sum over their entries (digest drift). They were put right.
    DriftedLeaves: int
}

type ScrubReply =
    | Scrubbed of ScrubPart
    | ScrubStaleEpoch of Epoch: int64 * Route: Route option
    | ScrubNotServing
    | ScrubRefused of Refusal

/// Delete tombstones that every replica is known to hold, under an epoch that no older put can pass.
type PurgeCommand = {
    Stamp: RouteStamp
    Store: ShardId
    /// Only this incarnation.
    Incarnation: Guid
    /// Tombstones of lower versions go; the store's floor is this from now on.
    Below: DocumentVersion
}

type PurgeReply =
    | Purged of Tombstones: int64
    | PurgeStaleEpoch of Epoch: int64 * Route: Route option
    | PurgeNotServing
    | PurgeRefused of Refusal

/// What the writer of a shard shall make equal on all replicas of a key.
type RepairKey = {
    Key: Key
    /// Where copies of one version differ in content: the content to keep. None: the highest version wins.
    Keep: Digest voption
}

type RepairCommand = { Index: string; Keys: RepairKey[] }

/// What became of one key. A replica that did not answer is left as it is.
type RepairOutcome =
    /// Every replica that answered holds this version now (zero: none has anything). `Changed`: how many did not before.
    | Repaired of Version: DocumentVersion * Changed: int
    /// It could not be done now, and why; nothing is lost by trying again.
    | NotRepaired of Why: string
