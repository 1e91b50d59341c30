namespace Miroir.Core

/// What one replica answered of a key that is being repaired.
[<RequireQualifiedAccess>]
type Copy =
    /// What it has; null: nothing.
    | Has of (Document | null)
    /// It has something, but not what its digest was taken of.
    | Rotten
    /// It did not answer, or does not serve.
    | Silent

/// What one replica is to be sent.
[<RequireQualifiedAccess>]
type Mending =
    | Nothing
    /// It lacks the version.
    | Put of Document
    /// It has the version with content of this digest, which is wrong.
    | Replace of Document * Wrong: Digest
    /// What it has can't be trusted: the version is put, and replaces what is under the same version.
    | PutAndReplace of Document

[<RequireQualifiedAccess>]
type RepairPlan =
    /// One for each copy, in their order. `Version` is what all hold afterwards.
    | Send of Version: DocumentVersion * Mendings: Mending[]
    | Impossible of Why: string

/// Makes the replicas of one key equal: the highest version wins, a tombstone like any other.
[<RequireQualifiedAccess>]
module Repair =

    /// `keep`: the content to keep where copies of the highest version differ. Needs `quorum` answers (a rotten copy is
    /// none) from each set, so that no acknowledged version is passed over; `sets` hold positions in `copies`.
    val plan: sets: int[][] -> copies: Copy[] -> keep: Digest voption -> RepairPlan

    /// The content that more than half of the copies of one version have. None: there is no such majority.
    val majority: digests: Digest[] -> Digest voption
