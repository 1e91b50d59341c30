module Miroir.Core.Tests.Operations.TomlTests

open System
open FsCheck
open FsCheck.FSharp
open NUnit.Framework
open FsCheck.NUnit
open Miroir.Core

let nowhere = { Line = 0; Column = 0 }

/// The same value with every position wiped.
let rec bare (value: TomlValue) =
    match value with
    | TomlArray items ->
        TomlArray [
            for item in items ->
                {
                    Value = bare item.Value
                    At = nowhere
                }
        ]
    | TomlTable entries -> TomlTable(bareAll entries)
    | value -> value

and bareAll (entries: TomlEntry list) : TomlEntry list = [
    for e in entries ->
        {
            Key = e.Key
            Value = bare e.Value
            At = nowhere
        }
]

/// Tables behind plain values, as a printed text has them.
let rec ordered (entries: TomlEntry list) : TomlEntry list =
    let isTable (e: TomlEntry) =
        match e.Value with
        | TomlTable _ -> true
        | _ -> false

    let tables, plain = List.partition isTable entries

    plain
    @ [
        for e in tables ->
            match e.Value with
            | TomlTable inner -> {
                e with
                    Value = TomlTable(ordered inner)
              }
            | _ -> e
    ]

let private text =
    Gen.oneof [
        ArbMap.defaults
        |> ArbMap.generate<char>
        |> Gen.filter (Char.IsSurrogate >> not)
        |> Gen.listOf
        |> Gen.map (Array.ofList >> String)
        Gen.elements [
            ""
            "a"
            "\"quoted\""
            "back\\slash"
            "line\nend\r\n\ttab"
            "\u0000\u007f\u0001"
            "ключ ☃ 𝄞"
            "'''"
        ]
    ]

let rec private valueOf size : Gen<TomlValue> =
    let scalar =
        Gen.oneof [
            text |> Gen.map TomlString
            ArbMap.defaults |> ArbMap.generate<int64> |> Gen.map TomlInteger
            Gen.elements [ Int64.MinValue; Int64.MaxValue ] |> Gen.map TomlInteger
            ArbMap.defaults |> ArbMap.generate<float> |> Gen.map TomlFloat
            ArbMap.defaults |> ArbMap.generate<bool> |> Gen.map TomlBoolean
            Gen.elements [ "1979-05-27T07:32:00Z"; "1979-05-27 07:32:00.5"; "1979-05-27"; "07:32:00" ]
            |> Gen.map TomlDateTime
        ]

    if size <= 0 then
        scalar
    else
        Gen.frequency [
            4, scalar
            1,
            Gen.listOfLength 3 (valueOf (size / 3))
            |> Gen.map (fun items -> TomlArray [ for v in items -> { Value = v; At = nowhere } ])
            1, tableOf (size / 3) |> Gen.map TomlTable
        ]

and private tableOf size : Gen<TomlEntry list> =
    gen {
        let! keys = Gen.listOf text |> Gen.map (List.distinct >> List.truncate 4)
        let! values = Gen.listOfLength keys.Length (valueOf size)

        return [
            for key, value in List.zip keys values ->
                {
                    Key = key
                    Value = value
                    At = nowhere
                }
        ]
    }

type Documents =
    static member Table() =
        Gen.sized (fun size -> tableOf (min size 30)) |> Arb.fromGen

[<Property(MaxTest = 300, Arbitrary = [| typeof<Documents> |])>]
let ``what is printed parses to the same values`` (entries: TomlEntry list) =
    match Toml.parse (Toml.print entries) with
    | Ok read ->
        // NaN is not equal to itself; as text it is.
        sprintf "%A" (bareAll read) = sprintf "%A" (ordered entries)
    | Error _ -> false

/// Whatever means something in TOML, and some that does not.
let private pieces = [|
    "a"
    "b.c"
    "="
    " "
    "\n"
    "\r"
    "\""
    "'"
    "\"\"\""
    "'''"
    "["
    "]"
    "[["
    "]]"
    "{"
    "}"
    ","
    "."
    "#"
    "\\"
    "\\u"
    "1"
    "-0x"
    "1e5"
    "true"
    "inf"
    "1979-05-27"
    "07:32:00"
    "é"
    "\u0000"
|]

[<Property(MaxTest = 500)>]
let ``no text makes the parser throw`` (fragments: int list) =
    let text =
        fragments
        |> List.map (fun n -> pieces[abs (n % pieces.Length)])
        |> String.concat ""

    match Toml.parse text with
    | Ok _ -> true
    | Error errors ->
        not errors.IsEmpty
        && errors |> List.forall (fun e -> e.At.Line >= 1 && e.At.Column >= 1)

let private value (text: string) =
    match Toml.parse $"v = {text}" with
    | Ok [ entry ] -> bare entry.Value
    | other -> failwith $"{other}"

let private cases = [
    "\"\"\"\nRoses\n  are red\"\"\"", TomlString "Roses\n  are red"
    "\"\"\"one \\\n   two\"\"\"", TomlString "one two"
    "\"\"\"two \"\" quotes\"\"\"\"", TomlString "two \"\" quotes\""
    "'C:\\Users'", TomlString "C:\\Users"
    "'''\nraw ''here'''", TomlString "raw ''here"
    "\"\\u00e9\\U0001F600\"", TomlString "é😀"
    "1_000", TomlInteger 1000L
    "0xdead_beef", TomlInteger 0xdeadbeefL
    "0o755", TomlInteger 493L
    "0b1101", TomlInteger 13L
    "-17", TomlInteger -17L
    "6.626e-34", TomlFloat 6.626e-34
    "1e6", TomlFloat 1e6
    "-inf", TomlFloat Double.NegativeInfinity
    "true", TomlBoolean true
    "1979-05-27 07:32:00Z", TomlDateTime "1979-05-27 07:32:00Z"
    "[ 1, # one\n 2,\n]",
    TomlArray [
        { Value = TomlInteger 1L; At = nowhere }
        { Value = TomlInteger 2L; At = nowhere }
    ]
]

[<Test>]
let ``each kind of value is read`` () =
    for text, expected in cases do
        Assert.That(value text, Is.EqualTo expected, text)

[<Test>]
let ``dotted keys, tables, arrays of tables and inline tables make the same tree`` () =
    let read text =
        match Toml.parse text with
        | Ok entries -> bareAll entries
        | Error errors -> failwith $"{errors}"

    let dotted = read "a.b.c = 1\na.b.d = 2\n[[n]]\nx = 1\n[[n]]\nx = 2\n[n.y]\nz = 3\n"

    let inlined =
        read "a = { b = { c = 1, d = 2 } }\nn = [ { x = 1 }, { x = 2, y = { z = 3 } } ]\n"

    Assert.That(dotted, Is.EqualTo<TomlEntry list> inlined)

[<Test>]
let ``keys know where they stand`` () =
    match Toml.parse "# first\r\n[migration]\r\n  drain_timeout = \"30s\"\r\n" with
    | Ok [ { Value = TomlTable [ entry ] } ] ->
        Assert.That(entry.Key, Is.EqualTo "drain_timeout")
        Assert.That(entry.At, Is.EqualTo { Line = 3; Column = 3 })
    | other -> Assert.Fail $"{other}"

let private refused = [
    "a = 1\na = 2", 2, "there already"
    "[a]\nb = 1\n[a]", 3, "there already"
    "a = 1\n[a.b]", 2, "no table can be in it"
    "a = { b = 1 }\na.c = 2", 2, "can't add"
    "[a.b.c]\nz = 9\n[a]\nb.c.t = 1", 4, "can't add"
    "[[a]]\n[a]", 2, "there already"
    "a = \"open", 1, "closing"
    "a = 1\nb = x", 2, "needs quotes"
    "a = 01", 1, "not a value"
    "a = 9223372036854775808", 1, "64 bits"
    "a = \"\\ud800\"", 1, "scalar"
    "a = { b = 1,\n c = 2 }", 1, "expected"
    "a = 1 b = 2", 1, "end of the line"
    "= 1", 1, "expected"
    "a\r = 1", 1, "carriage return"
]

[<Test>]
let ``what TOML forbids is refused with its line`` () =
    for text, line, words in refused do
        match Toml.parse text with
        | Error(first :: _) ->
            Assert.That(first.At.Line, Is.EqualTo line, text)
            Assert.That(first.Message, Does.Contain words, text)
        | other -> Assert.Fail $"{text}: {other}"

[<Test>]
let ``all keys that are there twice are told at once`` () =
    match Toml.parse "a = 1\na = 2\nb = 1\nb = 2\n" with
    | Error errors -> Assert.That(errors |> List.map _.At.Line, Is.EqualTo<int list> [ 2; 4 ])
    | Ok _ -> Assert.Fail "accepted"

[<Test>]
let ``nesting has a bound`` () =
    let deep n =
        "a = " + String('[', n) + String(']', n)

    Assert.That((Toml.parse (deep Toml.MaxDepth)).IsOk)
    Assert.That((Toml.parse (deep 100_000)).IsError)
