namespace Miroir.Core

open System
open System.Buffers
open System.Collections.Generic
open System.Runtime.InteropServices
open System.Text.Encodings.Web
open System.Text.Json

[<RequireQualifiedAccess>]
type IntentDecision =
    | Put of Body: ReadOnlyMemory<byte>
    | PutTombstone
    | ConditionFailed of Found: DocumentVersion
    | Invalid of Why: string

[<RequireQualifiedAccess>]
module Intent =

    let needsBase (intent: WriteIntent) (condition: Condition) =
        intent = WriteIntent.Merge || not condition.IsAlways

    let private isLive (found: Document | null) =
        match found with
        | null -> false
        | document -> not document.IsTombstone

    let private liveVersion (found: Document | null) =
        match found with
        | null -> DocumentVersion.Zero
        | document when document.IsTombstone -> DocumentVersion.Zero
        | document -> document.Version

    let private holds (condition: Condition) (found: Document | null) =
        match condition with
        | Always -> true
        | IfVersion version -> isLive found && Versions.areSame (liveVersion found) version
        | IfAbsent -> not (isLive found)
        | IfPresent -> isLive found

    let private writerOptions =
        JsonWriterOptions(Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true)

    /// Fields by name: of one given twice, the last counts, as most JSON readers have it.
    let private fieldsOf (json: JsonElement) =
        let fields = Dictionary<string, JsonElement>(StringComparer.Ordinal)
        let order = ResizeArray<string>()

        for field in json.EnumerateObject() do
            let name = field.Name

            if not (fields.ContainsKey name) then
                order.Add name

            fields[name] <- field.Value

        struct (fields, order)

    let private merge (existing: ReadOnlyMemory<byte>) (given: ReadOnlyMemory<byte>) : IntentDecision =
        try
            use oldJson = JsonDocument.Parse existing
            use newJson = JsonDocument.Parse given

            if newJson.RootElement.ValueKind <> JsonValueKind.Object then
                IntentDecision.Invalid
                    $"the fields to set must be a JSON object, not a JSON {newJson.RootElement.ValueKind}"
            elif oldJson.RootElement.ValueKind <> JsonValueKind.Object then
                IntentDecision.Invalid "the stored document is not a JSON object: replace it as a whole"
            else
                let struct (oldFields, oldOrder) = fieldsOf oldJson.RootElement
                let struct (newFields, newOrder) = fieldsOf newJson.RootElement
                let buffer = ArrayBufferWriter<byte>(existing.Length + given.Length)
                use writer = new Utf8JsonWriter(buffer, writerOptions)

                let write (name: string) (value: JsonElement) =
                    writer.WritePropertyName name
                    writer.WriteRawValue(JsonMarshal.GetRawUtf8Value value, skipInputValidation = true)

                writer.WriteStartObject()

                for name in oldOrder do
                    match newFields.TryGetValue name with
                    | true, value -> write name value
                    | _ -> write name oldFields[name]

                for name in newOrder do
                    if not (oldFields.ContainsKey name) then
                        write name newFields[name]

                writer.WriteEndObject()
                writer.Flush()
                IntentDecision.Put buffer.WrittenMemory
        with
        | :? JsonException as e -> IntentDecision.Invalid $"the document is not valid JSON: {e.Message}"
        // A field's name that holds half of a surrogate pair.
        | :? InvalidOperationException as e ->
            IntentDecision.Invalid $"a field's name is not valid Unicode: {e.Message}"

    let decide (found: Document | null) (command: WriteCommand) : IntentDecision =
        if not (holds command.Condition found) then
            IntentDecision.ConditionFailed(liveVersion found)
        else
            match command.Intent with
            | WriteIntent.Delete -> IntentDecision.PutTombstone
            | WriteIntent.Merge ->
                match found with
                | null -> IntentDecision.Put command.Body
                | document when document.IsTombstone -> IntentDecision.Put command.Body
                | document -> merge document.Body command.Body
            | _ -> IntentDecision.Put command.Body
