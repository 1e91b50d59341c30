namespace Miroir.Core

/// One replica's page of a shard's change log.
[<Struct>]
type FeedPage = { Node: string; Page: ChangesPage }

/// What the replicas' pages come to.
type FeedCut = {
    /// In order of positions, then keys; each once.
    Changes: Change[]
    /// Everything up to and with this position is in `Changes`, or was before them. Zero: still at the oldest, which
    /// is not below the bound.
    Reached: DocumentVersion
}

[<RequireQualifiedAccess>]
type FeedFault =
    /// A replica sent what it must not.
    | Disordered of Node: string * Why: string
    /// Changes up to and with `Floor` may be gone.
    | TooOld of Floor: DocumentVersion

[<RequireQualifiedAccess>]
module FeedMerge =

    /// The union of replicas' pages of (after, through] in a range, so far as all of them reach: behind the end of a
    /// page that is not the last, its replica may have more. From the zero position on it begins above the floors.
    /// At most `limit` changes, but at least one position's, which are never parted.
    val cut:
        range: HashRange ->
        after: DocumentVersion ->
        through: DocumentVersion ->
        limit: int ->
        pages: FeedPage[] ->
            Result<FeedCut, FeedFault>
