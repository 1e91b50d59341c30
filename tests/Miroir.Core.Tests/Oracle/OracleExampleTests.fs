module Miroir.Core.Tests.OracleExampleTests

open System
open NUnit.Framework
open Miroir.Oracle
open Miroir.Core.Tests.OracleSimulation

let private fields (text: string) =
    text.Split(' ')
    |> Array.toList
    |> List.map (fun part -> part.Split('=')[0], part.Split('=')[1])
    |> pairs

let private replace text = Operation.Replace("k", fields text)
let private merge text = Operation.Merge("k", fields text)
let private delete = Operation.Delete "k"
let private read = Operation.Read "k"
let private ok = Reply.Ok()
let private saw text = Reply.Found(fields text, null)
let private sawVersion text version = Reply.Found(fields text, version)
let private absent = Reply.Absent()
let private unknown = Reply.Unknown()

/// Calls with their times: (invoked, replied, what, answer).
let private check (calls: (int * int * Operation * Reply) list) =
    let history = new History()

    for client, (invoked, replied, operation, reply) in List.indexed calls do
        history.CompleteAt(history.InvokeAt(client, operation, int64 invoked), reply, int64 replied)

    Checker.Check history

let private isRight calls =
    let verdict = check calls
    Assert.That(verdict.IsCorrect, Is.True, string verdict)

let private isWrong (anomaly: Anomaly) calls =
    let verdict = check calls
    Assert.That(verdict.Violations.Count, Is.EqualTo 1)
    Assert.That(verdict.Violations[0].Anomaly, Is.EqualTo anomaly, verdict.Violations[0].Story)

[<Test>]
let ``wrong: lost`` () =
    isWrong Anomaly.Lost [ 1, 2, replace "a=1", ok; 3, 4, read, absent ]

[<Test>]
let ``wrong: stale read`` () =
    isWrong Anomaly.Stale [ 1, 2, replace "a=1", ok; 3, 4, replace "a=2", ok; 5, 6, read, saw "a=1" ]

[<Test>]
let ``wrong: new then old, while the write is still open`` () =
    isWrong Anomaly.Stale [
        1, 2, replace "a=1", ok
        3, 20, replace "a=2", ok
        5, 6, read, saw "a=2"
        7, 8, read, saw "a=1"
    ]

[<Test>]
let ``wrong: resurrected`` () =
    isWrong Anomaly.Resurrected [ 1, 2, replace "a=1", ok; 3, 4, delete, ok; 5, 6, read, saw "a=1" ]

[<Test>]
let ``wrong: lost merge`` () =
    isWrong Anomaly.Lost [
        1, 2, replace "a=1 b=1", ok
        3, 4, merge "b=2", ok
        5, 6, read, saw "a=1 b=1"
    ]

[<Test>]
let ``wrong: a merge on a base that never saw the other merge`` () =
    isWrong Anomaly.Lost [
        1, 2, replace "a=1 b=1", ok
        3, 6, merge "a=2", ok
        4, 5, merge "b=3", ok
        7, 8, read, saw "a=2 b=1"
    ]

[<Test>]
let ``wrong: a merge that brings a deleted document's fields back`` () =
    isWrong Anomaly.Stale [
        1, 2, replace "a=1 b=1", ok
        3, 4, delete, ok
        5, 6, merge "b=2", ok
        7, 8, read, saw "a=1 b=2"
    ]

[<Test>]
let ``wrong: an unknown write seen, then unseen`` () =
    isWrong Anomaly.Stale [
        1, 2, replace "a=1", ok
        3, 4, replace "a=2", unknown
        5, 6, read, saw "a=2"
        7, 8, read, saw "a=1"
    ]

[<Test>]
let ``wrong: an unknown delete seen, then unseen`` () =
    isWrong Anomaly.Stale [
        1, 2, replace "a=1", ok
        3, 4, delete, unknown
        5, 6, read, absent
        7, 8, read, saw "a=1"
    ]

[<Test>]
let ``wrong: a failed write is visible`` () =
    isWrong Anomaly.Orphaned [ 1, 2, replace "a=1", Reply.Failed(); 3, 4, read, saw "a=1" ]

[<Test>]
let ``wrong: a value read before it was written`` () =
    isWrong Anomaly.Orphaned [ 1, 2, read, saw "a=1"; 3, 4, replace "a=1", ok ]

[<Test>]
let ``wrong: a condition passed on an old version`` () =
    isWrong Anomaly.ConditionViolated [
        1, 2, replace "a=1", Reply.Ok "v1"
        3, 4, replace "a=2", Reply.Ok "v2"
        5, 6, (replace "a=3").IfVersion "v1", ok
    ]

[<Test>]
let ``wrong: two writes passed on the same version`` () =
    isWrong Anomaly.ConditionViolated [
        1, 2, replace "a=1", Reply.Ok "v1"
        3, 5, (replace "a=2").IfVersion "v1", ok
        4, 6, (replace "a=3").IfVersion "v1", ok
    ]

[<Test>]
let ``wrong: a condition failed on the version that stood there`` () =
    isWrong Anomaly.ConditionViolated [
        1, 2, replace "a=1", Reply.Ok "v1"
        3, 4, (replace "a=2").IfVersion "v1", Reply.ConditionFailed()
    ]

[<Test>]
let ``wrong: a write refused for its condition is visible`` () =
    isWrong Anomaly.Orphaned [
        1, 2, replace "a=1", Reply.Ok "v1"
        3, 4, (replace "a=2").IfVersion "v0", Reply.ConditionFailed()
        5, 6, read, saw "a=2"
    ]

[<Test>]
let ``wrong: created twice`` () =
    isWrong Anomaly.ConditionViolated [ 1, 4, (replace "a=1").IfAbsent(), ok; 2, 5, (replace "a=2").IfAbsent(), ok ]

[<Test>]
let ``wrong: one version with two contents`` () =
    isWrong Anomaly.Stale [
        1, 9, replace "a=1", ok
        1, 9, replace "a=2", ok
        2, 3, read, sawVersion "a=1" "v1"
        4, 5, read, sawVersion "a=2" "v1"
    ]

[<Test>]
let ``wrong: an eventual read of what nobody wrote`` () =
    isWrong Anomaly.Orphaned [ 1, 2, replace "a=1", ok; 3, 4, Operation.EventualRead "k", saw "a=7" ]

[<Test>]
let ``right: an unknown write seen late, once something else was`` () =
    isRight [
        1, 2, replace "a=1", ok
        3, 4, replace "a=2", unknown
        5, 6, read, saw "a=1"
        7, 8, replace "a=3", ok
        9, 10, read, saw "a=3"
        11, 12, read, saw "a=2"
    ]

[<Test>]
let ``right: an unknown delete explains absence much later`` () =
    isRight [
        1, 2, delete, unknown
        3, 4, replace "a=1", ok
        5, 6, read, saw "a=1"
        7, 8, read, absent
    ]

[<Test>]
let ``right: an unknown write that never was`` () =
    isRight [ 1, 2, replace "a=1", ok; 3, 4, replace "a=2", unknown; 5, 6, read, saw "a=1" ]

[<Test>]
let ``right: an unknown replace seen only by the fields that it took away`` () =
    isRight [
        1, 2, replace "a=1 b=1", ok
        3, 4, replace "b=2", unknown
        5, 6, merge "b=3", ok
        7, 8, read, saw "b=3"
    ]

[<Test>]
let ``right: an old eventual read`` () =
    isRight [
        1, 2, replace "a=1", ok
        3, 4, replace "a=2", ok
        5, 6, Operation.EventualRead "k", saw "a=1"
    ]

[<Test>]
let ``right: concurrent reads see a write in either order of their replies`` () =
    isRight [
        1, 2, replace "a=1", ok
        3, 9, replace "a=2", ok
        4, 8, read, saw "a=2"
        5, 6, read, saw "a=1"
    ]

[<Test>]
let ``right: a condition on the version of an unknown write, which a read told`` () =
    isRight [
        1, 2, replace "a=1", unknown
        3, 4, read, sawVersion "a=1" "v1"
        5, 6, (replace "a=2").IfVersion "v1", ok
    ]

[<Test>]
let ``a call left open may have happened or not`` () =
    let history = new History()
    history.Invoke(0, replace "a=1") |> ignore
    history.Complete(history.Invoke(1, read), absent)
    history.Complete(history.Invoke(2, read), saw "a=1")
    Assert.That((Checker.Check history).IsCorrect, Is.True)

[<Test>]
let ``a search that runs out of steps is a failure`` () =
    let history = new History()

    Simulated(history, "k", 1).Run {
        Clients = 6
        Operations = 50
        UnknownPercent = 0
        Conditional = false
        Merging = true
        Versions = false
    }

    let verdict = Checker.Check(history, CheckerOptions(MaxStepsPerKey = 3L))
    Assert.That(verdict.IsCorrect, Is.False)
    Assert.That(verdict.Count Anomaly.Undecided, Is.EqualTo 1)

[<Test>]
let ``a reply is given once, and not before its call`` () =
    let history = new History()
    let token = history.InvokeAt(0, read, 5L)

    Assert.Throws<ArgumentException>(fun () -> history.CompleteAt(token, absent, 4L))
    |> ignore

    history.CompleteAt(token, absent, 6L)

    Assert.Throws<InvalidOperationException>(fun () -> history.CompleteAt(token, absent, 7L))
    |> ignore

    Assert.Throws<ArgumentException>(fun () -> Operation.Replace("k", []) |> ignore)
    |> ignore
