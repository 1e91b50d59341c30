namespace Miroir.Core

/// What became of the ranges that were asked for: where replicas agree, nothing more is to be looked at.
type DescentStep = {
    /// The sum over the ranges in which all replicas agree.
    Equal: RangeDigest
    /// Ranges to ask for next, in order.
    Descend: HashRange[]
    /// Ranges whose entries are to be merged, in order.
    Merge: HashRange[]
}

/// The way down the digests (Merkle, "A Digital Signature Based on a Conventional Encryption Function", 1987; sums in
/// place of hashes of hashes): only into ranges in which replicas differ.
[<RequireQualifiedAccess>]
module Descent =

    /// `replies`: of each replica, one digest for each range asked, in order. A differing range that no replica has
    /// more than `mergeEntries` entries in, or that lies within one leaf, is merged; another is cut into its children.
    val step: ranges: HashRange[] -> replies: RangeDigest[][] -> mergeEntries: int64 -> DescentStep

    /// Ranges in order, neighbours joined.
    val join: ranges: HashRange[] -> HashRange[]
