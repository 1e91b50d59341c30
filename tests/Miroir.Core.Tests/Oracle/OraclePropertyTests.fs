module Miroir.Core.Tests.OraclePropertyTests

open System
open NUnit.Framework
open FsCheck.NUnit
open Miroir.Oracle
open Miroir.Core.Tests.OracleSimulation

let private settings (seed: int) =
    let random = Random seed

    {
        Clients = 1 + random.Next 6
        Operations = 5 + random.Next 40
        UnknownPercent = random.Next 3 * 10
        Conditional = random.Next 2 = 0
        Merging = random.Next 3 > 0
        Versions = random.Next 2 = 0
    }

[<Property(MaxTest = 2000)>]
let ``what a linearizable document answered is accepted`` (seed: int) =
    let history = new History()
    Simulated(history, "k", seed).Run(settings seed)
    let verdict = Checker.Check history
    Assert.That(verdict.IsCorrect, Is.True, string verdict)

/// Noise, a lie told when nothing else is open, and noise again.
let private withLie (seed: int) (lie: Simulated -> Settings -> unit) =
    let history = new History()

    let quiet = {
        settings seed with
            UnknownPercent = 0
    }

    let document = Simulated(history, "k", seed)
    document.Run quiet
    lie document { quiet with Versions = false }
    document.Run quiet
    Checker.Check history

let private replace value =
    Operation.Replace("k", pairs [ "a", value; "b", value ])

let private found value =
    Reply.Found(pairs [ "a", value; "b", value ], null)

let private isWrong (verdict: Verdict) =
    Assert.That(verdict.IsCorrect, Is.False)
    Assert.That(verdict.Count Anomaly.Undecided, Is.Zero)

[<Property(MaxTest = 300)>]
let ``an acknowledged write that is dropped is found`` (seed: int) =
    withLie seed (fun document settings ->
        document.Alone(settings, replace (document.NewValue()))
        document.Alone(settings, Operation.Read "k")
        document.Lie(replace (document.NewValue()), Reply.Ok())
        document.Alone(settings, Operation.Read "k"))
    |> isWrong

[<Property(MaxTest = 300)>]
let ``a stale read is found`` (seed: int) =
    withLie seed (fun document settings ->
        let old = document.NewValue()
        document.Alone(settings, replace old)
        document.Alone(settings, replace (document.NewValue()))
        document.Alone(settings, Operation.Read "k")
        document.Lie(Operation.Read "k", found old))
    |> isWrong

[<Property(MaxTest = 300)>]
let ``a delete undone is found`` (seed: int) =
    withLie seed (fun document settings ->
        let old = document.NewValue()
        document.Alone(settings, replace old)
        document.Alone(settings, Operation.Delete "k")
        document.Lie(Operation.Read "k", found old))
    |> isWrong

[<Property(MaxTest = 300)>]
let ``a merged field that is dropped is found`` (seed: int) =
    withLie seed (fun document settings ->
        document.Alone(settings, replace (document.NewValue()))
        document.Lie(Operation.Merge("k", pairs [ "b", document.NewValue() ]), Reply.Ok())
        document.Alone(settings, Operation.Read "k"))
    |> isWrong

/// A small history, with one reply possibly swapped for another call's.
let private small (seed: int) =
    let random = Random seed
    let source = new History()

    Simulated(source, "k", seed).Run {
        Clients = 2 + random.Next 2
        Operations = 3 + random.Next 6
        UnknownPercent = random.Next 4 * 10
        Conditional = random.Next 2 = 0
        Merging = random.Next 4 > 0
        Versions = random.Next 2 = 0
    }

    let entries = source.Entries()
    let target = entries[random.Next entries.Length]

    let donors =
        entries
        |> Array.filter (fun entry ->
            entry.Operation.IsWrite = target.Operation.IsWrite
            && not (isNull entry.Reply)
            && (entry.Outcome <> Outcome.ConditionFailed
                || target.Operation.Condition <> ConditionKind.Always))

    let copy = new History()

    let events =
        [
            for entry in entries do
                entry.InvokedAt, entry, true

                if entry.CompletedAt < Int64.MaxValue then
                    entry.CompletedAt, entry, false
        ]
        |> List.sortBy (fun (at, _, _) -> at)

    let tokens = Collections.Generic.Dictionary<int64, HistoryEntry>()

    for at, entry, isInvocation in events do
        if isInvocation then
            tokens[entry.Id] <- copy.InvokeAt(entry.Client, entry.Operation, at)
        else
            let reply =
                if entry.Id = target.Id && donors.Length > 0 then
                    donors[random.Next donors.Length].Reply
                else
                    entry.Reply

            match reply with
            | null -> ()
            | known -> copy.CompleteAt(tokens[entry.Id], known, at)

    copy

[<Test>]
let ``agrees with trying every order`` () =
    let mutable right = 0
    let mutable wrong = 0

    for seed in 0..20_000 do
        let history = small seed
        let expected = OracleBruteForce.isLinearizable (history.Entries())
        let verdict = Checker.Check history

        if expected then right <- right + 1 else wrong <- wrong + 1

        if verdict.IsCorrect <> expected then
            let calls = history.Entries() |> Array.map string |> String.concat "\n"
            Assert.Fail $"seed {seed}: trying every order says {expected}\n{calls}\n{verdict}"

    // Neither answer is rare, so neither goes untested.
    Assert.That(right, Is.GreaterThan 1000)
    Assert.That(wrong, Is.GreaterThan 1000)

[<Property(MaxTest = 200)>]
let ``the told prefix is wrong, and without its last reply it is right`` (seed: int) =
    let verdict = Checker.Check(small seed)

    for violation in verdict.Violations do
        let prefix = Seq.toArray violation.Prefix

        // What replied after the prefix's end counts as open in it.
        let until (leaveOut: bool) =
            let ending =
                match violation.Culprit with
                | null -> failwith violation.Story
                | culprit -> culprit.CompletedAt

            let history = new History()

            for entry in prefix do
                let token = history.InvokeAt(entry.Client, entry.Operation, entry.InvokedAt)

                match entry.Reply with
                | null -> ()
                | reply when entry.CompletedAt < ending || (entry.CompletedAt = ending && not leaveOut) ->
                    history.CompleteAt(token, reply, entry.CompletedAt)
                | _ -> ()

            (Checker.Check history).IsCorrect

        Assert.That(until false, Is.False, violation.Story)
        Assert.That(until true, Is.True, violation.Story)

[<Property(MaxTest = 50)>]
let ``a streamed history reads back the same, torn or not`` (seed: int) =
    let path = IO.Path.GetTempFileName()

    try
        let original =
            use history = History.Streaming path
            Simulated(history, "k\"\u00e9", seed).Run(settings seed)
            history.Entries() |> Array.map string

        IO.File.AppendAllText(path, "{\"invoke\":99,\"at\"")
        let loaded = (History.Load path).Entries() |> Array.map string
        Assert.That(loaded, Is.EqualTo<string> original)
    finally
        IO.File.Delete path
