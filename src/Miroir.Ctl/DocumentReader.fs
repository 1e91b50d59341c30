namespace Miroir.Ctl

// A JsonElement is a struct: it is never null, whatever the method promises of its type in general.
#nowarn "3265"

open System
open System.Buffers
open System.Collections.Generic
open System.IO
open System.IO.Pipelines
open System.Text.Json
open System.Threading
open System.Threading.Tasks

/// A stream of documents that is none; `Line` counts from 1 (in an array: documents).
exception Malformed of line: int64 * message: string

/// One document's JSON, on one line, and where it stands.
[<Struct>]
type SourceDocument = {
    Line: int64
    Json: ReadOnlyMemory<byte>
}

/// Documents of newline-delimited JSON or of a JSON array, one by one; what is read ahead is bounded.
[<Sealed>]
type DocumentReader(stream: Stream, cancel: CancellationToken) =

    /// The longest line.
    static let maxLine = 64L * 1024L * 1024L

    let pipe =
        PipeReader.Create(stream, StreamPipeReaderOptions(bufferSize = 64 * 1024))

    let mutable items: IAsyncEnumerator<JsonElement> voption = ValueNone
    let mutable isStarted = false
    let mutable isEnded = false
    let mutable line = 0L

    static let isBlank (b: byte) =
        b = ' 'B
        || b = '\t'B
        || b = '\r'B
        || b = '\n'B
        || b = 0xEFuy
        || b = 0xBBuy
        || b = 0xBFuy

    /// The first byte that means something, if any has come.
    static let firstByte (buffer: ReadOnlySequence<byte>) : byte voption =
        let mutable found = ValueNone

        for segment in buffer do
            if found.IsNone then
                for b in segment.Span do
                    if found.IsNone && not (isBlank b) then
                        found <- ValueSome b

        found

    static let newline (buffer: ReadOnlySequence<byte>) : SequencePosition voption =
        let mutable buffer = buffer
        let at = BuffersExtensions.PositionOf(&buffer, '\n'B)
        if at.HasValue then ValueSome at.Value else ValueNone

    static let bytesOf (buffer: ReadOnlySequence<byte>) : byte[] =
        let mutable buffer = buffer
        BuffersExtensions.ToArray(&buffer)

    static let trim (bytes: byte[]) : ReadOnlyMemory<byte> =
        let mutable first = 0
        let mutable last = bytes.Length

        while first < last && isBlank bytes[first] do
            first <- first + 1

        while last > first && isBlank bytes[last - 1] do
            last <- last - 1

        ReadOnlyMemory(bytes, first, last - first)

    /// Looks at the beginning, and leaves it where it is.
    let start () : Task =
        task {
            isStarted <- true
            let mutable isKnown = false

            while not isKnown do
                let! read = pipe.ReadAsync cancel

                match firstByte read.Buffer with
                | ValueSome '['B ->
                    pipe.AdvanceTo read.Buffer.Start
                    isKnown <- true

                    items <-
                        ValueSome(
                            JsonSerializer
                                .DeserializeAsyncEnumerable<JsonElement>(
                                    pipe.AsStream(),
                                    JsonSerializerOptions.Default,
                                    cancel
                                )
                                .GetAsyncEnumerator
                                cancel
                        )
                | ValueSome _ ->
                    pipe.AdvanceTo read.Buffer.Start
                    isKnown <- true
                | ValueNone ->
                    pipe.AdvanceTo(read.Buffer.Start, read.Buffer.End)
                    isKnown <- read.IsCompleted || read.Buffer.Length > maxLine
        }

    let nextLine () : Task<ReadOnlyMemory<byte>> =
        task {
            let mutable text = ReadOnlyMemory.Empty
            let mutable isRead = false

            while not isRead do
                let! read = pipe.ReadAsync cancel
                let buffer = read.Buffer

                match newline buffer with
                | ValueSome at ->
                    text <- trim (bytesOf (buffer.Slice(buffer.Start, at)))
                    pipe.AdvanceTo(buffer.GetPosition(1L, at))
                    isRead <- true
                | ValueNone when read.IsCompleted ->
                    text <- trim (bytesOf buffer)
                    pipe.AdvanceTo buffer.End
                    isRead <- true
                    isEnded <- true
                | ValueNone ->
                    if buffer.Length > maxLine then
                        raise (
                            Malformed(line + 1L, $"a line is longer than {maxLine} bytes; expected one document a line")
                        )

                    pipe.AdvanceTo(buffer.Start, buffer.End)

            line <- line + 1L
            return text
        }

    /// ValueNone at the end. Throws Malformed.
    member _.Next() : Task<SourceDocument voption> =
        task {
            if not isStarted then
                do! start ()

            match items with
            | ValueSome items ->
                try
                    match! items.MoveNextAsync() with
                    | true ->
                        line <- line + 1L

                        return
                            ValueSome {
                                Line = line
                                Json = ReadOnlyMemory(JsonSerializer.SerializeToUtf8Bytes items.Current)
                            }
                    | false -> return ValueNone
                with :? JsonException as problem ->
                    return
                        raise (
                            Malformed(line + 1L, $"the array can't be read behind document {line}: {problem.Message}")
                        )
            | ValueNone ->
                let mutable found = ValueNone

                while found.IsNone && not isEnded do
                    let! text = nextLine ()

                    if not text.IsEmpty then
                        found <- ValueSome { Line = line; Json = text }

                return found
        }
