namespace Miroir.Core

/// The grid that range digests are kept on: the hash space cut into 2^16 equal leaves, the same on every node and in
/// every layout, so that stores of different ranges compare. Four levels of 16 children each stand above them.
[<RequireQualifiedAccess>]
module DigestGrid =

    /// Leaves of the whole hash space: 65,536.
    [<Literal>]
    val Leaves: int = 65536

    /// Children of a range that is descended into.
    [<Literal>]
    val Fanout: int = 16

    /// The leaf that a hash falls in: 0 to Leaves - 1.
    val leafOf: hash: uint64 -> int

    /// The range of one leaf.
    val rangeOf: leaf: int -> HashRange

    /// Whether the range lies within one leaf.
    val isWithinLeaf: range: HashRange -> bool

    /// The parts of a range to look at next, in order: the aligned ranges of the widest level that cuts it, each
    /// within it. A range within one leaf is its own only part.
    val childrenOf: range: HashRange -> HashRange[]

/// The leaf digests of one store, in memory: what is committed on its disk. Not synchronised: the store that keeps
/// it sees to that.
[<Sealed>]
type LeafDigests =
    /// `range`: of the store. All leaves are zero.
    new: range: HashRange -> LeafDigests
    /// The first and the last leaf that the store's range touches.
    member First: int
    member Last: int
    /// The digest of the store's entries in a leaf.
    member Item: leaf: int -> RangeDigest with get, set
    /// The sum over leaves `from` to `upTo`, both included, as far as the store has them.
    member Sum: from: int * upTo: int -> RangeDigest

    /// The sum over those leaves of the range asked that it holds whole, and the parts of it, none or one at either end, that
    /// cut a leaf: their entries have to be looked at. What of the range is not the store's counts as empty.
    member Cover: asked: HashRange -> struct (RangeDigest * HashRange[])
