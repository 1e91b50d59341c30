module Miroir.Ctl.Tests.ChangesTests

open System
open System.Text.Json
open System.Threading
open System.Threading.Tasks
open NUnit.Framework
open Miroir.Scripting

// Answers in the shapes of docs/change-feed.md.

let private event n =
    let kind = if n % 3 = 0 then "delete" else "put"

    $$"""{"id":"00000000-0000-0000-0000-{{n.ToString "D12"}}","type":"{{kind}}","key":"k{{n}}","version":"2.{{n}}","position":"2.{{n}}"}"""

let private mark n (caughtUp: bool) =
    let caughtUp = if caughtUp then "true" else "false"
    $$"""{"cursor":"c{{n}}","caughtUp":{{caughtUp}}}"""

let private answer (events: int list) (caughtUp: bool) =
    let results = events |> List.map event |> String.concat ","
    let caughtUp = if caughtUp then "true" else "false"
    $$"""{"results":[{{results}}],"cursor":"c{{List.last events}}","caughtUp":{{caughtUp}}}"""

let private lines (all: string list) =
    all |> List.map (fun line -> line + "\n") |> String.concat ""

let private refusal code =
    $$"""{"message":"because","code":"{{code}}","type":"invalid_request","link":""}"""

let private sent (body: string) (name: string) =
    use body = JsonDocument.Parse body

    match body.RootElement.TryGetProperty name with
    | true, value -> value.ToString()
    | _ -> ""

let private same (expected: string list) = Is.EqualTo(box (Array.ofList expected))

let private cursorOf body = sent body "cursor"

[<Test>]
let ``changes shows each change and the cursor behind them`` () =
    use server = new FakeServer(fun _ _ -> 200, answer [ 1; 2; 3 ] false)
    let ran = Ctl.run server.Url "changes books --from now --limit 3"
    Assert.That(ran.Status, Is.Zero, ran.Error)
    let shown = ran.Out.Split '\n'
    Assert.That(shown[0], Does.Match "^TYPE +KEY +VERSION +OPERATION$")
    Assert.That(shown[1], Does.Match "^put +k1 +2\\.1 +00000000-0000-0000-0000-000000000001$")
    Assert.That(shown[3], Does.StartWith "delete")
    Assert.That(shown[4], Is.EqualTo "Cursor: c3")
    Assert.That(shown[5], Does.Contain "--cursor")
    let request, body = server.Asked[0]
    Assert.That(request, Is.EqualTo "POST /indexes/books/changes")
    Assert.That((sent body "from", sent body "limit", sent body "documents"), Is.EqualTo(("now", "3", "")))

[<Test>]
let ``changes as JSON is one document, which has a document only where it was asked for`` () =
    use server = new FakeServer(fun _ _ -> 200, answer [ 1 ] true)

    use json =
        JsonDocument.Parse (Ctl.run server.Url "changes books --json --cursor c0").Out

    let root = json.RootElement
    Assert.That(root.GetProperty("cursor").GetString(), Is.EqualTo "c1")
    Assert.That(root.GetProperty("caughtUp").GetBoolean(), Is.True)
    let first = root.GetProperty("results")[0]
    Assert.That(first.GetProperty("id").GetString(), Does.EndWith "1")
    Assert.That(first.TryGetProperty "document" |> fst, Is.False)
    Assert.That(cursorOf (snd server.Asked[0]), Is.EqualTo "c0")

    use server =
        new FakeServer(fun _ _ ->
            200,
            (answer [ 1 ] true).Replace("\"position\":\"2.1\"", "\"position\":\"2.1\",\"document\":{\n\"n\":1.0e2}"))

    let ran = Ctl.run server.Url "changes books --documents"
    Assert.That(ran.Out, Does.Contain """{"n":1.0e2}""")
    Assert.That(sent (snd server.Asked[0]) "documents", Is.EqualTo "True")

[<TestCase("invalid_feed_cursor", 400)>]
[<TestCase("feed_cursor_too_old", 410)>]
[<TestCase("index_not_found", 404)>]
let ``what the server refuses ends with one, followed or not`` (code: string) (status: int) =
    use server = new FakeServer(fun _ _ -> status, refusal code)

    for follow in [ ""; " --follow" ] do
        let ran = Ctl.run server.Url $"changes books --cursor c1{follow}"
        Assert.That(ran.Status, Is.EqualTo 1)
        Assert.That(ran.Error, Does.Contain code)

[<TestCase("changes", "--help")>]
[<TestCase("changes books --from yesterday", "--from")>]
[<TestCase("changes books --from now --cursor c1", "--from")>]
[<TestCase("changes books --limit 0", "--limit")>]
[<TestCase("changes books --limit 10001", "--limit")>]
[<TestCase("changes books --limit 0 --follow", "--limit")>]
let ``wrong usage ends with two and names the argument`` (command: string) (says: string) =
    use server = new FakeServer(fun _ _ -> 200, answer [ 1 ] true)
    let ran = Ctl.run server.Url command
    Assert.That(ran.Status, Is.EqualTo 2)
    Assert.That(ran.Error, Does.Contain says)
    Assert.That(server.Asked, Is.Empty)

[<Test>]
let ``a server that is not there ends with three`` () =
    let ran = Ctl.run "http://127.0.0.1:9" "changes books"
    Assert.That(ran.Status, Is.EqualTo 3)

/// A stream that breaks behind its first cursor, a router that is away, then the rest.
let private broken (body: string) : int * string =
    match cursorOf body with
    | "" -> 200, lines [ event 1; event 2; mark 2 false; event 3 ]
    | "c2" ->
        200,
        lines [
            mark 2 false
            event 3
            mark 3 false
            $$"""{"error":{{refusal "feed_unavailable"}}}"""
        ]
    | _ -> 200, lines [ event 4; event 5; mark 5 true ]

[<Test>]
let ``following goes on from the last cursor, with no change left out or given twice`` () =
    use server = new FakeServer(fun _ body -> broken body)
    let ran = Ctl.run server.Url "changes books --follow --limit 5 --json"
    Assert.That(ran.Status, Is.Zero, ran.Error)

    let shown =
        ran.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        |> Array.map (fun line ->
            use line = JsonDocument.Parse line

            match line.RootElement.TryGetProperty "key" with
            | true, key -> string key
            | _ -> line.RootElement.GetProperty("cursor").GetString() |> string)

    Assert.That(shown, same [ "k1"; "k2"; "c2"; "k3"; "c3"; "k4"; "k5"; "c5" ])
    Assert.That(server.Asked |> Array.map (snd >> cursorOf), same [ ""; "c2"; "c3" ])

    Assert.That(
        server.Asked |> Array.map (fun (_, body) -> sent body "limit"),
        same [ "5"; "3"; "2" ],
        "what is left of the limit"
    )

[<Test>]
let ``following tells its cursor when it ends, also where it ends badly`` () =
    use server =
        new FakeServer(fun _ _ ->
            200, lines [ event 1; mark 1 false; $$"""{"error":{{refusal "feed_cursor_too_old"}}}""" ])

    let ran = Ctl.run server.Url "changes books --follow"
    Assert.That(ran.Status, Is.EqualTo 1)
    Assert.That(ran.Out, Does.Match "^put +k1 +2\\.1 ")
    Assert.That(ran.Error, Does.Contain("Cursor: c1").And.Contain("feed_cursor_too_old"))

[<Test>]
let ``following that is interrupted has ended as it should, and tells its cursor`` () =
    use interrupt = new CancellationTokenSource()

    use server =
        new FakeServer(fun _ body ->
            match cursorOf body with
            | "" -> 200, lines [ event 1; mark 1 true ]
            | _ ->
                interrupt.Cancel()
                200, lines [ mark 1 true ])

    let ran =
        Ctl.runUntil interrupt.Token false [] "" server.Url [ "changes"; "books"; "--follow" ]

    Assert.That(ran.Status, Is.Zero)
    Assert.That(ran.Out, Does.StartWith "put  k1  2.1")
    Assert.That(ran.Error, Is.EqualTo "Cursor: c1\n")

[<Test>]
let ``a line that is none ends following, and is not passed over`` () =
    for line in [ "nonsense"; "[]"; """{"id":"x"}"""; """{"error":{}}""" ] do
        use server = new FakeServer(fun _ _ -> 200, lines [ line ])
        let ran = Ctl.run server.Url "changes books --follow"
        Assert.That(ran.Status, Is.EqualTo 1, line)
        Assert.That(ran.Error, Does.Contain "malformed_answer")

[<Test>]
let ``a batch that its consumer fails at is given again`` () : Task =
    task {
        use server = new FakeServer(fun _ body -> broken body)
        use client = new MiroirClient(server.Url)

        let fail (_: ChangeBatch) : Task =
            raise (IO.IOException "the consumer's disk is full")

        let follow (onBatch: ChangeBatch -> Task) =
            Changes.follow
                client
                {
                    Changes.ofIndex "books" with
                        Limit = Some 5L
                }
                onBatch
                CancellationToken.None
            :> Task

        // The consumer's own failure is not taken for the server's.
        let mutable failed = false

        try
            do! follow fail
        with :? IO.IOException ->
            failed <- true

        Assert.That(failed, Is.True)
        let keys = ResizeArray<string>()

        do!
            follow (fun batch ->
                keys.AddRange(batch.Results |> Array.map _.Key)
                Task.CompletedTask)

        Assert.That(keys.ToArray(), same [ "k1"; "k2"; "k3"; "k4"; "k5" ])
    }
