namespace Miroir.Core

/// Up to where a change log has let go of changes in a part of the hash space.
[<Struct>]
type FeedFloor = {
    Range: HashRange
    Floor: DocumentVersion
}

/// The floors of a change log that was taken over from several: positions are in order within a shard only, so that the
/// floor of one says nothing of another's changes, however high its term. Immutable; no floor sinks.
[<Sealed>]
type FeedFloors =
    /// Zero everywhere.
    static member None: FeedFloors

    /// What `Parts` gave. Parts that overlap: the highest counts.
    static member Of: parts: FeedFloor seq -> FeedFloors

    /// Those above zero, in hash order; no two overlap.
    member Parts: FeedFloor[]

    /// The floor at a hash.
    member At: hash: uint64 -> DocumentVersion

    /// The highest floor in a range.
    member Over: range: HashRange -> DocumentVersion

    /// At least this floor in a range; the same object where it was so.
    member Raise: range: HashRange * floor: DocumentVersion -> FeedFloors

    /// Without what is not above this floor; the same object where all is.
    member Above: floor: DocumentVersion -> FeedFloors
