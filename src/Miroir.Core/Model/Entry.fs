namespace Miroir.Core

open System
open System.Buffers.Binary
open Microsoft.FSharp.NativeInterop

#nowarn 9

/// Whose put it was. Persisted in shard files and sent between processes: append only.
type Origin =
    | Client = 0
    | Migration = 1
    | ReadRepair = 2
    | AntiEntropy = 3

/// A 128-bit content digest, in two lanes that are added up apart in range digests.
[<Struct>]
type Digest = {
    A: uint64
    B: uint64
} with

    static member Zero = { A = 0UL; B = 0UL }

    /// Sums modulo 2^64 in each lane: unlike XOR, two equal entries do not cancel.
    static member (+)(x: Digest, y: Digest) =
        if Mutants.digestsCombinedByXor () then
            { A = x.A ^^^ y.A; B = x.B ^^^ y.B }
        else
            { A = x.A + y.A; B = x.B + y.B }

    static member (-)(x: Digest, y: Digest) =
        if Mutants.digestsCombinedByXor () then
            x + y
        else
            { A = x.A - y.A; B = x.B - y.B }

    /// The digest of bytes, under two seeds that are fixed for ever: digests are stored, and compared between
    /// nodes of different builds.
    static member OfBody(body: ReadOnlySpan<byte>) : Digest = {
        A = XxHash64.hash 0x6D69726F69722D61UL body
        B = XxHash64.hash 0x6D69726F69722D62UL body
    }

    /// The digest of a tombstone's (empty) body.
    static member Tombstone: Digest = Digest.OfBody ReadOnlySpan.Empty

    /// The digest of a whole entry, for sums over ranges. Canonical bytes: the key's length (4 bytes, big
    /// endian) and bytes, term and clock (8 each), 1 for a tombstone or 0, the body's digest (8 + 8).
    static member OfEntry(key: Key, version: DocumentVersion, isTombstone: bool, body: Digest) : Digest =
        let length = 4 + key.Span.Length + 33
        // On the stack: this is computed for every put. Key.MaxLength bounds it.
        let memory = NativePtr.stackalloc<byte> length
        let span = Span<byte>(NativePtr.toVoidPtr memory, length)
        BinaryPrimitives.WriteInt32BigEndian(span, key.Span.Length)
        key.Span.CopyTo(span.Slice 4)
        let rest = span.Slice(4 + key.Span.Length)
        BinaryPrimitives.WriteInt64BigEndian(rest, version.Term)
        BinaryPrimitives.WriteInt64BigEndian(rest.Slice 8, version.Clock)
        rest[16] <- if isTombstone then 1uy else 0uy
        BinaryPrimitives.WriteUInt64BigEndian(rest.Slice 17, body.A)
        BinaryPrimitives.WriteUInt64BigEndian(rest.Slice 25, body.B)
        Digest.OfBody(Span<byte>.op_Implicit span)

    override this.ToString() = $"{this.A:x16}{this.B:x16}"

/// What a store knows of a document beside its body: the unit of scans, merges and digests.
[<Sealed>]
type Entry(key: Key, version: DocumentVersion, isTombstone: bool, digest: Digest, operationId: Guid, origin: Origin) =
    member _.Key = key
    member _.Version = version
    /// True for a deleted document, which is kept so that an older put can't bring it back.
    member _.IsTombstone = isTombstone
    /// The digest of the body.
    member _.Digest = digest
    /// The client's operation that made this version; the same in every copy of it.
    member _.OperationId = operationId
    member _.Origin = origin

    override _.ToString() =
        $"""{key} {version}{if isTombstone then " deleted" else ""}"""

/// An entry with its body: a JSON object in UTF-8 as the client sent it or as it was merged; empty for a tombstone.
[<Sealed>]
type Document(entry: Entry, body: ReadOnlyMemory<byte>) =
    member _.Entry = entry
    member _.Body = body
    member _.Key = entry.Key
    member _.Version = entry.Version
    member _.IsTombstone = entry.IsTombstone

    /// A live document; the digest is computed here.
    static member Live
        (key: Key, version: DocumentVersion, body: ReadOnlyMemory<byte>, operationId: Guid, origin: Origin)
        =
        Document(Entry(key, version, false, Digest.OfBody body.Span, operationId, origin), body)

    static member Tombstone(key: Key, version: DocumentVersion, operationId: Guid, origin: Origin) =
        Document(Entry(key, version, true, Digest.Tombstone, operationId, origin), ReadOnlyMemory.Empty)

    /// The same version as another's put: a copy, a repair, a write-back. The operation id stays.
    member _.WithOrigin(newOrigin: Origin) =
        Document(Entry(entry.Key, entry.Version, entry.IsTombstone, entry.Digest, entry.OperationId, newOrigin), body)

    override _.ToString() = entry.ToString()
