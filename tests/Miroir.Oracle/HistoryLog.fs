/// The NDJSON form of a history: a line for each invocation, a line for each reply.
module internal Miroir.Oracle.HistoryLog

open System
open System.Buffers
open System.Collections.Generic
open System.IO
open System.Text.Json

type Line =
    | Invoked of id: int64 * client: int * at: int64 * operation: Operation
    | Completed of id: int64 * at: int64 * reply: Reply

let private line (fill: Utf8JsonWriter -> unit) =
    let buffer = ArrayBufferWriter<byte> 160

    do
        use json = new Utf8JsonWriter(buffer)
        json.WriteStartObject()
        fill json
        json.WriteEndObject()

    buffer.Write(ReadOnlySpan [| 10uy |])
    buffer.WrittenSpan.ToArray()

let private writeDocument (json: Utf8JsonWriter) (name: string) (document: Document) =
    json.WriteStartObject name

    for field in document.Items do
        json.WriteString(field.Key, field.Value)

    json.WriteEndObject()

let invoked (id: int64) (client: int) (at: int64) (operation: Operation) =
    line (fun json ->
        json.WriteNumber("invoke", id)
        json.WriteNumber("at", at)
        json.WriteNumber("client", client)
        json.WriteString("key", operation.Key)
        json.WriteString("op", operation.Kind.ToString())

        match operation.Fields with
        | null -> ()
        | fields -> writeDocument json "fields" fields

        match operation.Condition with
        | ConditionKind.IfVersion -> json.WriteString("ifVersion", operation.ExpectedVersion)
        | ConditionKind.IfAbsent -> json.WriteBoolean("ifAbsent", true)
        | _ -> ())

let completed (id: int64) (at: int64) (reply: Reply) =
    line (fun json ->
        json.WriteNumber("reply", id)
        json.WriteNumber("at", at)
        json.WriteString("outcome", reply.Outcome.ToString())

        match reply.Document with
        | null -> ()
        | document -> writeDocument json "document" document

        match reply.Version with
        | null -> ()
        | version -> json.WriteString("version", version))

let private text (element: JsonElement) : string =
    match element.GetString() with
    | null -> raise (JsonException "a string was expected, found null")
    | value -> value

let private optional (element: JsonElement) (name: string) =
    match element.TryGetProperty name with
    | true, value -> ValueSome value
    | _ -> ValueNone

let private readDocument (element: JsonElement) (name: string) : Document | null =
    match optional element name with
    | ValueNone -> null
    | ValueSome fields ->
        fields.EnumerateObject()
        |> Seq.map (fun field -> KeyValuePair(field.Name, text field.Value))
        |> Document.Of

let private optionalText element name : string | null =
    match optional element name with
    | ValueNone -> null
    | ValueSome value -> text value

let private parse (json: string) =
    use document = JsonDocument.Parse json
    let root = document.RootElement
    let at = root.GetProperty("at").GetInt64()

    match optional root "invoke" with
    | ValueSome id ->
        let expected = optionalText root "ifVersion"

        let condition =
            if not (isNull expected) then
                ConditionKind.IfVersion
            elif (optional root "ifAbsent").IsSome then
                ConditionKind.IfAbsent
            else
                ConditionKind.Always

        let kind = Enum.Parse<OperationKind>(text (root.GetProperty "op"))
        let key = text (root.GetProperty "key")

        let operation =
            Operation(kind, key, readDocument root "fields", condition, expected)

        Invoked(id.GetInt64(), root.GetProperty("client").GetInt32(), at, operation)
    | ValueNone ->
        let outcome = Enum.Parse<Outcome>(text (root.GetProperty "outcome"))

        let reply =
            Reply(outcome, readDocument root "document", optionalText root "version")

        Completed(root.GetProperty("reply").GetInt64(), at, reply)

/// The lines of a file. The last line may be torn; any other bad line is an error that names its number.
let read (path: string) : seq<Line> =
    let endsWhole =
        use file = File.OpenRead path

        file.Length = 0L
        || (file.Seek(-1L, SeekOrigin.End) |> ignore
            file.ReadByte() = 10)

    seq {
        use reader = new StreamReader(path)
        let mutable number = 0
        let mutable next = reader.ReadLine()

        while not (isNull next) do
            number <- number + 1

            match next with
            | null -> ()
            | current ->
                next <- reader.ReadLine()

                if not (isNull next && not endsWhole) then
                    yield
                        (try
                            parse current
                         with error ->
                             raise (
                                 InvalidDataException(
                                     $"{path}, line {number}: not a history line: {error.Message}",
                                     error
                                 )
                             ))
    }
