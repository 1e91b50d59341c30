namespace Miroir.Core

/// How replicas of one document differ, by what is worst.
type DifferenceKind =
    | Missing = 0
    | Stale = 1
    | LacksTombstone = 2
    | Corrupt = 3

/// What was seen of one key on all replicas at about one moment.
[<Sealed>]
type Sighting =
    /// `held`: what each replica has under the key, null for nothing; at least one has something.
    new: key: Key * held: (Entry | null)[] -> Sighting
    static member Of: merged: MergedKey -> Sighting
    member Key: Key
    /// The entry of the highest version.
    member Best: Entry
    member Held: replica: int -> Entry | null
    member Replicas: int
    /// Positions of the replicas that lack the highest version. A tombstone below `floor` may have been purged: having
    /// nothing counts as having it.
    member Lacking: floor: DocumentVersion -> int[]
    /// Do holders of the highest version have different content?
    member IsConflicting: bool
    /// None: no replica lacks anything.
    member Kind: floor: DocumentVersion -> DifferenceKind voption
    /// The content that most holders of the highest version have, where they differ. None: no majority.
    member Keep: Digest voption

[<RequireQualifiedAccess>]
type Verdict =
    /// Every replica has by now what the best one had at first sight.
    | WasInFlight
    /// A replica still lacks what another had at first sight, and nothing newer was written meanwhile.
    | Differs of DifferenceKind
    /// As Differs, but the document was written meanwhile: to be looked at once more before it is called a difference.
    | Hot of DifferenceKind

/// Writes go on while replicas are compared, so that what differs at first sight may only be on its way. A difference
/// is one that a second look, after a pause, still finds.
[<RequireQualifiedAccess>]
module Settle =

    /// `later`: the same key seen again; null where no replica has anything any more (purged).
    val judge: floor: DocumentVersion -> first: Sighting -> later: Sighting | null -> Verdict
