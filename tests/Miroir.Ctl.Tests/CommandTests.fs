module Miroir.Ctl.Tests.CommandTests

open System
open System.Text.Json
open NUnit.Framework
open Miroir.Scripting

// Answers in the shapes of docs/admin-api.md.

let private node name =
    $$"""{"name":"{{name}}","address":"http://127.0.0.1:7001","zone":"","role":"Active","state":"Healthy","weight":1,"capacityBytes":0,"shards":16,"documents":1000,"bytes":409600,"latencyMs":0.4,"lastError":"","newField":1}"""

let private index =
    """{"uid":"packages","primaryKey":"package","replication":1,"layout":{"generation":1,"shardCount":1},"lastGeneration":1,"createdAtUnixMs":0,"updatedAtUnixMs":0}"""

let private cluster healthy =
    $$"""{"healthy":{{healthy}},"nodes":[{{node "old-0"}}],"routers":[{"name":"r1","address":"http://127.0.0.1:7700","incarnation":77,"state":"Live","writerOf":16}],"indexes":[{{index}}],"problems":["node old-1 is down"],"coordinatorTerm":3,"revision":120}"""

let private certificate =
    """{"targetShard":"2/0","nodes":["new-0"],"incarnations":["x"],"sources":["old-0"],"jointEpoch":3,"entries":62,"copied":1,"digest":"00ff","watermark":"1.2"}"""

let private viewOf writes phase status ready loss timeline =
    $$"""{"id":42,"index":"packages","from":{"generation":1,"shardCount":16},"to":{"generation":2,"shardCount":64},"phase":"{{phase}}","status":"{{status}}","reason":"","cutoverRequested":false,"readyForCutover":{{ready}},"startedAtUnixMs":0,"finishedAtUnixMs":5000,"throttle":10000,"oldNodes":["old-0","old-1"],"newNodes":["old-0","old-1","new-0"],"shards":[{"shard":0,"state":"Copied","stage":"Copying","epoch":2,"attempt":1,"owners":["old-0"],"targets":["2/0 on new-0"],"documentsCopied":62,"documentsTotal":62,"deltaCompared":62,"deltaCopied":1,"drainMs":12,"openWrites":{{writes}},"oldestWriteMs":1500,"reason":"","certificates":[{{certificate}}]}],"documentsCopied":1000,"deltaCopied":1,"dataLoss":{{loss}},"warnings":[],"timeline":[{{timeline}}]}"""

let private view = viewOf 0

let private write stuck =
    $$"""{"router":"r1","index":"packages","generation":1,"shard":0,"key":"bash","operationId":"00000001-0002-0003-0000-000000000000","version":"1.7","kind":"Write","begunEpoch":2,"epoch":3,"ageMs":1500,"answered":["1/0 on old-0"],"missing":["2/0 on new-0"],"isStuck":{{stuck}},"newField":1}"""

let private phases (names: (string * int) list) =
    names
    |> List.map (fun (name, at) -> $$"""{"phase":"{{name}}","atUnixMs":{{at}},"detail":"{{name.Length}} shards"}""")
    |> String.concat ","

let private begun =
    view "ComputingAssignments" "Running" "false" -1 (phases [ "ComputingAssignments", 0 ])

let private complete =
    view
        "Complete"
        "Complete"
        "true"
        0
        (phases [
            "ComputingAssignments", 0
            "DualWriteMigrating", 10
            "CutoverBegin", 2000
            "CutoverDraining", 2010
            "CutoverDeltaPass", 2200
            "CutoverActivate", 4000
            "CutoverCleanup", 4100
        ])

let private route =
    """{"v":1,"index":"packages","generation":1,"shard":0,"range":{"lo":"0000000000000000","last":"ffffffffffffffff"},"epoch":4,"stage":"Switched","owners":["old-0"],"targets":[{"index":"packages","generation":2,"shard":0,"range":{"lo":"0000000000000000","last":"ffffffffffffffff"},"nodes":["new-0"]}],"writer":{"router":"r1","incarnation":77,"term":1},"fences":[],"migration":42}"""

let private detail =
    """{"name":"old-0","incarnation":"6f9619ff-8b86-d011-b42d-00c04fc964ff","version":"0.1.0","lastError":"","stores":[{"store":{"index":"packages","generation":1,"shard":0},"range":{"lo":"0000000000000000","last":"0fffffffffffffff"},"incarnation":"x","migration":0,"attempt":0,"documents":62,"tombstones":0,"bytes":40960,"failedPuts":0}]}"""

let private accepted =
    """{"taskUid":7,"indexUid":"packages","status":"succeeded","type":"indexCreation"}"""

let private answer (request: string) (_: string) : int * string =
    match request with
    | "GET /_miroir/cluster" -> 200, cluster "true"
    | "GET /_miroir/nodes" -> 200, $$"""{"results":[{{node "old-0"}}]}"""
    | "POST /_miroir/nodes" ->
        201,
        """{"name":"n4","address":"http://127.0.0.1:7004","zone":"","weight":1,"capacityBytes":0,"role":"Active"}"""
    | "GET /_miroir/nodes/old-0" -> 200, detail
    | "GET /_miroir/indexes/packages/routes" -> 200, $$"""{"results":[{{route}}]}"""
    | "POST /_miroir/reshards" -> 201, begun
    | "GET /_miroir/reshards" -> 200, $$"""{"results":[{{complete}}]}"""
    | "GET /_miroir/writes?stuck=false" -> 200, $$"""{"results":[{{write "true"}},{{write "false"}}],"unanswered":[]}"""
    | "GET /_miroir/writes?stuck=true&index=packages" ->
        200, $$"""{"results":[{{write "true"}}],"unanswered":["router r2 gives no answer: down"]}"""
    | "POST /_miroir/writes/fail" -> 200, $$"""{"results":[{{write "true"}}],"unanswered":[]}"""
    | "POST /indexes"
    | "DELETE /indexes/packages" -> 202, accepted
    | r when r.StartsWith "GET /indexes/packages/documents?offset=0" ->
        200, """{"results":[{"package":"a"},{"package":7}],"offset":0,"limit":2,"total":2}"""
    | r when r.StartsWith "GET /indexes/packages/documents?" -> 200, """{"results":[],"offset":0,"limit":2,"total":2}"""
    | "GET /indexes/packages/documents/a" -> 200, """{"package":"a"}"""
    | "GET /indexes/packages/documents/7" ->
        404, """{"message":"Document `7` not found.","code":"document_not_found","type":"invalid_request","link":""}"""
    | r when
        r.StartsWith "GET /_miroir/reshards/"
        || r.StartsWith "POST /_miroir/reshards/"
        || r.StartsWith "PATCH "
        ->
        200, complete
    | other ->
        404, $$"""{"message":"nothing at {{other}}","code":"route_not_found","type":"invalid_request","link":""}"""

let private once command =
    use server = new FakeServer(answer)
    Ctl.run server.Url command

[<Test>]
let ``writes list shows who has a write and who has not`` () =
    let ran = once "writes list"
    Assert.That(ran.Status, Is.Zero)

    for text in [ "1.5 s"; "bash"; "1/0 on old-0"; "2/0 on new-0"; "2, now 3"; "r1" ] do
        Assert.That(ran.Out, Does.Contain text)

    use json = JsonDocument.Parse (once "writes list --json").Out
    Assert.That(json.RootElement.GetProperty("results").GetArrayLength(), Is.EqualTo 2)

[<Test>]
let ``a list that a router is missing from is told as such`` () =
    let ran = once "writes list --stuck --index packages"
    Assert.That(ran.Status, Is.EqualTo 1)
    Assert.That(ran.Out, Does.Contain "bash")
    Assert.That(ran.Error, Does.Contain "router r2")

[<Test>]
let ``writes fail gives up the document's writes with a reason`` () =
    use server = new FakeServer(answer)
    let ran = Ctl.run server.Url "writes fail --doc-id bash --reason timeout"
    Assert.That(ran.Status, Is.Zero)
    Assert.That(ran.Out, Does.StartWith "Given up: write 00000001-0002-0003-0000-000000000000 of packages/bash")
    let _, body = server.Asked[0]
    use body = JsonDocument.Parse body

    let sent (name: string) =
        body.RootElement.GetProperty(name).GetString()

    Assert.That((sent "docId", sent "index", sent "reason"), Is.EqualTo(("bash", "", "timeout")))

[<TestCase("writes fail --doc-id bash", "--reason")>]
[<TestCase("writes fail --reason timeout", "--doc-id")>]
let ``writes fail wants an id and a reason`` (command: string) (missing: string) =
    let ran = once command
    Assert.That(ran.Status, Is.EqualTo 2)
    Assert.That(ran.Error, Does.Contain missing)

[<Test>]
let ``status tells of the writes that a drain waits for`` () =
    let draining =
        viewOf 2 "CutoverDraining" "Running" "false" -1 (phases [ "CutoverDraining", 0 ])

    use server = new FakeServer(fun _ _ -> 200, draining)
    let ran = Ctl.run server.Url "reshard status --index packages"
    Assert.That(ran.Out, Does.Contain "Writes that a drain waits for: 2, the oldest for 1.5 s")

[<Test>]
let ``start prints what the contract says`` () =
    let ran = once "reshard start --index packages --new-shards 64 --throttle 10000"

    Assert.That(
        ran.Out,
        Is.EqualTo
            "Migration started: ID=42\nPhase: ComputingAssignments\nAffected shards: 64 (old nodes: old-0, old-1)\n"
    )

    Assert.That(ran.Status, Is.Zero)

[<Test>]
let ``start asks for what was typed`` () =
    use server = new FakeServer(answer)
    Ctl.run server.Url "reshard start --index packages --new-shards 64" |> ignore
    let request, body = server.Asked[0]
    Assert.That(request, Is.EqualTo "POST /_miroir/reshards")
    use body = JsonDocument.Parse body
    let sent = body.RootElement
    Assert.That(sent.GetProperty("index").GetString(), Is.EqualTo "packages")
    Assert.That(sent.GetProperty("newShards").GetInt32(), Is.EqualTo 64)
    Assert.That(sent.GetProperty("throttle").GetInt32(), Is.EqualTo 10_000)
    Assert.That(sent.GetProperty("dryRun").GetBoolean(), Is.False)

[<TestCase("routing revert --index packages --shards 0-63 --force", """{"firstShard":0,"lastShard":63,"force":true}""")>]
[<TestCase("reshard revert --index packages --shards 7", """{"firstShard":7,"lastShard":7,"force":false}""")>]
[<TestCase("reshard revert --index packages", """{"force":false}""")>]
let ``revert asks for the shards that were typed, and prints what it costs`` (command: string, body: string) =
    let reverting =
        complete.Replace("\"reason\":\"\"", "\"reason\":\"reverted by an operator: lossless\"")

    use server = new FakeServer(fun _ _ -> 200, reverting)
    let ran = Ctl.run server.Url command
    Assert.That(ran.Status, Is.EqualTo 0, ran.Error)
    Assert.That(ran.Out, Does.Contain "Reason: reverted by an operator: lossless")
    let request, sent = server.Asked[0]
    Assert.That(request, Is.EqualTo "POST /_miroir/reshards/latest/revert?index=packages")
    Assert.That(sent.Replace("\n", "").Replace(" ", ""), Is.EqualTo body)

[<TestCase "3-1">]
[<TestCase "0-">]
[<TestCase "all">]
[<TestCase "1-2-3">]
let ``revert refuses a span that is none`` (span: string) =
    let ran = once $"routing revert --index packages --shards {span}"
    Assert.That(ran.Status, Is.EqualTo 2)
    Assert.That(ran.Error, Does.Contain "--shards")

[<Test>]
let ``status prints phase, shards, certificates and loss`` () =
    let ran = once "reshard status --index packages --show delta"

    let expected =
        [
            "Migration: ID=42, index packages, 16 to 64 shards"
            "Phase: Complete"
            "Documents copied: 1,000"
            "Documents in the delta pass: 1"
            "SHARD  STATE   STAGE    EPOCH  ATTEMPT  COPIED  OF  OWNERS  TARGETS       DELTA COMPARED  DELTA COPIED  DRAIN  REASON"
            "0      Copied  Copying  2      1        62      62  old-0   2/0 on new-0  62              1             12 ms  -"
            "CERTIFICATE  NODES  SOURCES  JOINT EPOCH  ENTRIES  COPIED  DIGEST  WATERMARK"
            "2/0          new-0  old-0    3            62       1       00ff    1.2"
            "Status: Complete"
            "Data loss: 0 documents"
            ""
        ]
        |> String.concat "\n"

    Assert.That(ran.Out, Is.EqualTo expected)

[<Test>]
let ``loss is unknown without certificates`` () =
    use server = new FakeServer(fun _ _ -> 200, begun)
    let ran = Ctl.run server.Url "reshard status --migration 42"
    Assert.That(ran.Out, Does.EndWith "Status: Running\nData loss: unknown\n")

[<Test>]
let ``cutover tells each phase, what it did and how long it took`` () =
    let ran = once "reshard cutover --index packages"

    let expected =
        [
            "CutoverBegin  10 ms  12 shards"
            "CutoverDraining  190 ms  15 shards"
            "CutoverDeltaPass  1.8 s  16 shards"
            "CutoverActivate  100 ms  15 shards"
            "CutoverCleanup  900 ms  14 shards"
            "Status: Complete"
            "Data loss: 0 documents"
            ""
        ]
        |> String.concat "\n"

    Assert.That(ran.Out, Is.EqualTo expected)

[<Test>]
let ``routing test finds the key whose route and data disagree`` () =
    let ran = once "routing test --index packages --samples 2"
    Assert.That(ran.Status, Is.EqualTo 1)
    Assert.That(ran.Out, Does.Contain "new-0  2            1              yes")
    Assert.That(ran.Out, Does.Contain "Share on new nodes: 100.0%")
    Assert.That(ran.Out, Does.Contain "7: shard 1/0 on new-0: not found by a confirmed read")

/// Each command of the tree, with what it needs.
let private commands = [
    "cluster health", 0
    "nodes list", 0
    "nodes add --node n4 --address http://127.0.0.1:7004", 0
    "nodes stats --node old-0", 0
    "indexes create --index packages --primary-key package --shards 16", 0
    "indexes list", 0
    "indexes delete --index packages", 0
    "shards list", 0
    "shards list --index packages", 0
    "reshard start --index packages --new-shards 64 --dry-run", 0
    "reshard watch --index packages", 0
    "reshard status --migration 42", 0
    "reshard cutover --index packages", 0
    "reshard cutover --index packages --no-wait", 0
    "reshard abort --index packages", 0
    "reshard pause --index packages", 0
    "reshard resume --index packages", 0
    "reshard revert --index packages", 0
    "reshard list", 0
    "reshard set --index packages --throttle 5 --drain-timeout 60s", 0
    "reshard check-window --schedule-window off-peak", 1
    "reshard config", 0
    "routing test --index packages --samples 2", 1
    "routing revert --migration 42", 0
    "routing revert --index packages --shards 0-63 --force", 0
    "reshard revert --index packages --shards 7", 0
]

let private parsed (text: string) =
    use document = JsonDocument.Parse text
    document.RootElement.ValueKind

[<Test>]
let ``every command's --json is one document, before or behind the command`` () =
    use server = new FakeServer(answer)

    for command, status in commands do
        for line in [ $"--json {command}"; $"{command} --json" ] do
            let ran = Ctl.run server.Url line
            Assert.That(ran.Status, Is.EqualTo status, line + ran.Error)
            Assert.That(parsed ran.Out, Is.EqualTo JsonValueKind.Object, line)
            Assert.That(ran.Error, Is.Empty, line)

[<Test>]
let ``every command writes plain lines without --json`` () =
    use server = new FakeServer(answer)

    for command, status in commands do
        let ran = Ctl.run server.Url command
        Assert.That(ran.Status, Is.EqualTo status, command + ran.Error)
        Assert.That(ran.Out, Is.Not.Empty, command)
        Assert.That(ran.Out, Does.Not.Contain "\u001b", command)

/// Nothing listens on port 1.
let private nobody = "http://127.0.0.1:1"

[<Test>]
let ``an unreachable server is exit status 3, in words`` () =
    for command, _ in
        commands
        |> List.filter (fun (c, _) -> not (c.Contains "config" || c.Contains "window" || c.Contains "watch")) do
        let ran = Ctl.run nobody command
        Assert.That(ran.Status, Is.EqualTo 3, command)
        Assert.That(ran.Error, Does.Contain "http://127.0.0.1:1/ can't be reached", command)
        Assert.That(ran.Error, Does.Not.Contain "   at ", command)

    let ran = Ctl.run nobody "nodes list --json"
    Assert.That(parsed ran.Out, Is.EqualTo JsonValueKind.Object)

[<Test>]
let ``something that is no Miroir is as good as unreachable`` () =
    use server = new FakeServer(fun _ _ -> 200, "<html>")
    Assert.That((Ctl.run server.Url "nodes list").Status, Is.EqualTo 3)
    use other = new FakeServer(fun _ _ -> 404, "not here")
    Assert.That((Ctl.run other.Url "nodes list").Status, Is.EqualTo 3)

let private wrong = [
    "reshard start", "--index"
    "reshard start --index p --new-shards 0", "--new-shards"
    "reshard start --index p --new-shards many", "--new-shards"
    "reshard start --index p --throttle -1", "--throttle"
    "reshard start --index p --schedule-window nightly", "--schedule-window"
    "reshard status", "--index"
    "reshard status --index p --show all", "--show"
    "reshard set --index p", "--throttle"
    "reshard set --index p --drain-timeout 60", "--drain-timeout"
    "reshard config --show drain_timeuot", "migration.drain_timeout"
    "reshard nonsense", "nonsense"
    "nodes add --node n", "--address"
    "nodes add --node n --address http://a --capacity 10", "--capacity"
    "nodes list --server localhost", "--server"
    "nodes list --config nowhere.toml", "--config"
    "indexes create --index p --shards 0", "--shards"
    "routing test --index p --samples 0", "--samples"
    "documents import f --index p --batch-size 0", "--batch-size"
    "documents import --index p", "FILE"
    "--server", "--server"
    "", "subcommand"
]

[<Test>]
let ``wrong usage is exit status 2, and names the argument`` () =
    for command, argument in wrong do
        let ran = Ctl.run nobody command
        Assert.That(ran.Status, Is.EqualTo 2, command + ran.Error)
        Assert.That(ran.Error, Does.Contain(argument).IgnoreCase, command)
        Assert.That(ran.Error.Trim().Split('\n'), Has.Length.EqualTo 1, command)

[<Test>]
let ``a refusal is exit status 1, in the server's words`` () =
    use server =
        new FakeServer(fun _ _ ->
            409,
            """{"message":"index packages is moving already: migration 41","code":"migration_running","type":"invalid_request","link":""}""")

    let ran = Ctl.run server.Url "reshard start --index packages --new-shards 64"
    Assert.That(ran.Status, Is.EqualTo 1)

    Assert.That(
        ran.Error,
        Is.EqualTo "miroir-ctl: index packages is moving already: migration 41 (migration_running)\n"
    )

[<Test>]
let ``an unhealthy cluster is exit status 1`` () =
    use server = new FakeServer(fun _ _ -> 200, cluster "false")
    let ran = Ctl.run server.Url "cluster health"
    Assert.That(ran.Status, Is.EqualTo 1)
    Assert.That(ran.Out, Does.StartWith "Not healthy\nProblem: node old-1 is down\n")

[<Test>]
let ``start waits for its window, unless it is forced`` () =
    use server = new FakeServer(answer)

    let ran =
        Ctl.run server.Url "reshard start --index packages --new-shards 64 --schedule-window off-peak"

    Assert.That(ran.Status, Is.EqualTo 1)
    Assert.That(ran.Error, Does.Contain "opens next at 2026-03-02 22:00 UTC")
    Assert.That(server.Asked, Is.Empty)

    let forced =
        Ctl.run server.Url "reshard start --index packages --new-shards 64 --schedule-window off-peak --force"

    Assert.That(forced.Status, Is.Zero)

[<Test>]
let ``the configuration's warnings are told beside it`` () =
    let files = [ "miroir.toml", "[migration]\nskip_delta_pass = true\n" ]
    let ran = Ctl.runWith files "" nobody [ "reshard"; "config" ]
    Assert.That(ran.Status, Is.EqualTo 0, ran.Error)
    Assert.That(ran.Error, Does.StartWith "Warning: miroir.toml:2:1: migration.skip_delta_pass:")
    Assert.That(ran.Error, Does.Contain "0 */6 * * *")

[<Test>]
let ``a configuration's errors are told with file, line and key`` () =
    let files = [ "miroir.toml", "[migration]\nmax_concurrent = 0\ndrain_timeout = 5\n" ]
    let ran = Ctl.runWith files "" nobody [ "reshard"; "config" ]
    Assert.That(ran.Status, Is.EqualTo 2)
    Assert.That(ran.Error, Does.Contain "miroir.toml:2:1: migration.max_concurrent:")
    Assert.That(ran.Error, Does.Contain "miroir.toml:3:1: migration.drain_timeout:")

[<Test>]
let ``a script's migration starts, copies, cuts over and ends`` () =
    let mutable isCut = false

    use fake =
        new FakeServer(fun request body ->
            match request with
            | "POST /_miroir/reshards/42/cutover" ->
                isCut <- true
                200, complete
            | "GET /_miroir/reshards/42" ->
                200,
                (if isCut then
                     complete
                 else
                     view "DualWriteMigrating" "Running" "true" -1 "")
            | _ -> answer request body)

    let plan =
        migration {
            server fake.Url
            index "packages"
            newShards 64
            addNode "n4" "http://127.0.0.1:7004"
            pollEvery (TimeSpan.FromMilliseconds 1.0)
        }

    use out = new IO.StringWriter(NewLine = "\n")

    let ended =
        (Migration.runAsync out plan Threading.CancellationToken.None).GetAwaiter().GetResult()

    match ended with
    | Ok view -> Assert.That(view.Status, Is.EqualTo "Complete")
    | Error problem -> Assert.Fail problem.Message

    Assert.That(out.ToString(), Does.StartWith "Node added: n4 at http://127.0.0.1:7004\nMigration started: ID=42\n")
    Assert.That(out.ToString(), Does.EndWith "Status: Complete\nData loss: 0 documents\n")

[<Test>]
let ``a terminal gets tables with borders, and a bar that ends`` () =
    use fake = new FakeServer(answer)
    let nodes = Ctl.runOn true [] "" fake.Url [ "nodes"; "list" ]
    Assert.That(nodes.Status, Is.Zero, nodes.Error)
    Assert.That(nodes.Out, Does.Contain "│")

    let watched =
        Ctl.runOn true [] "" fake.Url [ "reshard"; "watch"; "--index"; "packages" ]

    Assert.That(watched.Status, Is.Zero, watched.Error)
    Assert.That(watched.Out, Does.EndWith "Status: Complete\nData loss: 0 documents\n")
