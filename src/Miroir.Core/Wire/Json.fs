namespace Miroir.Core

open System
open System.Buffers
open System.Text.Json

/// What every persisted or sent JSON form of the core is made with. Forms carry `v`; a reader takes the versions it
/// knows, ignores fields that it does not, and never guesses a missing one.
[<RequireQualifiedAccess>]
module Json =

    let toBytes (write: Utf8JsonWriter -> unit) : byte[] =
        let buffer = ArrayBufferWriter<byte>()

        do
            use writer = new Utf8JsonWriter(buffer)
            write writer
            writer.Flush()

        buffer.WrittenSpan.ToArray()

    let ofBytes (read: JsonElement -> 'T) (json: ReadOnlyMemory<byte>) : 'T =
        use document = JsonDocument.Parse json
        read document.RootElement

    let object' (writer: Utf8JsonWriter) (fields: unit -> unit) =
        writer.WriteStartObject()
        fields ()
        writer.WriteEndObject()

    let array (writer: Utf8JsonWriter) (name: string) (items: 'T[]) (write: 'T -> unit) =
        writer.WriteStartArray name

        for item in items do
            write item

        writer.WriteEndArray()

    let strings (writer: Utf8JsonWriter) (name: string) (items: string[]) =
        array writer name items writer.WriteStringValue

    let field (name: string) (element: JsonElement) : JsonElement =
        match element.TryGetProperty name with
        | true, value -> value
        | _ -> raise (FormatException $"the field '{name}' is missing from {element.GetRawText()}")

    let tryField (name: string) (element: JsonElement) : JsonElement voption =
        match element.TryGetProperty name with
        | true, value when value.ValueKind <> JsonValueKind.Null -> ValueSome value
        | _ -> ValueNone

    let text (element: JsonElement) : string =
        match element.GetString() with
        | null -> raise (FormatException "expected a text, found null")
        | value -> value

    let string name element = text (field name element)
    let int name element = (field name element).GetInt32()
    let int64 name element = (field name element).GetInt64()
    let float name element = (field name element).GetDouble()
    let bool name element = (field name element).GetBoolean()

    let items (name: string) (read: JsonElement -> 'T) (element: JsonElement) : 'T[] = [|
        for item in (field name element).EnumerateArray() -> read item
    |]

    /// Refuses forms that this build can't know.
    let version (newest: int) (element: JsonElement) : int =
        let v = int "v" element

        if v < 1 || v > newest then
            raise (FormatException $"form version {v} is not one that this build reads (1 to {newest})")

        v
