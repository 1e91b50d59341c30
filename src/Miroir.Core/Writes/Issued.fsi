namespace Miroir.Core

/// What an update rests on.
[<Struct>]
type UpdateBase = {
    /// null where it is version zero.
    Document: Document | null
    Version: DocumentVersion
    /// A write quorum of every set was seen to hold exactly this. Where it was not, nobody may be told of it (a
    /// failed condition tells) before it has been put back.
    IsConfirmed: bool
}

/// What the writer issued in its term and has not seen acknowledged, by key, at most `Capacity` of them. An
/// acknowledged version needs no remembering: a read in the key's queue finds it. Immutable.
[<Sealed>]
type Issued =
    /// Nothing issued yet. `capacity`: keys; 1 or more.
    static member Empty: capacity: int -> Issued
    member Count: int
    member Capacity: int
    /// The documents, in key order.
    member Documents: Document[]
    /// No version below this one may still come, of any key. Of a key it is the first that was issued since the last one
    /// acknowledged, or that one: a read may yet find any of them, and put it back.
    member Since: DocumentVersion voption
    /// Whether a write of this key may begin: nothing that was issued is ever forgotten to make room.
    member HasRoomFor: key: Key -> bool
    member TryFind: key: Key -> Document | null
    /// The document was issued and not acknowledged.
    member Remember: document: Document -> Issued
    /// A version of the key was acknowledged: what was issued before it no longer matters.
    member Settle: key: Key * acknowledged: DocumentVersion -> Issued
    /// The base rule: the greater of what the read in the key's queue found and what was last issued, whatever
    /// became of it.
    member BaseOf: key: Key * finding: Finding -> UpdateBase
