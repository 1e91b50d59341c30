namespace Miroir.Core

open System

[<RequireQualifiedAccess>]
type IntentDecision =
    /// Put this body (a JSON object in UTF-8).
    | Put of Body: ReadOnlyMemory<byte>
    | PutTombstone
    /// The condition does not hold of what was found: its version, zero where there is no live document.
    | ConditionFailed of Found: DocumentVersion
    /// The body can't be merged: what is wrong with it.
    | Invalid of Why: string

/// What a client's write makes of the document that is there.
[<RequireQualifiedAccess>]
module Intent =

    /// Whether the document that is there must be read first. A plain replace or delete needs none.
    val needsBase: intent: WriteIntent -> condition: Condition -> bool

    /// `found` is the base of the update: null or a tombstone where there is no live document; ignored where no base
    /// is needed. A merge replaces the top-level fields given and keeps the others: first the existing fields in
    /// their order, then the new ones in theirs. The values' text is kept to the byte.
    val decide: found: (Document | null) -> command: WriteCommand -> IntentDecision
