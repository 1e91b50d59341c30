module Miroir.Ctl.Tests.ImportTests

open System
open System.Collections.Concurrent
open System.Text.Json
open System.Threading
open NUnit.Framework

let private accepted uid =
    202, $$"""{"taskUid":{{uid}},"status":"succeeded"}"""

/// Ids of the documents in the bodies of all requests that were accepted, in ordinal order.
let private idsOf (bodies: string seq) =
    bodies
    |> Seq.collect (fun body -> body.Split('\n', StringSplitOptions.RemoveEmptyEntries))
    |> Seq.map (fun line ->
        use document = JsonDocument.Parse line
        document.RootElement.GetProperty("id").GetInt32())
    |> Seq.sort
    |> List.ofSeq

let private import server input more =
    Ctl.runWith [] input server ([ "documents"; "import"; "-"; "--index"; "p" ] @ more)

let private lines count =
    [ for id in 1..count -> $$"""{"id": {{id}}, "text": "é"}""" ]
    |> String.concat "\r\n"

[<Test>]
let ``every line is sent once, in batches`` () =
    use server = new FakeServer(fun _ _ -> accepted 1)

    let ran =
        import server.Url ("\uFEFF" + lines 25 + "\n\n") [ "--batch-size"; "10"; "--primary-key"; "id" ]

    Assert.That(ran.Status, Is.Zero, ran.Error)
    Assert.That(ran.Out, Is.EqualTo "Documents imported: 25\n")
    Assert.That(server.Asked |> Array.map fst, Is.All.EqualTo "POST /indexes/p/documents?primaryKey=id")
    Assert.That(server.Asked, Has.Length.EqualTo 3)
    Assert.That(idsOf (server.Asked |> Array.map snd), Is.EqualTo<int list> [ 1..25 ])

[<Test>]
let ``a JSON array is read item by item`` () =
    use server = new FakeServer(fun _ _ -> accepted 1)

    let ran =
        import
            server.Url
            """ [ {"id": 1}, {"id": 2,
        "nested": [1, 2]}, {"id": 3} ] """
            [ "--batch-size"; "2" ]

    Assert.That(ran.Status, Is.Zero, ran.Error)
    Assert.That(idsOf (server.Asked |> Array.map snd), Is.EqualTo<int list> [ 1..3 ])

[<Test>]
let ``a batch that is refused for now is sent again`` () =
    let mutable refusals = 3
    let stored = ConcurrentQueue<string>()

    use server =
        new FakeServer(fun _ body ->
            if Interlocked.Decrement &refusals >= 0 then
                503, """{"message":"no quorum","code":"quorum_unavailable","type":"system","link":""}"""
            else
                stored.Enqueue body
                accepted 1)

    let ran = import server.Url (lines 5) [ "--batch-size"; "2" ]
    Assert.That(ran.Status, Is.Zero, ran.Error)
    Assert.That(ran.Out, Is.EqualTo "Documents imported: 5\nRequests repeated: 3\n")
    Assert.That(idsOf stored, Is.EqualTo<int list> [ 1..5 ])

[<Test>]
let ``a batch that fails ends the import, and says where it began`` () =
    use server =
        new FakeServer(fun request body ->
            if request.StartsWith "GET /tasks/" then
                200,
                """{"uid":2,"status":"failed","error":{"message":"no id","code":"missing_document_id","type":"invalid_request","link":""}}"""
            elif body.Contains "\"id\": 3" then
                202, """{"taskUid":2,"status":"failed"}"""
            else
                accepted 1)

    let ran = import server.Url (lines 4) [ "--batch-size"; "2"; "--in-flight"; "1" ]
    Assert.That(ran.Status, Is.EqualTo 1)
    Assert.That(ran.Error, Does.Contain "no id (missing_document_id) (in the batch that begins at line 3)")
    Assert.That(ran.Error, Does.Contain "2 documents were imported before")

[<Test>]
let ``an array that breaks off is told of`` () =
    use server = new FakeServer(fun _ _ -> accepted 1)
    let ran = import server.Url """[{"id": 1}, {"id": """ []
    Assert.That(ran.Status, Is.EqualTo 1)
    Assert.That(ran.Error, Does.Contain "malformed_input")

[<Test>]
let ``a file that is not there is told of`` () =
    let ran = Ctl.run "http://127.0.0.1:1" "documents import nowhere.ndjson --index p"
    Assert.That(ran.Status, Is.EqualTo 1)
    Assert.That(ran.Error, Does.Contain "nowhere.ndjson")
