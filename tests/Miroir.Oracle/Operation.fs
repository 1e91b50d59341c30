namespace Miroir.Oracle

open System
open System.Collections.Generic
open System.Text

/// What a client asked of one document.
type OperationKind =
    /// The document becomes exactly these fields.
    | Replace = 0
    /// Adds or updates these fields; a missing document is created with them.
    | Merge = 1
    /// The document becomes absent.
    | Delete = 2
    /// A confirmed read: takes part in the linearization.
    | Read = 3
    /// An eventual read: may be old, but must have been written by someone.
    | EventualRead = 4

/// Under what a write takes effect.
type ConditionKind =
    | Always = 0
    /// Only where the document exists with exactly this version token.
    | IfVersion = 1
    /// Only where the document does not exist.
    | IfAbsent = 2

/// What the client was told.
type Outcome =
    /// Acknowledged (a write), or answered (a read).
    | Ok = 0
    /// Certainly not applied.
    | Failed = 1
    /// Possibly applied, at any time from the invocation on, or never.
    | Unknown = 2
    /// The condition did not hold (412): not applied, and the condition was false at some moment of the call.
    | ConditionFailed = 3

/// A document as the oracle sees it: field names and values, in ordinal order of the names. The values of
/// writes have to differ between writes, so that a value tells its writer.
[<Sealed>]
type Document private (fields: KeyValuePair<string, string>[]) =

    /// Sorted by name (ordinal), each name once.
    member _.Fields: IReadOnlyList<KeyValuePair<string, string>> = fields

    member internal _.Items: KeyValuePair<string, string>[] = fields

    /// The value of a field, or null where the document lacks it.
    member _.ValueOf(name: string) : string | null =
        let found =
            fields
            |> Array.tryFindIndex (fun field -> String.Equals(field.Key, name, StringComparison.Ordinal))

        match found with
        | Some at -> fields[at].Value
        | None -> null

    static member Of(fields: seq<KeyValuePair<string, string>>) : Document =
        ArgumentNullException.ThrowIfNull(fields, nameof fields)
        let sorted: KeyValuePair<string, string>[] = Seq.toArray fields

        Array.sortInPlaceWith
            (fun (a: KeyValuePair<string, string>) (b: KeyValuePair<string, string>) ->
                String.CompareOrdinal(a.Key, b.Key))
            sorted

        for i in 1 .. sorted.Length - 1 do
            if String.Equals(sorted[i - 1].Key, sorted[i].Key, StringComparison.Ordinal) then
                let name = sorted[i].Key
                invalidArg (nameof fields) $"field \"{name}\" is given twice; give each field once"

        Document sorted

    member _.SameAs(other: Document) : bool =
        let theirs: KeyValuePair<string, string>[] = other.Items

        fields.Length = theirs.Length
        && Array.forall2
            (fun (a: KeyValuePair<string, string>) (b: KeyValuePair<string, string>) ->
                String.Equals(a.Key, b.Key, StringComparison.Ordinal)
                && String.Equals(a.Value, b.Value, StringComparison.Ordinal))
            fields
            theirs

    override _.ToString() =
        let text = StringBuilder "{"

        for i in 0 .. fields.Length - 1 do
            if i > 0 then
                text.Append ", " |> ignore

            text.Append(fields[i].Key).Append('=').Append(fields[i].Value) |> ignore

        text.Append("}").ToString()

/// One call of a client on one document. Made by the static members; conditions are added with
/// `IfVersion` and `IfAbsent`, which give a changed copy.
[<Sealed>]
type Operation
    internal
    (kind: OperationKind, key: string, fields: Document | null, condition: ConditionKind, expected: string | null) =

    member _.Kind = kind
    member _.Key = key

    /// What is written: null for deletes and reads.
    member _.Fields: Document | null = fields

    member _.Condition = condition

    /// The version token that `IfVersion` asks for, else null.
    member _.ExpectedVersion: string | null = expected

    member _.IsWrite = kind <= OperationKind.Delete

    static member private Written(fields: seq<KeyValuePair<string, string>>) =
        let document = Document.Of fields

        if document.Items.Length = 0 then
            invalidArg (nameof fields) "a write needs at least one field, with a value that tells it from other writes"

        document

    /// The fields need a value that no other write of this document writes (an operation id).
    static member Replace(key: string, fields: seq<KeyValuePair<string, string>>) =
        Operation(OperationKind.Replace, key, Operation.Written fields, ConditionKind.Always, null)

    /// The fields need a value that no other write of this document writes (an operation id).
    static member Merge(key: string, fields: seq<KeyValuePair<string, string>>) =
        Operation(OperationKind.Merge, key, Operation.Written fields, ConditionKind.Always, null)

    static member Delete(key: string) =
        Operation(OperationKind.Delete, key, null, ConditionKind.Always, null)

    static member Read(key: string) =
        Operation(OperationKind.Read, key, null, ConditionKind.Always, null)

    static member EventualRead(key: string) =
        Operation(OperationKind.EventualRead, key, null, ConditionKind.Always, null)

    /// Only where the document exists and has this version token, as an earlier reply gave it.
    member this.IfVersion(version: string) =
        ArgumentNullException.ThrowIfNull(version, nameof version)
        this.CheckIsWrite()
        Operation(kind, key, fields, ConditionKind.IfVersion, version)

    /// Only where there is no document.
    member this.IfAbsent() =
        this.CheckIsWrite()
        Operation(kind, key, fields, ConditionKind.IfAbsent, null)

    member private this.CheckIsWrite() =
        if not this.IsWrite then
            invalidOp $"a {kind} takes no condition; conditions are for Replace, Merge and Delete"

    override _.ToString() =
        let what =
            match kind with
            | OperationKind.Replace -> $"replace {fields}"
            | OperationKind.Merge -> $"merge {fields}"
            | OperationKind.Delete -> "delete"
            | OperationKind.EventualRead -> "eventual read"
            | _ -> "read"

        match condition with
        | ConditionKind.IfVersion -> $"{what} if version {expected}"
        | ConditionKind.IfAbsent -> $"{what} if absent"
        | _ -> what

/// What came back from a call. `Reply.Unknown` is for every call whose fate the client does not know.
[<Sealed>]
type Reply internal (outcome: Outcome, document: Document | null, version: string | null) =

    member _.Outcome = outcome

    /// What a read found; null where it found nothing, and for writes.
    member _.Document: Document | null = document

    /// The version token in the reply; null where it had none.
    member _.Version: string | null = version

    /// A write was acknowledged.
    static member Ok() = Reply(Outcome.Ok, null, null)

    /// A write was acknowledged, and the document then has this version token. A token is given once:
    /// no other state of the document may ever show it.
    static member Ok(version: string) = Reply(Outcome.Ok, null, version)

    /// A read found this document; its version token, or null where the reply had none.
    static member Found(fields: seq<KeyValuePair<string, string>>, version: string | null) =
        Reply(Outcome.Ok, Document.Of fields, version)

    /// A read found no document.
    static member Absent() = Reply(Outcome.Ok, null, null)

    static member Failed() = Reply(Outcome.Failed, null, null)
    static member Unknown() = Reply(Outcome.Unknown, null, null)

    static member ConditionFailed() =
        Reply(Outcome.ConditionFailed, null, null)
