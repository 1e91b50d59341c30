/// Sizes that the oracle has to decide within its step budget, which stands for time.
module Miroir.Core.Tests.OracleSizeTests

open System
open NUnit.Framework
open Miroir.Oracle
open Miroir.Core.Tests.OracleSimulation

let private hot = {
    Clients = 30
    Operations = 5_000
    UnknownPercent = 2
    Conditional = false
    Merging = false
    Versions = false
}

let private decides (settings: Settings) (lie: bool) =
    for seed in 1..5 do
        let history = new History()
        let document = Simulated(history, "k", seed)
        document.Run settings

        if lie then
            let replace value =
                Operation.Replace("k", pairs [ "a", value ])

            let old = document.NewValue()
            document.Alone(settings, replace old)
            document.Alone(settings, replace (document.NewValue()))
            document.Alone(settings, Operation.Read "k")
            document.Lie(Operation.Read "k", Reply.Found(pairs [ "a", old ], null))

        document.Run { settings with Operations = 500 }
        let clock = Diagnostics.Stopwatch.StartNew()
        let verdict = Checker.Check history
        TestContext.Out.WriteLine $"{history.Count} operations: {clock.ElapsedMilliseconds} ms"
        Assert.That(verdict.Count Anomaly.Undecided, Is.Zero, $"seed {seed}")
        Assert.That(verdict.IsCorrect, Is.Not.EqualTo lie)

[<Test>]
let ``a hot document is decided`` ([<Values(false, true)>] merging: bool, [<Values(false, true)>] lie: bool) =
    decides { hot with Merging = merging } lie

[<Test>]
let ``a hot document with conditions is decided`` ([<Values(false, true)>] lie: bool) =
    decides
        {
            hot with
                Clients = 10
                Operations = 2_000
                Merging = true
                Conditional = true
                Versions = true
        }
        lie

[<Test>]
let ``many documents are decided`` () =
    let history = new History()

    for key in 1..60_000 do
        Simulated(history, $"k{key}", key).Run {
            Clients = 3
            Operations = 3 + key % 2
            UnknownPercent = 5
            Conditional = key % 3 = 0
            Merging = true
            Versions = true
        }

    let clock = Diagnostics.Stopwatch.StartNew()
    let verdict = Checker.Check history
    TestContext.Out.WriteLine $"{history.Count} operations: {clock.ElapsedMilliseconds} ms"
    Assert.That(verdict.IsCorrect, Is.True, string verdict)
    Assert.That(verdict.KeysChecked, Is.EqualTo 60_000)
