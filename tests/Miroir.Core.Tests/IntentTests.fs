module Miroir.Core.Tests.IntentTests

open System
open System.Text
open NUnit.Framework
open FsCheck
open FsCheck.FSharp
open FsCheck.NUnit
open Miroir.Core
open Miroir.Core.Tests.WritesExamples

let private command intent condition (body: string) : WriteCommand = {
    Index = "movies"
    Key = key
    Intent = intent
    Body = ReadOnlyMemory(Encoding.UTF8.GetBytes body)
    Condition = condition
    OperationId = Guid.Empty
}

let private live (body: string) =
    Document.Live(
        key,
        { Term = 1L; Clock = 1L },
        ReadOnlyMemory(Encoding.UTF8.GetBytes body),
        Guid.Empty,
        Origin.Client
    )

[<TestCase("""{"a":1,"b":2}""", """{"b":3,"c":4}""", """{"a":1,"b":3,"c":4}""")>]
[<TestCase("""{"é":"x","n":1.50}""", """{"z":[ 1 ]}""", """{"é":"x","n":1.50,"z":[ 1 ]}""")>]
[<TestCase("""{"a":1}""", """{}""", """{"a":1}""")>]
[<TestCase("""{"a":1}""", """{"a":2,"a":3}""", """{"a":3}""")>]
[<TestCase("""{"a":{"x":1}}""", """{"a":{"y":2}}""", """{"a":{"y":2}}""")>]
let ``a merge replaces the fields given and keeps the others in their order``
    (existing: string)
    (given: string)
    (expected: string)
    =
    match Intent.decide (live existing) (command WriteIntent.Merge Always given) with
    | IntentDecision.Put body -> Assert.That(Encoding.UTF8.GetString body.Span, Is.EqualTo expected)
    | other -> Assert.Fail $"{other}"

[<Test>]
let ``conditions are of live documents only`` () =
    let gone =
        Document.Tombstone(key, { Term = 1L; Clock = 1L }, Guid.Empty, Origin.Client)

    let decide (found: Document | null) condition =
        (Intent.decide found (command WriteIntent.Replace condition "{}")).IsPut

    let present = live "{}"
    Assert.That(decide present (IfVersion present.Version))
    Assert.That(decide present (IfVersion { Term = 1L; Clock = 2L }), Is.False)
    Assert.That(decide gone (IfVersion gone.Version), Is.False)
    Assert.That(decide gone IfAbsent)
    Assert.That(decide null IfAbsent)
    Assert.That(decide present IfAbsent, Is.False)
    Assert.That(decide present IfPresent)
    Assert.That(decide gone IfPresent, Is.False)

[<Test>]
let ``a body that can't be merged is refused in words`` () =
    match Intent.decide (live "{}") (command WriteIntent.Merge Always "[1]") with
    | IntentDecision.Invalid why -> Assert.That(why, Does.Contain "JSON object")
    | other -> Assert.Fail $"{other}"

// --- a new writer's barriers
