/// Documents from a stream into an index: batches, several requests in flight, bounded repetition.
module Miroir.Ctl.Import

open System
open System.Collections.Generic
open System.IO
open System.Threading
open System.Threading.Tasks
open Miroir.Scripting

type Outcome = {
    Documents: int64
    Requests: int
    Retries: int
    /// The line (in an array: the document) at which the first batch that failed begins, and what it failed of.
    Failure: (int64 * ClientError) option
}

/// Bytes of a request at most, one document apart.
let private maxBytes = 4 * 1024 * 1024

let private maxAttempts = 10
let private taskLimit = TimeSpan.FromSeconds 60.0

type private Batch = {
    First: int64
    Count: int
    Body: ReadOnlyMemory<byte>
}

/// The next batch; ValueNone at the end.
let private nextBatch (reader: DocumentReader) (batchSize: int) : Task<Batch voption> =
    task {
        let body = new MemoryStream()
        let mutable first = 0L
        let mutable count = 0
        let mutable isOpen = true

        while isOpen && count < batchSize && body.Length < int64 maxBytes do
            match! reader.Next() with
            | ValueNone -> isOpen <- false
            | ValueSome document ->
                if count = 0 then
                    first <- document.Line

                body.Write document.Json.Span
                body.WriteByte '\n'B
                count <- count + 1

        if count = 0 then
            return ValueNone
        else
            return
                ValueSome {
                    First = first
                    Count = count
                    Body = ReadOnlyMemory(body.GetBuffer(), 0, int body.Length)
                }
    }

/// Puts a batch until it is in. Adding or replacing the same documents again changes nothing, so that what may or
/// may not have happened is repeated too. Answers how often it was repeated.
let private put (client: MiroirClient) index primaryKey (batch: Batch) (cancel: CancellationToken) =
    task {
        let mutable result = None
        let mutable attempt = 1
        let mutable pause = TimeSpan.FromMilliseconds 50.0

        while result.IsNone do
            let! outcome =
                task {
                    match! client.AddDocuments(index, primaryKey, batch.Body, cancel) with
                    | Error problem -> return Error problem
                    | Ok accepted -> return! client.WaitForTask(accepted, taskLimit, cancel)
                }

            match outcome with
            | Ok() -> result <- Some(Ok())
            | Error(Refused(503, _, _) | Unreachable _) when attempt < maxAttempts ->
                do! Task.Delay(pause, cancel)
                attempt <- attempt + 1
                pause <- min (TimeSpan.FromSeconds 5.0) (2.0 * pause)
            | Error problem -> result <- Some(Error problem)

        return batch, attempt - 1, result.Value
    }

/// Reads and sends until the end, or until a batch fails; `onProgress` after each batch.
let run
    (client: MiroirClient)
    (index: string)
    (primaryKey: string option)
    (batchSize: int)
    (inFlight: int)
    (input: Stream)
    (onProgress: unit -> unit)
    (cancel: CancellationToken)
    : Task<Outcome> =
    task {
        let reader = DocumentReader(input, cancel)
        let running = List<Task<Batch * int * Result<unit, ClientError>>>()
        let mutable documents = 0L
        let mutable requests = 0
        let mutable retries = 0
        let mutable failure = None

        let takeOne () : Task =
            task {
                let! ended = Task.WhenAny running
                running.Remove ended |> ignore
                let! batch, repeated, result = ended
                retries <- retries + repeated
                requests <- requests + 1

                match result with
                | Ok() -> documents <- documents + int64 batch.Count
                | Error problem ->
                    match failure with
                    | Some(line, _) when line <= batch.First -> ()
                    | _ -> failure <- Some(batch.First, problem)

                onProgress ()
            }

        let mutable isOpen = true

        while isOpen && failure.IsNone do
            let! batch =
                task {
                    try
                        return! nextBatch reader batchSize
                    with Malformed(line, message) ->
                        failure <- Some(line, Refused(400, "malformed_input", message))
                        return ValueNone
                }

            match batch with
            | ValueNone -> isOpen <- false
            | ValueSome batch ->
                while running.Count >= inFlight do
                    do! takeOne ()

                running.Add(put client index primaryKey batch cancel)

                // The first request decides the primary key: the others wait for it.
                if requests = 0 && running.Count = 1 then
                    do! takeOne ()

        while running.Count > 0 do
            do! takeOne ()

        return {
            Documents = documents
            Requests = requests
            Retries = retries
            Failure = failure
        }
    }
