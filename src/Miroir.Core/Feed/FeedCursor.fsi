namespace Miroir.Core

/// How far a reader of an index's change feed is: a position for each part of the hash space. Parts, not shards, so
/// that it outlives every cut of the index. Immutable.
[<Sealed>]
type FeedCursor =
    /// The same position everywhere.
    static member At: index: string * createdAtUnixMs: int64 * position: DocumentVersion -> FeedCursor

    /// What `Format` gave. Error: what is wrong with it, in words for the person who sent it.
    static member Parse: text: string -> Result<FeedCursor, string>

    member Index: string
    /// When that index was made: another one may have its name by now.
    member CreatedAtUnixMs: int64
    /// In hash order, without gaps, from the first hash to the last; no two neighbours have the same position.
    member Pieces: FeedPiece[]

    /// The pieces' parts in a range, in hash order.
    member Within: range: HashRange -> FeedPiece[]

    /// The same cursor with this position in a range.
    member Advance: range: HashRange * position: DocumentVersion -> FeedCursor

    /// Opaque text of the letters of base64url, with a version and a checksum inside.
    member Format: unit -> string
