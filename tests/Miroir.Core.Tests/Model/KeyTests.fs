/// Where a document lives: its hash, its key, the clock of its versions, the ranges that hold it.
module Miroir.Core.Tests.KeyTests

open System
open System.Diagnostics
open System.IO
open System.Text
open NUnit.Framework
open FsCheck.NUnit
open Miroir.Core

let private hash (bytes: byte[]) = XxHash64.hash 0UL (ReadOnlySpan bytes)

[<TestCase("", 0xEF46DB3751D8E999UL)>]
[<TestCase("a", 0xD24EC4F1A98C6E5BUL)>]
[<TestCase("abc", 0x44BC2CF5AD770999UL)>]
[<TestCase("Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1UL)>]
let ``XXH64 has the published values`` (text: string, expected: uint64) =
    Assert.That(hash (Encoding.UTF8.GetBytes text), Is.EqualTo expected)

[<Test>]
let ``XXH64 agrees with xxhsum for every length`` () =
    let random = Random 64
    let lengths = [ yield! [ 0..200 ]; 511; 512; 4096; 65_537; 1_000_003 ]
    let folder = Directory.CreateTempSubdirectory("miroir-xxh-").FullName

    try
        let inputs = [
            for length in lengths do
                let bytes = Array.zeroCreate<byte> length
                random.NextBytes bytes
                let path = Path.Combine(folder, string length)
                File.WriteAllBytes(path, bytes)
                path, bytes
        ]

        let info = ProcessStartInfo("xxhsum", RedirectStandardOutput = true)
        info.ArgumentList.Add "-H64"

        for path, _ in inputs do
            info.ArgumentList.Add path

        let started =
            try
                Process.Start info
            with :? ComponentModel.Win32Exception ->
                null

        match started with
        | null -> Assert.Ignore "xxhsum is not installed: it is in Debian's package xxhash"
        | started ->
            use tool = started

            let lines =
                tool.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)

            Assert.That(tool.WaitForExit 60_000, Is.True)
            Assert.That(lines.Length, Is.EqualTo inputs.Length)

            for line, (path, bytes) in Seq.zip lines inputs do
                Assert.That(line.Split(' ')[0], Is.EqualTo((hash bytes).ToString "x16"), path)
    finally
        Directory.Delete(folder, true)

/// Texts of one to four bytes a character.
let private textOf (seed: int) =
    let random = Random seed
    let alphabet = [| "a"; "Z"; "7"; "-"; "é"; "ß"; "語"; "\u0000"; "😀"; "\uFFFD" |]
    String.concat "" [ for _ in 0 .. random.Next 20 -> alphabet[random.Next alphabet.Length] ]

[<Property>]
let ``a key comes back from its text and from its bytes`` (seed: int) =
    let text = textOf seed
    let key = Key.Of text
    let again = Key.OfBytes key.Span

    key.Text = text
    && key = again
    && key.CompareTo again = 0
    && key.GetHashCode() = again.GetHashCode()
    && key.Hash = hash (Encoding.UTF8.GetBytes text)

[<Property(MaxTest = 500)>]
let ``keys are ordered by unsigned hash and then by bytes`` (a: int) (b: int) =
    let a, b = Key.Of(textOf a), Key.Of(textOf b)

    let expected =
        match compare a.Hash b.Hash with
        | 0 -> a.Span.SequenceCompareTo b.Span
        | order -> order

    sign (a.CompareTo b) = sign expected
    && sign (b.CompareTo a) = -(sign expected)
    && (a = b) = (expected = 0)

/// x such that x * odd = 1 modulo 2^64 (Newton).
let private inverse (odd: uint64) =
    Seq.fold (fun x _ -> x * (2UL - odd * x)) odd [ 1..6 ]

/// A second 16-byte input with the hash of (first, second) that begins with `other`: each word is mixed in by a
/// bijection, so the last can make up for the first.
let private collision (first: uint64) (second: uint64) (other: uint64) =
    let p1, p2, p4, p5 =
        0x9E3779B185EBCA87UL, 0xC2B2AE3D27D4EB4FUL, 0x85EBCA77C2B2AE63UL, 0x27D4EB2F165667C5UL

    let round (x: uint64) =
        Numerics.BitOperations.RotateLeft(x * p2, 31) * p1

    let unround (y: uint64) =
        Numerics.BitOperations.RotateRight(y * inverse p1, 31) * inverse p2

    let mix h (word: uint64) =
        Numerics.BitOperations.RotateLeft(h ^^^ round word, 27) * p1 + p4

    let start = p5 + 16UL
    unround (mix start other ^^^ mix start first ^^^ round second)

[<Property>]
let ``keys of one hash are told apart by their bytes`` (first: uint64) (second: uint64) (other: uint64) =
    let key (a: uint64) (b: uint64) =
        Key.OfBytes(ReadOnlySpan(Array.append (BitConverter.GetBytes a) (BitConverter.GetBytes b)))

    let other = if other = first then first + 1UL else other
    let a, b = key first second, key other (collision first second other)

    a.Hash = b.Hash
    && a <> b
    && sign (a.CompareTo b) = sign (a.Span.SequenceCompareTo b.Span)
    && sign (b.CompareTo a) = -(sign (a.CompareTo b))

[<Test>]
let ``a key is 1 to 512 bytes of valid Unicode`` () =
    let isOk text = Result.isOk (Key.Parse text)
    Assert.That(isOk (String('a', 512)), Is.True)
    Assert.That(isOk (String('é', 256)), Is.True)

    // Halves of a pair are made of numbers: a literal of one does not survive every compiler.
    let high, low = string (char 0xD83D), string (char 0xDE00)

    for text in [ ""; String('a', 513); String('é', 257); high; $"a{low}b"; low + high ] do
        Assert.That(isOk text, Is.False, text)
        Assert.That(Action(fun () -> Key.Of text |> ignore), Throws.InstanceOf<ArgumentException>())

    for length in [ 0; 513 ] do
        Assert.That(
            Action(fun () -> Key.OfBytes(ReadOnlySpan(Array.zeroCreate<byte> length)) |> ignore),
            Throws.InstanceOf<ArgumentException>()
        )

[<Test>]
let ``an integer and its text name one document`` () =
    Assert.That(Key.Of(string 7), Is.EqualTo(Key.Of "7"))
    Assert.That(Key.Of "07", Is.Not.EqualTo(Key.Of "7"))

[<Property>]
let ``the hybrid clock grows whatever the wall clock says`` (walls: int64 list) (wild: bool) =
    let walls =
        if wild then
            walls @ [ Int64.MaxValue; Int64.MinValue; 0L ] @ walls
        else
            walls

    let readings = walls |> List.scan HybridClock.next 0L

    List.pairwise readings |> List.forall (fun (a, b) -> a < b)
    && List.zip (List.tail readings) walls
       |> List.forall (fun (reading, wall) -> reading >= HybridClock.ofUnixMs wall)

[<Test>]
let ``the hybrid clock outlives a wall clock at the end of time`` () =
    let mutable last = HybridClock.next 0L Int64.MaxValue

    for _ in 1..200_000 do
        let next = HybridClock.next last Int64.MaxValue
        Assert.That(next > last, Is.True)
        last <- next

[<Property>]
let ``the hybrid clock shows the wall clock's time`` (offset: uint32) =
    let unixMs = 1_600_000_000_000L + int64 offset
    HybridClock.unixMs (HybridClock.next 0L unixMs) = unixMs

[<Property>]
let ``a version comes back from its text`` (term: uint32) (clock: int64) =
    let version = {
        Term = int64 term
        Clock = clock &&& Int64.MaxValue
    }

    DocumentVersion.TryParse(string version) = ValueSome version

/// Shard counts small and great.
let private countOf (n: int) =
    let n = abs (n % 1_000_003)
    if n % 3 = 0 then 1 + n % 17 else 1 + n % Layout.MaxShards

[<Property>]
let ``the ranges of a layout tile the hash space evenly`` (n: int) =
    let count = 1 + countOf n % 700
    let ranges = [| for shard in 0 .. count - 1 -> Layout.range count shard |]
    let widths = ranges |> Array.map _.Width
    let total = Array.reduce (fun (a: UInt128) b -> a + b) widths

    ranges[0].Lo = 0UL
    && ranges[count - 1].Hi = 0UL
    && Array.pairwise ranges |> Array.forall (fun (a, b) -> a.Hi = b.Lo && a.Lo < a.Hi)
    && total = HashRange.Full.Width
    && Array.max widths - Array.min widths <= UInt128.One

[<Property(MaxTest = 1000)>]
let ``a hash is in the range of its shard`` (n: int) (hash: uint64) (edge: int) =
    let count = countOf n
    let bound = (Layout.range count (abs (edge % count))).Lo

    [ hash; bound; bound - 1UL; 0UL; UInt64.MaxValue ]
    |> List.forall (fun h -> (Layout.range count (Layout.shardOf count h)).Contains h)

[<Property>]
let ``the shards that overlap a range are just those`` (a: int) (b: int) =
    let from, into = 1 + countOf a % 70, 1 + countOf b % 70

    Seq.forall
        (fun shard ->
            let range = Layout.range from shard
            let struct (first, last) = Layout.overlapping into range

            [ 0 .. into - 1 ]
            |> List.filter (fun other -> (Layout.range into other).Intersect(range).IsSome) = [ first..last ])
        [ 0 .. from - 1 ]

[<Property(MaxTest = 1000)>]
let ``what two ranges share is what is in both`` (a: uint64) (b: uint64) (c: uint64) (d: uint64) (hash: uint64) =
    let range x y =
        if x = y then
            HashRange.Full
        else
            { Lo = min x y; Hi = max x y }

    let x, y = range a b, range c d

    [ hash; a; b; c; d; a - 1UL; b - 1UL; c - 1UL; d - 1UL ]
    |> List.forall (fun h ->
        let shared =
            match x.Intersect y with
            | ValueSome shared -> shared.Contains h
            | ValueNone -> false

        shared = (x.Contains h && y.Contains h))
