namespace Miroir.Scripting

// A JsonElement is a struct: it is never null, whatever the method promises of its type in general.
#nowarn "3265"

open System
open System.Text.Json
open System.Text.Json.Serialization
open System.Threading
open System.Threading.Tasks

/// One write of a client, as docs/change-feed.md has it.
type ChangeView = {
    /// The operation's, and so the same whenever the event is given again.
    Id: Guid
    /// put or delete.
    Type: string
    /// The document's id.
    Key: string
    /// TERM.CLOCK, as the write's ETag.
    Version: string
    Position: string
    /// None where documents were not asked for; a JSON null where the document is of another version by now.
    [<JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)>]
    Document: JsonElement option
}

/// Events in order for each key, and the cursor behind them.
type ChangeBatch = {
    Results: ChangeView[]
    Cursor: string
    /// Nothing more was there.
    CaughtUp: bool
}

/// What is read of a change feed.
type ChangesRequest = {
    Index: string
    /// As a batch gave it. None: the oldest change that is retained, or what comes from now on.
    Cursor: string option
    FromNow: bool
    /// Events at most; None: as many as the server gives at once, or without end where they are followed.
    Limit: int64 option
    WithDocuments: bool
    /// How long to wait for a first event; of what is followed, the longest silence. Zero: the server's own.
    Wait: TimeSpan
}

/// The change feed of an index: each acknowledged write at least once, in order for each key. A consumer that keeps the
/// cursor of a batch once it has dealt with all of it, and passes over ids that it has seen, misses nothing and does
/// nothing twice.
[<RequireQualifiedAccess>]
module Changes =

    /// All that is retained, then whatever comes.
    let ofIndex (index: string) : ChangesRequest = {
        Index = index
        Cursor = None
        FromNow = false
        Limit = None
        WithDocuments = false
        Wait = TimeSpan.Zero
    }

    /// Streams that may fail one after another before it is told.
    let private maxFailures = 20

    /// Before the next attempt; all of them together take more than two minutes.
    let private pause (failures: int) =
        TimeSpan.FromMilliseconds(500.0 * float (1 <<< min failures 4))

    /// Silence beyond what was asked for that an answer may have.
    let private patience = TimeSpan.FromSeconds 45.0

    let private body (request: ChangesRequest) (follow: bool) : obj =
        dict [
            match request.Cursor with
            | Some cursor -> "cursor", box cursor
            | None when request.FromNow -> "from", box "now"
            | None -> ()
            match request.Limit with
            | Some limit -> "limit", box limit
            | None -> ()
            if request.WithDocuments then
                "documents", box true
            if request.Wait > TimeSpan.Zero then
                "wait", box $"{int64 request.Wait.TotalMilliseconds}ms"
            if follow then
                "follow", box true
        ]

    let private text (name: string) (json: JsonElement) : string =
        match json.GetProperty(name).GetString() with
        | null -> raise (JsonException $"`{name}` is null")
        | text -> text

    let private change (json: JsonElement) : ChangeView = {
        Id = json.GetProperty("id").GetGuid()
        Type = text "type" json
        Key = text "key" json
        Version = text "version" json
        Position = text "position" json
        Document =
            match json.TryGetProperty "document" with
            | true, document -> Some(document.Clone())
            | false, _ -> None
    }

    let private batch (events: ChangeView[]) (json: JsonElement) : ChangeBatch = {
        Results = events
        Cursor = text "cursor" json
        CaughtUp = json.GetProperty("caughtUp").GetBoolean()
    }

    /// What `parse` makes of an answer. Throws JsonException where it is not what was expected.
    let private parsed (answer: string) (parse: JsonElement -> 'T) : 'T =
        try
            use document = JsonDocument.Parse answer
            parse document.RootElement
        with
        | :? FormatException
        | :? Collections.Generic.KeyNotFoundException
        | :? InvalidOperationException as problem -> raise (JsonException problem.Message)

    /// One batch: as many events as there are, the limit at most.
    let read (client: MiroirClient) (request: ChangesRequest) (cancel: CancellationToken) =
        client.Ask(
            $"indexes/{Uri.EscapeDataString request.Index}/changes",
            body request false,
            (fun answer ->
                parsed answer (fun root ->
                    batch [| for e in root.GetProperty("results").EnumerateArray() -> change e |] root)),
            cancel
        )

    /// Whether it is of a router or a shard that starts again or moves, and so passes.
    let private isPassing (problem: ClientError) =
        match problem with
        | Unreachable _
        | Refused(503, _, _) -> true
        | Refused _ -> false

    /// What a line with an error says; the status is the code's.
    let private errorOf (json: JsonElement) : ClientError =
        let code = text "code" json

        let status =
            match code with
            | "feed_cursor_too_old" -> 410
            | "index_not_found" -> 404
            | "invalid_feed_cursor" -> 400
            | _ -> 503

        Refused(status, code, text "message" json)

    /// One stream from its first line to its end, which may come at any time; Error also where it ends with one.
    let private stream
        (client: MiroirClient)
        (request: ChangesRequest)
        (onBatch: ChangeBatch -> Task)
        (cancel: CancellationToken)
        : Task<Result<unit, ClientError>> =
        task {
            let! opened =
                client.OpenLines(
                    $"indexes/{Uri.EscapeDataString request.Index}/changes",
                    body request true,
                    request.Wait + patience,
                    cancel
                )

            match opened with
            | Error problem -> return Error problem
            | Ok lines ->
                use lines = lines
                let events = ResizeArray<ChangeView>()
                let mutable result = None

                while result.IsNone do
                    match! lines.Next cancel with
                    | Error problem -> result <- Some(Error problem)
                    // Events without a cursor behind them come again.
                    | Ok None -> result <- Some(Ok())
                    | Ok(Some "") -> ()
                    | Ok(Some line) ->
                        let read =
                            try
                                parsed line (fun root ->
                                    match root.TryGetProperty "error", root.TryGetProperty "cursor" with
                                    | (true, error), _ -> Error(errorOf error)
                                    | _, (true, _) -> Ok(Choice2Of2(batch (events.ToArray()) root))
                                    | _ -> Ok(Choice1Of2(change root)))
                            with :? JsonException as problem ->
                                Error(
                                    Refused(
                                        0,
                                        "malformed_answer",
                                        $"a line is not what this version expects: {problem.Message}"
                                    )
                                )

                        match read with
                        | Error problem -> result <- Some(Error problem)
                        | Ok(Choice1Of2 event) -> events.Add event
                        | Ok(Choice2Of2 batch) ->
                            events.Clear()
                            do! onBatch batch

                return result.Value
        }

    /// Follows the feed, across ends of streams and failures that pass, until `Limit` events were given, or something
    /// failed that does not pass. `onBatch` has each batch before more is read; one without events says that the feed
    /// is alive. Answers the cursor to go on from.
    let follow
        (client: MiroirClient)
        (request: ChangesRequest)
        (onBatch: ChangeBatch -> Task)
        (cancel: CancellationToken)
        : Task<Result<string, ClientError>> =
        task {
            let cursor = ref request.Cursor
            let given = ref 0L
            let mutable failures = 0
            let mutable result = None

            let isEnough () =
                match request.Limit with
                | Some limit -> given.Value >= limit
                | None -> false

            while result.IsNone do
                let rest = {
                    request with
                        Cursor = cursor.Value
                        Limit = request.Limit |> Option.map (fun limit -> limit - given.Value)
                }

                let seen = ref 0

                let! ended =
                    stream
                        client
                        rest
                        (fun batch ->
                            task {
                                do! onBatch batch
                                cursor.Value <- Some batch.Cursor
                                given.Value <- given.Value + int64 batch.Results.Length
                                seen.Value <- seen.Value + 1
                            })
                        cancel

                if seen.Value > 0 then
                    failures <- 0

                let ended =
                    match ended with
                    | Ok() when seen.Value = 0 ->
                        Error(Unreachable(string client.Server, "its stream ended before it began"))
                    | ended -> ended

                match ended with
                | _ when isEnough () -> result <- Some(Ok(Option.defaultValue "" cursor.Value))
                | Ok() -> ()
                | Error problem when isPassing problem && failures < maxFailures ->
                    do! Task.Delay(pause failures, cancel)
                    failures <- failures + 1
                | Error problem -> result <- Some(Error problem)

            return result.Value
        }
