namespace Miroir.Scripting

open System
open System.IO
open System.Net
open System.Net.Http
open System.Net.Http.Headers
open System.Net.Http.Json
open System.Text.Json
open System.Threading
open System.Threading.Tasks
open Miroir.Ports

/// Which migration: by its number, or the newest of an index.
type Selector =
    | ById of int64
    | LatestOf of index: string

/// The document and administration API of one server, typed. Every call ends within `timeout`.
[<Sealed>]
type MiroirClient(server: Uri, apiKey: string option, timeout: TimeSpan) =
    let http =
        new HttpClient(
            new SocketsHttpHandler(
                ConnectTimeout = TimeSpan.FromSeconds 5.0,
                PooledConnectionLifetime = TimeSpan.FromMinutes 5.0
            ),
            BaseAddress = server,
            Timeout = timeout
        )

    do
        match apiKey with
        | Some key -> http.DefaultRequestHeaders.Authorization <- AuthenticationHeaderValue("Bearer", key)
        | None -> ()

    let escape (part: string) = Uri.EscapeDataString part

    let path selector command =
        match selector with
        | ById id -> $"_miroir/reshards/{id}{command}"
        | LatestOf index -> $"_miroir/reshards/latest{command}?index={escape index}"

    let why (problem: exn) =
        match problem.InnerException with
        | null -> problem.Message
        | inner -> inner.Message

    let errorOf (response: HttpResponseMessage) (body: string) =
        let status = int response.StatusCode

        try
            use document = JsonDocument.Parse body

            let text (name: string) =
                string (document.RootElement.GetProperty(name).GetString())

            Refused(status, text "code", text "message")
        with _ ->
            Unreachable(string server, $"it answers {status} without a Miroir error: it is something else")

    let send
        (request: HttpRequestMessage)
        (read: string -> 'T)
        (cancel: CancellationToken)
        : Task<Result<'T, ClientError>> =
        task {
            try
                use request = request
                use! response = http.SendAsync(request, cancel)
                let! body = response.Content.ReadAsStringAsync cancel

                if response.IsSuccessStatusCode then
                    try
                        return Ok(read body)
                    with
                    | :? JsonException
                    | :? InvalidOperationException as problem ->
                        return
                            Error(
                                Unreachable(
                                    string server,
                                    $"its answer is not what this version expects: {problem.Message}"
                                )
                            )
                else
                    return Error(errorOf response body)
            with
            | :? HttpRequestException as problem -> return Error(Unreachable(string server, why problem))
            | :? IOException as problem -> return Error(Unreachable(string server, problem.Message))
            | :? OperationCanceledException when not cancel.IsCancellationRequested ->
                return Error(Unreachable(string server, $"no answer within {timeout.TotalSeconds} s"))
        }

    let parse (body: string) : 'T =
        let value: obj | null = JsonSerializer.Deserialize(body, typeof<'T>, Json.options)

        match value with
        | null -> raise (JsonException "null")
        | value -> unbox<'T> value

    let get (path: string) cancel : Task<Result<'T, ClientError>> =
        send (new HttpRequestMessage(HttpMethod.Get, path)) parse cancel

    let post (method: HttpMethod) (path: string) (body: obj) cancel : Task<Result<'T, ClientError>> =
        send
            (new HttpRequestMessage(method, path, Content = JsonContent.Create(body, options = Json.options)))
            parse
            cancel

    let command selector name cancel : Task<Result<MigrationView, ClientError>> =
        send (new HttpRequestMessage(HttpMethod.Post, path selector $"/{name}")) parse cancel

    let list (path: string) cancel : Task<Result<'T[], ClientError>> =
        task {
            let! (results: Result<Results<'T>, ClientError>) = get path cancel
            return results |> Result.map _.Results
        }

    new(server: string) = new MiroirClient(Uri server, None, TimeSpan.FromSeconds 100.0)

    member _.Server = server

    member _.Cluster(cancel) : Task<Result<ClusterView, ClientError>> = get "_miroir/cluster" cancel
    member _.Nodes(cancel) : Task<Result<NodeView[], ClientError>> = list "_miroir/nodes" cancel

    member _.Node(name, cancel) : Task<Result<NodeDetail, ClientError>> =
        get $"_miroir/nodes/{escape name}" cancel

    member _.AddNode(request: AddNodeRequest, cancel) : Task<Result<NodeAdded, ClientError>> =
        post HttpMethod.Post "_miroir/nodes" request cancel

    /// In order of generation and shard.
    member _.Routes(index, cancel) : Task<Result<RouteView[], ClientError>> =
        list $"_miroir/indexes/{escape index}/routes" cancel

    member _.StartReshard(request: StartReshardRequest, cancel) : Task<Result<MigrationView, ClientError>> =
        post HttpMethod.Post "_miroir/reshards" request cancel

    /// Newest first.
    member _.Migrations(cancel) : Task<Result<MigrationView[], ClientError>> = list "_miroir/reshards" cancel
    member _.Migration(selector, cancel) : Task<Result<MigrationView, ClientError>> = get (path selector "") cancel
    member _.Cutover(selector, cancel) = command selector "cutover" cancel
    member _.Abort(selector, cancel) = command selector "abort" cancel

    /// `shards`: the first and the last of the old layout's that shall go back; None: all that the migration moves.
    member _.Revert
        (selector, shards: (int * int) option, force: bool, cancel)
        : Task<Result<MigrationView, ClientError>> =
        let body =
            dict [
                match shards with
                | Some(first, last) ->
                    "firstShard", box first
                    "lastShard", box last
                | None -> ()
                "force", box force
            ]

        post HttpMethod.Post (path selector "/revert") body cancel

    member _.Pause(selector, cancel) = command selector "pause" cancel
    member _.Resume(selector, cancel) = command selector "resume" cancel

    /// `onlyStuck`: only what a draining shard waits for.
    member _.OpenWrites(index: string option, onlyStuck: bool, cancel) : Task<Result<OpenWritesView, ClientError>> =
        let only =
            match index with
            | Some uid -> $"&index={escape uid}"
            | None -> ""

        let stuck = if onlyStuck then "true" else "false"
        get $"_miroir/writes?stuck={stuck}{only}" cancel

    /// Gives up every open write of a document; the answer has those that were.
    member _.FailWrites(request: FailWritesRequest, cancel) : Task<Result<OpenWritesView, ClientError>> =
        post HttpMethod.Post "_miroir/writes/fail" request cancel

    /// What is None stays as it is.
    member _.Set
        (selector, throttle: int option, drainTimeoutMs: int option, cancel)
        : Task<Result<MigrationView, ClientError>> =
        let changes =
            dict [
                match throttle with
                | Some n -> "throttle", n
                | None -> ()
                match drainTimeoutMs with
                | Some n -> "drainTimeoutMs", n
                | None -> ()
            ]

        post HttpMethod.Patch (path selector "") changes cancel

    // ----- Anti-entropy -------------------------------------------------------------------------------------------

    /// `index`: None for all. Its passes come without their documents.
    member _.AntiEntropy(index: string option, cancel) : Task<Result<AntiEntropyView, ClientError>> =
        let only =
            match index with
            | Some uid -> $"?index={escape uid}"
            | None -> ""

        get $"_miroir/anti-entropy{only}" cancel

    /// Finished passes, the newest last, without their documents. `limit`: 1 to 1000.
    member _.AntiEntropyHistory(index: string option, limit: int, cancel) : Task<Result<PassView[], ClientError>> =
        let only =
            match index with
            | Some uid -> $"&index={escape uid}"
            | None -> ""

        list $"_miroir/anti-entropy/passes?limit={limit}{only}" cancel

    /// Begins a pass, and answers at once. A plan without documents stands for whatever differs, as in the port:
    /// `AntiEntropy.apply` is the one for a plan that was kept.
    member _.StartPass(request: PassRequest, cancel) : Task<Result<PassView, ClientError>> =
        let body =
            dict [
                "index", box request.Index
                "kind", box request.Kind
                "firstShard", box request.FirstShard
                if request.LastShard >= 0 then
                    "lastShard", box request.LastShard
                if request.Plan.Length > 0 then
                    "plan", box request.Plan
            ]

        post HttpMethod.Post "_miroir/anti-entropy/passes" body cancel

    member _.Pass(id: int64, withDocuments: bool, cancel) : Task<Result<PassView, ClientError>> =
        let without = if withDocuments then "" else "?documents=false"
        get $"_miroir/anti-entropy/passes/{id}{without}" cancel

    // ----- Documents ----------------------------------------------------------------------------------------------

    /// A task, whose end `WaitForTask` waits for.
    member _.CreateIndex
        (uid: string, primaryKey: string option, shards: int, replication: int, cancel)
        : Task<Result<Accepted, ClientError>> =
        let body: Collections.Generic.IDictionary<string, obj | null> =
            dict [
                "uid", box uid
                match primaryKey with
                | Some key -> "primaryKey", box key
                | None -> ()
                if shards > 0 then
                    "shards", box shards
                if replication > 0 then
                    "replication", box replication
            ]

        send
            (new HttpRequestMessage(
                HttpMethod.Post,
                "indexes",
                Content = JsonContent.Create(body, options = Json.options)
            ))
            parse
            cancel

    member _.DeleteIndex(uid: string, cancel) : Task<Result<Accepted, ClientError>> =
        send (new HttpRequestMessage(HttpMethod.Delete, $"indexes/{escape uid}")) parse cancel

    /// Adds or replaces a batch of newline-delimited JSON.
    member _.AddDocuments
        (index: string, primaryKey: string option, ndjson: ReadOnlyMemory<byte>, cancel)
        : Task<Result<Accepted, ClientError>> =
        let query =
            match primaryKey with
            | Some key -> $"?primaryKey={escape key}"
            | None -> ""

        let content = new ReadOnlyMemoryContent(ndjson)
        content.Headers.ContentType <- MediaTypeHeaderValue "application/x-ndjson"

        send
            (new HttpRequestMessage(HttpMethod.Post, $"indexes/{escape index}/documents{query}", Content = content))
            parse
            cancel

    /// Waits for a task's end, within `limit`. Error: what the task failed of.
    member _.WaitForTask
        (accepted: Accepted, limit: TimeSpan, cancel: CancellationToken)
        : Task<Result<unit, ClientError>> =
        task {
            let clock = TimeProvider.System
            let began = clock.GetTimestamp()
            let mutable outcome = if accepted.Status = "succeeded" then Some(Ok()) else None
            let mutable pause = 10

            while outcome.IsNone do
                let! (answer: Result<JsonElement, ClientError>) =
                    get $"tasks/{accepted.TaskUid}" cancel

                match answer with
                | Error problem -> outcome <- Some(Error problem)
                | Ok answer ->
                    match answer.GetProperty("status").GetString() with
                    | "succeeded" -> outcome <- Some(Ok())
                    | "failed"
                    | "canceled" ->
                        let error = answer.GetProperty "error"

                        let text (name: string) =
                            if error.ValueKind = JsonValueKind.Object then
                                string (error.GetProperty(name).GetString())
                            else
                                ""

                        outcome <- Some(Error(Refused(int HttpStatusCode.OK, text "code", text "message")))
                    | _ when clock.GetElapsedTime began > limit ->
                        outcome <-
                            Some(
                                Error(
                                    Refused(
                                        504,
                                        "task_timeout",
                                        $"task {accepted.TaskUid} did not end within {limit.TotalSeconds} s"
                                    )
                                )
                            )
                    | _ ->
                        do! Task.Delay(pause, cancel)
                        pause <- min 500 (pause * 2)

            return outcome.Value
        }

    /// Documents from `offset` on as they are kept, and how many there are in all.
    member _.Documents
        (index: string, offset: int64, limit: int, fields: string, cancel)
        : Task<Result<JsonElement[] * int64, ClientError>> =
        task {
            let fields = if fields = "" then "" else $"&fields={escape fields}"

            let! (page: Result<JsonElement, ClientError>) =
                get $"indexes/{escape index}/documents?offset={offset}&limit={limit}{fields}" cancel

            return
                page
                |> Result.map (fun page ->
                    [| for d in page.GetProperty("results").EnumerateArray() -> d |],
                    page.GetProperty("total").GetInt64())
        }

    /// One document by a confirmed read; None where there is none.
    member _.Document(index: string, key: string, cancel) : Task<Result<JsonElement option, ClientError>> =
        task {
            let! (found: Result<JsonElement, ClientError>) =
                get $"indexes/{escape index}/documents/{escape key}" cancel

            return
                match found with
                | Ok document -> Ok(Some document)
                | Error(Refused(404, "document_not_found", _)) -> Ok None
                | Error problem -> Error problem
        }

    // ----- The change feed ----------------------------------------------------------------------------------------

    /// A POST whose answer `read` reads.
    member internal _.Ask(path: string, body: obj, read: string -> 'T, cancel) : Task<Result<'T, ClientError>> =
        send
            (new HttpRequestMessage(HttpMethod.Post, path, Content = JsonContent.Create(body, options = Json.options)))
            read
            cancel

    /// A POST whose answer is read line by line, and may go on without end. `silence`: the longest wait for a line.
    member internal _.OpenLines
        (path: string, body: obj, silence: TimeSpan, cancel: CancellationToken)
        : Task<Result<AnswerLines, ClientError>> =
        task {
            try
                use request =
                    new HttpRequestMessage(
                        HttpMethod.Post,
                        path,
                        Content = JsonContent.Create(body, options = Json.options)
                    )

                let! response =
                    http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel)

                if response.IsSuccessStatusCode then
                    let! stream = response.Content.ReadAsStreamAsync cancel
                    return Ok(new AnswerLines(server, response, new StreamReader(stream), silence))
                else
                    use response = response
                    let! body = response.Content.ReadAsStringAsync cancel
                    return Error(errorOf response body)
            with
            | :? HttpRequestException as problem -> return Error(Unreachable(string server, why problem))
            | :? IOException as problem -> return Error(Unreachable(string server, problem.Message))
            | :? OperationCanceledException when not cancel.IsCancellationRequested ->
                return Error(Unreachable(string server, $"no answer within {timeout.TotalSeconds} s"))
        }

    interface IDisposable with
        member _.Dispose() = http.Dispose()
