namespace Miroir.Oracle

open System
open System.Collections.Generic

/// A version as the stores keep it: the writer's term, then its hybrid clock.
[<Struct>]
type DumpVersion = {
    Term: uint64
    Clock: uint64
} with

    static member Of(term: uint64, clock: uint64) = { Term = term; Clock = clock }
    override this.ToString() = $"({this.Term},{this.Clock})"

/// One entry found in one store. `fields` is null for a tombstone.
[<Sealed>]
type DumpEntry
    (node: string, shard: string, key: string, version: DumpVersion, fields: seq<KeyValuePair<string, string>> | null) =
    let document =
        match fields with
        | null -> null
        | known -> Document.Of known

    member _.Node = node
    member _.Shard = shard
    member _.Key = key
    member _.Version = version
    member _.IsTombstone = isNull document

    /// Null for a tombstone.
    member _.Document: Document | null = document

    override _.ToString() =
        let what =
            match document with
            | null -> "tombstone"
            | live -> live.ToString()

        $"{node}/{shard} {version} {what}"

/// Where a document belongs by the current route: its shard, the nodes that own it, and how many of them make a write quorum.
[<Sealed>]
type Placement(shard: string, owners: IReadOnlyCollection<string>, quorum: int) =
    do
        if quorum < 1 || quorum > owners.Count then
            invalidArg (nameof quorum) $"a quorum of {quorum} among {owners.Count} owners; expected 1 to {owners.Count}"

    member _.Shard = shard
    member _.Owners = owners
    member _.Quorum = quorum

/// A final confirmed read, made after everything has healed and all clients have stopped.
[<Sealed>]
type FinalRead(key: string, reply: Reply) =
    member _.Key = key
    member _.Reply = reply

/// What became of a document. A document may be in several of the classes but the first.
type DocumentClass =
    | Fine = 0
    /// An acknowledged write, or a part of it, is missing.
    | Lost = 1
    /// An older state came back, or is what a quorum would serve.
    | Stale = 2
    /// A deleted document is there, without a write that explains it.
    | Resurrected = 3
    /// More than one live entry in a node, or entries of one version that differ.
    | Duplicated = 4
    /// Content that no write explains, or an entry where the document doesn't belong.
    | Orphaned = 5
    /// The checker's budget ran out: counts as a failure.
    | Undecided = 6

/// The classes of all documents, with examples.
[<Sealed>]
type Classification
    internal
    (counts: int[], wrong: IReadOnlyDictionary<string, IReadOnlyList<DocumentClass>>, examples: string[], leftovers: int)
    =

    /// How many documents are in a class; a document that is wrong in two ways is in two.
    member _.Count(documentClass: DocumentClass) = counts[int documentClass]

    /// Every document that isn't fine, with its classes.
    member _.Wrong = wrong

    /// Told examples, at most `CheckerOptions.MaxStories`.
    member _.Examples: IReadOnlyList<string> = examples

    /// Tombstones on nodes or shards that don't own them: no document is wrong, but cleanup left something behind.
    member _.LeftoverTombstones = leftovers

    member _.IsFine = wrong.Count = 0

    override _.ToString() =
        let counted =
            Enum.GetValues<DocumentClass>()
            |> Array.map (fun each -> $"{each.ToString().ToLowerInvariant()} {counts[int each]}")
            |> String.concat ", "

        String.Join("\n\n", Array.append [| counted |] examples)
