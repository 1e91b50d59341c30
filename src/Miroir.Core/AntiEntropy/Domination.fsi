namespace Miroir.Core

/// How a copy stands to the highest version of a key.
type Divergence =
    /// It holds that version or a greater one.
    | Dominated
    /// It holds nothing, and the document lives.
    | Missing
    /// It holds an older version, and the document lives.
    | Stale of Held: DocumentVersion
    /// It holds nothing (zero) or an older version, and the document is deleted.
    | LacksTombstone of Held: DocumentVersion
    /// It holds that version with different content: dominated, so that no put heals it, but corrupt.
    | Differs

    /// Must the version be put into the copy, so that it dominates it?
    member IsLacking: bool

[<RequireQualifiedAccess>]
module Divergence =
    /// How a copy that holds `held` (null: nothing) stands to `best`, of the same key.
    val between: best: Entry -> held: Entry | null -> Divergence

type DominationStep =
    | Judged of Divergence
    /// The target's cursor must be fed before this key can be judged: ask again.
    | FeedTarget
    /// The target showed `Next` behind `Previous`, which is not before it.
    | TargetOutOfOrder of Previous: Key * Next: Key

/// Holds a target's stream beside a merge. What the target has and the merge has not is none of its business: a store
/// that grows meanwhile is no less dominating.
[<Sealed>]
type Domination =
    new: target: IEntryCursor -> Domination
    /// How the target stands to `best`. Keys must come in ascending order, each until it is judged.
    member Judge: best: Entry -> DominationStep
