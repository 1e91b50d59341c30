namespace Miroir.Core

open System
open System.Buffers.Binary
open System.Buffers.Text
open System.Text

/// Numbers of few bits in few bytes: seven bits a byte, the low ones first.
module private Varint =

    let write (bytes: ResizeArray<byte>) (number: uint64) =
        let mutable rest = number

        while rest >= 0x80UL do
            bytes.Add(byte rest ||| 0x80uy)
            rest <- rest >>> 7

        bytes.Add(byte rest)

    /// The number at `at`, which moves behind it.
    let read (bytes: byte[]) (at: byref<int>) : uint64 voption =
        let mutable number = 0UL
        let mutable shift = 0
        let mutable isOpen = true

        while isOpen && at < bytes.Length && shift < 64 do
            let next = bytes[at]
            at <- at + 1
            number <- number ||| (uint64 (next &&& 0x7Fuy) <<< shift)
            shift <- shift + 7
            isOpen <- next >= 0x80uy

        if isOpen then ValueNone else ValueSome number

[<Sealed>]
type FeedCursor private (index: string, createdAtUnixMs: int64, pieces: FeedPiece[]) =

    static let format = 1uy
    static let seed = 0x6D69726F66656564UL

    // Each piece may have its own shard, and each boundary one more beside it.
    static let mostPieces = 2UL * uint64 Layout.MaxShards

    static let parsed (bytes: byte[]) : FeedCursor voption =
        let mutable at = 1
        let mutable isWhole = true

        let inline next () =
            match Varint.read bytes &at with
            | ValueSome number -> number
            | ValueNone ->
                isWhole <- false
                0UL

        let length = next ()

        if not isWhole || length > uint64 (bytes.Length - at) then
            ValueNone
        else
            let index = Encoding.UTF8.GetString(bytes, at, int length)
            at <- at + int length
            let createdAtUnixMs = int64 (next ())
            let count = next ()

            if not isWhole || count < 1UL || count > mostPieces then
                ValueNone
            else
                let starts = Array.zeroCreate<uint64>(int count)
                let positions = Array.zeroCreate<DocumentVersion>(int count)
                let mutable i = 0

                while isWhole && i < starts.Length do
                    starts[i] <- BinaryPrimitives.ReverseEndianness(next ())

                    positions[i] <- {
                        Term = int64 (next ())
                        Clock = int64 (next ())
                    }

                    // Hash order, from the first hash on.
                    isWhole <-
                        isWhole
                        && positions[i].Term >= 0L
                        && positions[i].Clock >= 0L
                        && (if i = 0 then starts[0] = 0UL else starts[i] > starts[i - 1])

                    i <- i + 1

                if not isWhole || at <> bytes.Length then
                    ValueNone
                else
                    let pieces = ResizeArray<FeedPiece>(starts.Length)

                    for i in 0 .. starts.Length - 1 do
                        pieces.Add {
                            Range = {
                                Lo = starts[i]
                                Hi = if i + 1 < starts.Length then starts[i + 1] else 0UL
                            }
                            Position = positions[i]
                        }

                    ValueSome(FeedCursor(index, createdAtUnixMs, FeedPieces.joined pieces))

    member _.Index = index
    member _.CreatedAtUnixMs = createdAtUnixMs
    member _.Pieces = pieces

    static member At(index: string, createdAtUnixMs: int64, position: DocumentVersion) =
        FeedCursor(index, createdAtUnixMs, FeedPieces.everywhere position)

    member _.Within(range: HashRange) : FeedPiece[] = [|
        for piece in pieces do
            match piece.Range.Intersect range with
            | ValueSome part -> { piece with Range = part }
            | ValueNone -> ()
    |]

    member _.Advance(range: HashRange, position: DocumentVersion) : FeedCursor =
        FeedCursor(index, createdAtUnixMs, FeedPieces.change range (fun _ -> position) pieces)

    member _.Format() : string =
        let bytes = ResizeArray<byte>()
        bytes.Add format
        let name = Encoding.UTF8.GetBytes index
        Varint.write bytes (uint64 name.Length)
        bytes.AddRange name
        Varint.write bytes (uint64 createdAtUnixMs)
        Varint.write bytes (uint64 pieces.Length)

        for piece in pieces do
            // Shards begin at hashes that end in zero bits, most of them.
            Varint.write bytes (BinaryPrimitives.ReverseEndianness piece.Range.Lo)
            Varint.write bytes (uint64 piece.Position.Term)
            Varint.write bytes (uint64 piece.Position.Clock)

        let sum = Array.zeroCreate<byte> 8
        BinaryPrimitives.WriteUInt64BigEndian(Span<byte> sum, XxHash64.hash seed (ReadOnlySpan(bytes.ToArray())))
        bytes.AddRange sum
        Base64Url.EncodeToString(ReadOnlySpan(bytes.ToArray()))

    static member Parse(text: string) : Result<FeedCursor, string> =
        let no why =
            Error $"the cursor {why}: give one exactly as a batch of this feed gave it, or begin without one"

        if text = "" then
            no "is empty"
        elif not (Base64Url.IsValid(text.AsSpan())) then
            no "is not base64url"
        else
            let bytes = Base64Url.DecodeFromChars(text.AsSpan())
            let body = bytes.AsSpan(0, max 0 (bytes.Length - 8)).ToArray()

            if
                bytes.Length < 10
                || XxHash64.hash seed (ReadOnlySpan body)
                   <> BinaryPrimitives.ReadUInt64BigEndian(ReadOnlySpan(bytes, bytes.Length - 8, 8))
            then
                no "is damaged, as its checksum says"
            elif body[0] <> format then
                no $"is of format {body[0]}, and only {format} is known here"
            else
                match parsed body with
                | ValueSome cursor -> Ok cursor
                | ValueNone -> no "does not say where it is"
