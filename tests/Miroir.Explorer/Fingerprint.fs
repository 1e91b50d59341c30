namespace Miroir.Explorer

open System
open System.Buffers.Binary
open Miroir.Core

/// 128 bits that stand for a state: XXH64 of its explicit encoding under two seeds. With 10^8 states, two of them
/// share one with a probability of about 10^-23.
[<Struct>]
type Fingerprint = { A: uint64; B: uint64 }

/// Writes states as bytes, without ambiguity: numbers are self-delimiting, lists carry their length. Nested use is
/// by position: what an inner fingerprint wrote is taken back before the outer one goes on.
[<Sealed>]
type Encoder private () =
    let mutable buffer = Array.zeroCreate<byte> 4096
    let mutable length = 0

    [<ThreadStatic; DefaultValue>]
    static val mutable private mine: Encoder | null

    /// This thread's own.
    static member Current: Encoder =
        match Encoder.mine with
        | null ->
            let encoder = Encoder()
            Encoder.mine <- encoder
            encoder
        | encoder -> encoder

    member private _.Room(bytes: int) =
        if length + bytes > buffer.Length then
            Array.Resize(&buffer, 2 * buffer.Length + bytes)

    member this.Byte(value: int) =
        this.Room 1
        buffer[length] <- byte value
        length <- length + 1

    /// A number in as few bytes as it takes.
    member this.Num(value: int64) =
        this.Room 10
        let mutable rest = (uint64 value <<< 1) ^^^ uint64 (value >>> 63)

        while rest >= 0x80UL do
            buffer[length] <- byte rest ||| 0x80uy
            length <- length + 1
            rest <- rest >>> 7

        buffer[length] <- byte rest
        length <- length + 1

    member this.Flag(value: bool) = this.Byte(if value then 1 else 0)

    member this.Text(text: string) =
        this.Num text.Length

        for c in text do
            this.Num(int64 c)

    member this.Print(print: Fingerprint) =
        this.Room 16
        BinaryPrimitives.WriteUInt64LittleEndian(Span(buffer, length, 8), print.A)
        BinaryPrimitives.WriteUInt64LittleEndian(Span(buffer, length + 8, 8), print.B)
        length <- length + 16

    member this.Each (items: 'a[]) (write: 'a -> unit) =
        this.Num items.Length

        for item in items do
            write item

    member this.Maybe (item: 'a option) (write: 'a -> unit) =
        match item with
        | None -> this.Byte 0
        | Some value ->
            this.Byte 1
            write value

    /// The fingerprint of what `write` writes.
    static member Of(write: Encoder -> unit) : Fingerprint =
        let encoder = Encoder.Current
        let start = encoder.Length
        write encoder
        encoder.TakeBack start

    member private _.Length = length

    member private _.TakeBack(start: int) : Fingerprint =
        let bytes = ReadOnlySpan(buffer, start, length - start)

        let print = {
            A = XxHash64.hash 0x6578706C6F726541UL bytes
            B = XxHash64.hash 0x6578706C6F726542UL bytes
        }

        length <- start
        print
