namespace Miroir.Core

/// What a cursor shows of the sorted stream behind it.
[<Struct>]
type CursorHead =
    /// The next entry.
    | At of Entry: Entry
    /// There is more, but it has not been read yet.
    | Starved
    /// Nothing follows.
    | Ended

/// A stream of entries in key order, as far as it has been read. A merge knows nothing else of it.
type IEntryCursor =
    abstract Peek: unit -> CursorHead
    /// Steps over the entry that Peek shows; only while it shows one.
    abstract Pop: unit -> unit

/// A cursor that is fed with pages: it holds the part of the last page that was not taken yet, and nothing more.
[<Sealed>]
type PagedCursor =
    new: unit -> PagedCursor
    /// Gives it the next page. Only while it is starved: throws InvalidOperationException otherwise.
    member Feed: entries: Entry[] * isLast: bool -> unit
    member IsStarved: bool
    interface IEntryCursor

/// One key of a merge.
[<Sealed>]
type MergedKey =
    member Key: Key
    /// The entry of the highest version that any cursor has; of the first such cursor.
    member Best: Entry
    /// How many cursors were merged.
    member Cursors: int
    /// What a cursor has under the key; null: nothing.
    member Held: cursor: int -> Entry | null
    /// Does this cursor have the highest version, with the content that `Best` has?
    member HoldsBest: cursor: int -> bool
    /// Two cursors have the highest version with different content: corruption, since a version is given once.
    member IsConflicting: bool
    /// Every cursor has the highest version, with the content that `Best` has.
    member IsEqual: bool

type MergeStep =
    | Merged of MergedKey
    /// The cursor of this number must be fed before the merge can go on.
    | Feed of Cursor: int
    /// The cursor of this number showed `Next` behind `Previous`, which is not before it. The merge is over.
    | OutOfOrder of Cursor: int * Previous: Key * Next: Key
    /// Every cursor has ended.
    | Drained

/// The sorted merge of several streams of entries: each key once, in order, with its highest version and who has it.
/// Memory: what the cursors hold. After TigerBeetle's k-way merge, which also knows only peek and pop.
[<Sealed>]
type Merge =
    /// Any number of cursors; none at all is drained at once.
    new: cursors: IEntryCursor[] -> Merge
    member Next: unit -> MergeStep
