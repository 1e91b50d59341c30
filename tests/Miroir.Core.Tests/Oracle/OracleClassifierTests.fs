module Miroir.Core.Tests.OracleClassifierTests

open System
open NUnit.Framework
open Miroir.Oracle
open Miroir.Core.Tests.OracleSimulation

let private body value = pairs [ "a", value ]
let private place = Placement("s1", [| "n1"; "n2"; "n3" |], 2)

let private live node shard clock value =
    DumpEntry(node, shard, "k", DumpVersion.Of(1UL, clock), body value)

let private tombstone node shard clock =
    DumpEntry(node, shard, "k", DumpVersion.Of(1UL, clock), null)

let private everywhere entry = [ for node in [ "n1"; "n2"; "n3" ] -> entry node "s1" ]

/// Acknowledged one after the other: a=1, a=2 and, where asked for, a delete.
let private history deleted =
    let history = new History()

    let calls = [
        Operation.Replace("k", body "1")
        Operation.Replace("k", body "2")
        if deleted then
            Operation.Delete "k"
    ]

    for call in calls do
        history.Complete(history.Invoke(0, call), Reply.Ok())

    history

let private classify deleted (final: Reply) dump =
    Classifier.Classify(
        history deleted,
        [ FinalRead("k", final) ],
        dump,
        Func<string, Placement | null>(fun _ -> place),
        CheckerOptions()
    )

let private found value = Reply.Found(body value, null)

let private isIn (classes: DocumentClass list) (result: Classification) =
    let actual =
        match result.Wrong.TryGetValue "k" with
        | true, found -> Seq.toList found |> List.sort
        | _ -> [ DocumentClass.Fine ]

    Assert.That((actual = List.sort classes), Is.True, $"expected %A{classes}, found %A{actual}\n{result}")

    for each in classes do
        Assert.That(result.Count each, Is.EqualTo 1)

[<Test>]
let ``fine: everywhere`` () =
    classify false (found "2") (everywhere (fun node shard -> live node shard 2UL "2"))
    |> isIn [ DocumentClass.Fine ]

[<Test>]
let ``fine: on a quorum, one replica behind`` () =
    classify false (found "2") [ live "n1" "s1" 2UL "2"; live "n2" "s1" 2UL "2"; live "n3" "s1" 1UL "1" ]
    |> isIn [ DocumentClass.Fine ]

[<Test>]
let ``fine: deleted, tombstones partly purged, one left on a node that owns nothing`` () =
    let result =
        classify true (Reply.Absent()) [ tombstone "n1" "s1" 3UL; tombstone "n9" "s1" 3UL ]

    isIn [ DocumentClass.Fine ] result
    Assert.That(result.LeftoverTombstones, Is.EqualTo 1)

[<Test>]
let ``lost: gone`` () =
    classify false (Reply.Absent()) [] |> isIn [ DocumentClass.Lost ]

[<Test>]
let ``lost: older than the last acknowledged`` () =
    classify false (found "1") (everywhere (fun node shard -> live node shard 1UL "1"))
    |> isIn [ DocumentClass.Lost ]

[<Test>]
let ``stale: a quorum holds an older state than the read`` () =
    classify false (found "2") [ live "n1" "s1" 2UL "2"; live "n2" "s1" 1UL "1"; live "n3" "s1" 1UL "1" ]
    |> isIn [ DocumentClass.Stale ]

[<Test>]
let ``resurrected: read after its delete`` () =
    classify true (found "2") (everywhere (fun node shard -> live node shard 2UL "2"))
    |> isIn [ DocumentClass.Resurrected ]

[<Test>]
let ``resurrected: read as absent, but alive on a quorum`` () =
    classify true (Reply.Absent()) [ live "n1" "s1" 2UL "2"; live "n2" "s1" 2UL "2"; tombstone "n3" "s1" 3UL ]
    |> isIn [ DocumentClass.Resurrected ]

[<Test>]
let ``orphaned: on a node that does not own it`` () =
    classify false (found "2") (live "n9" "s1" 2UL "2" :: everywhere (fun node shard -> live node shard 2UL "2"))
    |> isIn [ DocumentClass.Orphaned ]

[<Test>]
let ``orphaned and duplicated: in another shard of the same node as well`` () =
    classify false (found "2") (live "n1" "s2" 2UL "2" :: everywhere (fun node shard -> live node shard 2UL "2"))
    |> isIn [ DocumentClass.Orphaned; DocumentClass.Duplicated ]

[<Test>]
let ``orphaned: content that nobody wrote, on one replica`` () =
    classify false (found "2") [ live "n1" "s1" 2UL "2"; live "n2" "s1" 2UL "2"; live "n3" "s1" 9UL "x" ]
    |> isIn [ DocumentClass.Orphaned ]

[<Test>]
let ``duplicated: one version, two contents`` () =
    classify false (found "2") [ live "n1" "s1" 2UL "2"; live "n2" "s1" 2UL "2"; live "n3" "s1" 2UL "1" ]
    |> isIn [ DocumentClass.Duplicated ]

[<Test>]
let ``without a final read the newest entry is judged`` () =
    let judged dump =
        Classifier.Classify(history false, [], dump, Func<string, Placement | null>(fun _ -> null), CheckerOptions())

    judged [ live "n1" "s1" 2UL "2" ] |> isIn [ DocumentClass.Fine ]
    judged [ live "n1" "s1" 1UL "1" ] |> isIn [ DocumentClass.Lost ]

[<Test>]
let ``an unknown write on a minority is fine, seen or not`` () =
    for seen in [ "2"; "3" ] do
        let history = history false
        history.Complete(history.Invoke(0, Operation.Replace("k", body "3")), Reply.Unknown())
        let other = if seen = "2" then "3" else "2"

        let result =
            Classifier.Classify(
                history,
                [ FinalRead("k", found seen) ],
                [
                    live "n1" "s1" (uint64 seen) seen
                    live "n2" "s1" (uint64 seen) seen
                    live "n3" "s1" (uint64 other) other
                ],
                Func<string, Placement | null>(fun _ -> place),
                CheckerOptions()
            )

        isIn [ DocumentClass.Fine ] result
