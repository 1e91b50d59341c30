namespace Miroir.Core

open System
open System.Text

/// A document's primary key in its one canonical form: UTF-8, 1 to 512 bytes. An integer key is its
/// shortest decimal text, so that 7 and "7" name the same document. Ordered by its hash (XXH64, seed 0,
/// unsigned), then by its bytes: the order of every store and every stream.
[<Sealed>]
type Key private (bytes: byte[], hash: uint64) =

    static let strict =
        UTF8Encoding(encoderShouldEmitUTF8Identifier = false, throwOnInvalidBytes = true)

    /// The longest key, in UTF-8 bytes.
    static member MaxLength = 512

    /// The canonical UTF-8 bytes.
    member _.Bytes: ReadOnlyMemory<byte> = ReadOnlyMemory bytes

    member _.Span: ReadOnlySpan<byte> = ReadOnlySpan bytes

    /// XXH64 of the bytes, seed 0: where in the hash space the document lives.
    member _.Hash: uint64 = hash

    member _.Text: string = Encoding.UTF8.GetString bytes

    /// From bytes that are known to be a key already (a store's row, a peer's frame); the length is still
    /// checked, the UTF-8 is not. Throws ArgumentException for a length outside 1 to 512.
    static member OfBytes(utf8: ReadOnlySpan<byte>) : Key =
        if utf8.Length < 1 || utf8.Length > Key.MaxLength then
            invalidArg "utf8" $"a key is 1 to {Key.MaxLength} bytes of UTF-8, not {utf8.Length}"

        Key(utf8.ToArray(), XxHash64.hash 0UL utf8)

    /// From text. Error: what is wrong with it, in words for the person who sent it.
    static member Parse(text: string) : Result<Key, string> =
        match text with
        | "" -> Error $"a document id is 1 to {Key.MaxLength} bytes of UTF-8; this one is empty"
        | _ ->
            try
                let bytes = strict.GetBytes text

                if bytes.Length > Key.MaxLength then
                    Error $"a document id is 1 to {Key.MaxLength} bytes of UTF-8; this one is {bytes.Length} bytes long"
                else
                    Ok(Key(bytes, XxHash64.hash 0UL (ReadOnlySpan bytes)))
            with :? EncoderFallbackException ->
                Error "a document id must be valid Unicode; this one holds half of a surrogate pair"

    /// As Parse, throwing ArgumentException.
    static member Of(text: string) : Key =
        match Key.Parse text with
        | Ok key -> key
        | Error why -> invalidArg "text" why

    member private _.Raw = bytes

    member _.CompareTo(other: Key) : int =
        match hash.CompareTo other.Hash with
        | 0 -> ReadOnlySpan(bytes).SequenceCompareTo(other.Span)
        | order -> order

    override _.Equals(other: obj) =
        match other with
        | :? Key as key -> hash = key.Hash && ReadOnlySpan(bytes).SequenceEqual(key.Span)
        | _ -> false

    override _.GetHashCode() = int hash
    override this.ToString() = this.Text

    interface IEquatable<Key> with
        member this.Equals(other) =
            match other with
            | null -> false
            | key -> this.Equals(box key)

    interface IComparable<Key> with
        member this.CompareTo(other) =
            match other with
            | null -> 1
            | key -> this.CompareTo key

    interface IComparable with
        member this.CompareTo(other) =
            match other with
            | :? Key as key -> this.CompareTo key
            | _ -> 1
