module Miroir.Ctl.Tests.AntiEntropyTests

open System.Text.Json
open NUnit.Framework
open Miroir.Ports
open Miroir.Scripting
open Miroir.Ctl.Tests.PassGen
open Miroir.Ctl.Tests.PassServer

// ----- Commands ----------------------------------------------------------------------------------------------------

[<Test>]
let ``verify follows its pass and prints each shard and the loss`` () =
    let pass = clean "verify" 2 |> withMissing 1 "Reported"

    let pass = {
        pass with
            Shards = [| pass.Shards[0]; { pass.Shards[1] with Copies = 1 } |]
    }

    let ran = run pass "anti-entropy verify --index packages --shards 0-1"

    let expected =
        lines [
            "Pass started: ID=7"
            "Shards: 1 of 2  divergences: 1  repaired: 0  time left: 1.5 s"
            "Shards: 2 of 2  divergences: 1  repaired: 0  time left: 0 ms"
            "SHARD  COPIES    STATE      ENTRIES  COMPARED  DIVERGENCES  REPAIRED  PURGED  BYTES READ  ROUND TRIPS  TIME   CERTIFIED  PROBLEM"
            "1/0    3 copies  Divergent  62       0         1 Missing    0         0       2.0 KiB     1            12 ms  yes        -"
            "1/1    1 copy    InSync     62       0         -            0         0       2.0 KiB     1            12 ms  yes        -"
            "KEY  SHARD  KIND     VERSION  KEEP  LACKING  OUTCOME"
            "k0   1/0    Missing  1.7      -     n2: -    Reported"
            "Divergences: 1 (1 Missing) (warning)"
            "Repaired: 0"
            "Bytes read: 4.0 KiB"
            "Round trips: 2"
            "Time: 3.2 s"
            "Status: Done"
            "Data loss: 1 documents"
        ]

    Assert.That(ran.Out, Is.EqualTo expected)
    Assert.That(ran.Status, Is.EqualTo 1)

[<Test>]
let ``a verify that finds nothing is exit status 0`` () =
    let ran = run (clean "verify" 2) "anti-entropy verify --index packages"
    Assert.That(ran.Status, Is.Zero, ran.Error)
    Assert.That(ran.Out, Does.EndWith "Status: Done\nData loss: 0 documents\n")

[<Test>]
let ``loss is not told as 0 where a shard was not compared`` () =
    let pass = clean "verify" 2

    let ran =
        run
            {
                pass with
                    Shards = [| pass.Shards[0] |]
            }
            "anti-entropy verify --index packages"

    Assert.That(ran.Out, Does.EndWith "Data loss: unknown (at least 0 documents; 1 shard not compared)\n")

[<TestCase("verify --index packages", """{"index":"packages","kind":"verify","firstShard":0}""")>]
[<TestCase("verify --index packages --shards 0-15",
           """{"index":"packages","kind":"verify","firstShard":0,"lastShard":15}""")>]
[<TestCase("scrub --index packages --shards 3", """{"index":"packages","kind":"scrub","firstShard":3,"lastShard":3}""")>]
[<TestCase("run --index packages", """{"index":"packages","kind":"run","firstShard":0}""")>]
[<TestCase("run --index packages --dry-run", """{"index":"packages","kind":"dry-run","firstShard":0}""")>]
[<TestCase("run --index packages --layout 1 --shards 1-2",
           """{"index":"packages","kind":"run","firstShard":4,"lastShard":11}""")>]
[<TestCase("verify --index packages --layout 1 --shards 3",
           """{"index":"packages","kind":"verify","firstShard":12,"lastShard":15}""")>]
[<TestCase("verify --index packages --layout 2 --shards 0-1",
           """{"index":"packages","kind":"verify","firstShard":0,"lastShard":1}""")>]
let ``what was typed is asked for`` (command: string) (body: string) =
    let _, asked = runWith [] (clean "verify" 2) $"anti-entropy {command}"

    let _, sent =
        asked
        |> Array.find (fun (request, _) -> request = "POST /_miroir/anti-entropy/passes")

    Assert.That(sent.Replace("\n", "").Replace(" ", ""), Is.EqualTo body)

let private wrong = [
    "verify", "--index"
    "verify --index packages --shards 3-1", "--shards"
    "verify --index packages --shards 0-16", "layout 2 of packages has shards 0-15, not 16"
    "verify --index packages --shards 0-4 --layout 1", "layout 1 of packages has shards 0-3, not 4"
    "verify --index packages --shards 0-1 --layout 3", "its layouts are: 1, 2"
    "verify --index packages --layout 1", "add --shards"
    "run --index packages --plan none.json", "none.json"
    "run --index packages --plan p.json --shards 0-3", "--shards"
    "run --index packages --plan p.json --layout 1", "--layout"
    "run --index packages --dry-run --plan p.json", "p.json"
    "run --index packages --plan bad.json", "bad.json: layout: is missing"
    "run --index other --plan p.json", "p.json: index: the plan is for packages, not for other"
    "history --limit 0", "--limit"
    "nonsense", "nonsense"
]

[<Test>]
let ``wrong usage is exit status 2, says what is wrong, and begins nothing`` () =
    let files = [ "p.json", planned 1; "bad.json", """{"index": "packages"}""" ]

    for command, told in wrong do
        let ran, asked = runWith files (clean "run" 2) $"anti-entropy {command}"
        Assert.That(ran.Status, Is.EqualTo 2, command + ran.Error)
        Assert.That(ran.Error, Does.Contain told, command)
        Assert.That(asked |> Array.map fst, Has.None.StartsWith "POST", command)

[<Test>]
let ``an index that is not there is refused`` () =
    let ran = run (clean "verify" 2) "anti-entropy verify --index none"
    Assert.That(ran.Status, Is.EqualTo 1)
    Assert.That(ran.Error, Does.Contain "there is no index none")

// ----- Plans -------------------------------------------------------------------------------------------------------

[<Test>]
let ``a dry run prints its plan and writes it, and applying it asks for its documents`` () =
    let dry = clean "dry-run" 2 |> withMissing 30 "Planned"

    let planned, _ =
        runWith [] dry "anti-entropy run --index packages --dry-run --plan p.json"

    Assert.That(planned.Status, Is.Zero, planned.Error)

    for i in 0..29 do
        Assert.That(planned.Out, Does.Contain $"\nk{i} ")

    Assert.That(planned.Out, Does.EndWith "Plan: 30 documents, in p.json\n")

    let applied, asked =
        runWith
            planned.Files
            (clean "apply" 2 |> withMissing 30 "Repaired")
            "anti-entropy run --index packages --plan p.json"

    Assert.That(applied.Status, Is.Zero, applied.Error)
    Assert.That(applied.Out, Does.Contain "Repaired: 30\n")
    let _, body = asked |> Array.find (fun (request, _) -> request.StartsWith "POST")
    use body = JsonDocument.Parse body
    Assert.That(body.RootElement.GetProperty("kind").GetString(), Is.EqualTo "run")

    Assert.That(
        [
            for d in body.RootElement.GetProperty("plan").EnumerateArray() -> d.GetProperty("key").GetString()
        ],
        Is.EqualTo<string list> [ for i in 0..29 -> $"k{i}" ]
    )

[<Test>]
let ``a plan without documents repairs nothing`` () =
    // To the port, no plan means whatever differs.
    let ran, asked =
        runWith [ "p.json", planned 0 ] (clean "run" 2) "anti-entropy run --index packages --plan p.json"

    Assert.That(ran.Status, Is.Zero, ran.Error)
    Assert.That(ran.Out, Does.Contain "the plan has no documents")
    Assert.That(asked |> Array.map fst, Has.None.StartsWith "POST")

[<Test>]
let ``a plan of another layout is refused`` () =
    let old =
        clean "dry-run" 16
        |> withMissing 1 "Planned"
        |> PlanFile.ofPass layout
        |> PlanFile.write

    let ran, asked =
        runWith [ "p.json", old ] (clean "run" 2) "anti-entropy run --index packages --plan p.json"

    Assert.That(ran.Status, Is.EqualTo 1)
    Assert.That(ran.Error, Does.Contain "plan_outdated")
    Assert.That(asked |> Array.map fst, Has.None.StartsWith "POST")

[<Test>]
let ``a pass that failed leaves no plan`` () =
    let failed = {
        clean "dry-run" 2 with
            Status = "Failed"
    }

    let ran, _ =
        runWith [] failed "anti-entropy run --index packages --dry-run --plan p.json"

    Assert.That(ran.Status, Is.EqualTo 1)
    Assert.That(ran.Files, Is.Empty)

// ----- Status and history ------------------------------------------------------------------------------------------

[<Test>]
let ``status tells schedule, runs, counts and how they stand`` () =
    let pass = clean "scheduled" 2 |> withMissing 11 "Repaired"
    let ran = run pass "anti-entropy status"

    let expected =
        lines [
            "Anti-entropy: on"
            "Schedule: 0 */6 * * * (repairs)"
            "Next run: 2026-03-02 18:00:00 UTC"
            "Last run: 7  2026-03-02 12:00:03 UTC  packages  scheduled  Done  2 of 2 shards  divergences 11 (11 Missing) (critical)  repaired 11  read 4.0 KiB  3.2 s"
            "Divergences: 11 (11 Missing) (critical)"
            "Threshold: 0 healthy, 1-10 warning, > 10 critical"
            "Repaired: 11"
            "Bytes read: 4.0 KiB"
        ]

    Assert.That(ran.Out, Is.EqualTo expected)
    Assert.That(ran.Status, Is.Zero)

[<Test>]
let ``history is one line a pass, the newest last, and nothing else`` () =
    let newest = {
        clean "run" 2 with
            Id = 9L
            Reason = "two\nlines"
    }

    let ran = run newest "anti-entropy history --index packages"
    let printed = ran.Out.TrimEnd('\n').Split '\n'
    Assert.That(printed |> Array.map (fun l -> l.Split("  ")[0]), Is.EqualTo<string[]> [| "7"; "9" |])
    Assert.That(printed[1], Does.EndWith "two lines")
    let detailed = run newest "anti-entropy history --detailed"
    let printed = detailed.Out.TrimEnd('\n').Split '\n'
    Assert.That(printed, Has.Length.EqualTo 6)

    Assert.That(
        printed[5],
        Is.EqualTo
            "  1/1  3 copies  InSync  compared 0 of 62  divergences 0  repaired 0  read 2.0 KiB  round trips 1  12 ms"
    )

let private every = [
    "status"
    "status --index packages"
    "history"
    "history --detailed --limit 5"
    "verify --index packages --shards 0-1 --layout 1"
    "run --index packages"
    "run --index packages --dry-run --plan new.json"
    "run --index packages --plan p.json"
    "run --index packages --plan empty.json"
    "scrub --index packages"
]

[<TestCaseSource(nameof every)>]
let ``with --json it is one document and nothing else`` (command: string) =
    let files = [ "p.json", planned 1; "empty.json", planned 0 ]
    let ran, _ = runWith files (clean "run" 2) $"anti-entropy {command} --json"
    Assert.That(ran.Status, Is.Zero, ran.Error)
    use document = JsonDocument.Parse ran.Out
    Assert.That(document.RootElement.ValueKind, Is.EqualTo JsonValueKind.Object)
    Assert.That(ran.Error, Is.Empty)

[<TestCaseSource(nameof every)>]
let ``with nobody there it is exit status 3`` (command: string) =
    let files = [ "p.json", planned 1; "empty.json", planned 0 ]

    let ran =
        Ctl.runWith files "" "http://127.0.0.1:1" (List.ofArray ($"anti-entropy {command}".Split ' '))

    Assert.That(ran.Status, Is.EqualTo 3, ran.Error)

[<Test>]
let ``a terminal gets a bar that ends`` () =
    use server = serving (clean "verify" 2)

    let ran =
        Ctl.runOn true [] "" server.Url [ "anti-entropy"; "verify"; "--index"; "packages" ]

    Assert.That(ran.Status, Is.Zero, ran.Error)
    Assert.That(ran.Out, Does.Contain "│")
    Assert.That(ran.Out, Does.EndWith "Status: Done\nData loss: 0 documents\n")

// ----- Scripts -----------------------------------------------------------------------------------------------------

[<Test>]
let ``a script verifies, plans and applies`` () =
    use server = serving (clean "verify" 2 |> withMissing 1 "Reported")
    use client = new MiroirClient(server.Url)
    let cancel = System.Threading.CancellationToken.None

    match (AntiEntropy.verify client "packages" (Some(0, 1)) cancel).Result with
    | Ok pass -> Assert.That(AntiEntropy.dataLoss pass, Is.EqualTo(Some 1L))
    | Error problem -> Assert.Fail problem.Message

    let empty = PlanFile.ofPass { layout with Generation = 2 } (clean "dry-run" 2)
    let before = server.Asked.Length

    match (AntiEntropy.apply client empty cancel).Result with
    | Ok None -> Assert.That(server.Asked |> Array.skip before |> Array.map fst, Has.None.StartsWith "POST")
    | other -> Assert.Fail $"{other}"

    match (AntiEntropy.history client None 100 cancel).Result with
    | Ok passes -> Assert.That(passes, Has.Length.EqualTo 2)
    | Error problem -> Assert.Fail problem.Message
