module Miroir.Core.Tests.AntiEntropyTests

open System
open FsCheck
open FsCheck.FSharp
open Miroir.Core
open NUnit.Framework

let private keys = [| for i in 0..19 -> Key.Of $"key-{i}" |] |> Array.sort

/// Content 0 is what everybody has; 1 is corruption. Every fourth version deletes.
let private entryOf (key: int) (version: int) (content: int) : Entry =
    let at = {
        Term = 1L + int64 (version / 3)
        Clock = 1L + int64 (version % 3)
    }

    let body = ReadOnlySpan [| byte key; byte version; byte content |]

    Entry(keys[key], at, (version % 4 = 3), Digest.OfBody body, Guid.Empty, Origin.Client)

/// One stream: what it has under each key, and how many entries each of its pages holds (0: an empty one).
type Stream = { Entries: Entry[]; Cuts: int[] }

let private streamGen =
    gen {
        let! chosen = Gen.subListOf [ 0 .. keys.Length - 1 ]
        let! versions = Gen.listOfLength chosen.Length (Gen.choose (0, 8))

        let! contents =
            Gen.listOfLength chosen.Length (Gen.frequency [ 19, Gen.constant 0; 1, Gen.constant 1 ])

        let! cuts = Gen.arrayOf (Gen.choose (0, 5))

        return {
            Entries =
                List.zip3 chosen versions contents
                |> List.sortBy (fun (key, _, _) -> key)
                |> List.map (fun (key, version, content) -> entryOf key version content)
                |> Array.ofList
            Cuts = cuts
        }
    }

type Streams =
    static member Stream() : Arbitrary<Stream> = Arb.fromGen streamGen

let private config =
    Config.QuickThrowOnFailure.WithArbitrary([ typeof<Streams> ]).WithMaxTest 500

/// Hands out a stream's pages one by one; the last one says so, however it was cut.
let private pagesOf (stream: Stream) : unit -> Entry[] * bool =
    let mutable at = 0
    let mutable cut = 0

    fun () ->
        let size =
            if cut < stream.Cuts.Length then
                stream.Cuts[cut]
            else
                stream.Entries.Length - at

        cut <- cut + 1
        let page = stream.Entries[at .. (min (at + size) stream.Entries.Length) - 1]
        at <- at + page.Length
        // Whether the last page knows that it is, or an empty one must say so, is the cut's choice too.
        page, (at = stream.Entries.Length && cut >= stream.Cuts.Length)

/// Runs a merge to its end, or to what stops it.
let private runMerge (streams: Stream[]) : MergedKey list * MergeStep =
    let cursors = streams |> Array.map (fun _ -> PagedCursor())
    let pages = streams |> Array.map pagesOf
    let merge = Merge(cursors |> Array.map (fun cursor -> cursor :> IEntryCursor))

    let rec go merged =
        match merge.Next() with
        | Merged key -> go (key :: merged)
        | Feed cursor ->
            cursors[cursor].Feed(pages[cursor]())
            go merged
        | step -> List.rev merged, step

    go []

let private heldBy (stream: Stream) (key: Key) =
    stream.Entries |> Array.tryFind (fun entry -> entry.Key.Equals key)

let private isSame (a: Entry) (b: Entry) =
    a.Version = b.Version && a.Digest = b.Digest && a.IsTombstone = b.IsTombstone

[<Test>]
let ``A merge gives each key once, in order, with its highest version and who has it`` () =
    let holds (streams: Stream[]) =
        let merged, stop = runMerge streams

        let everyKey =
            streams
            |> Array.collect (fun stream -> stream.Entries |> Array.map _.Key)
            |> Array.distinctBy _.Text
            |> Array.sort

        Assert.That((stop = Drained))
        Assert.That((merged |> List.map _.Key.Text = List.ofArray (everyKey |> Array.map _.Text)))

        for key in merged do
            let held = streams |> Array.map (fun stream -> heldBy stream key.Key)
            let highest = held |> Array.choose id |> Array.map _.Version |> Array.max
            Assert.That(key.Best.Version, Is.EqualTo highest)
            Assert.That(key.Cursors, Is.EqualTo streams.Length)

            for i in 0 .. streams.Length - 1 do
                match held[i] with
                | None ->
                    Assert.That(isNull (box (key.Held i)))
                    Assert.That(key.HoldsBest i, Is.False)
                | Some entry ->
                    Assert.That(obj.ReferenceEquals(key.Held i, entry))
                    Assert.That(key.HoldsBest i, Is.EqualTo(isSame entry key.Best))

            let contents =
                held
                |> Array.choose id
                |> Array.filter (fun entry -> entry.Version = highest)
                |> Array.distinctBy _.Digest

            Assert.That(key.IsConflicting, Is.EqualTo(contents.Length > 1))
            Assert.That(key.IsEqual, Is.EqualTo(held |> Array.forall (Option.exists (isSame key.Best))))

    Check.One(config, holds)

[<Test>]
let ``How the streams are cut into pages changes nothing`` () =
    let holds (streams: Stream[]) =
        let describe (merged: MergedKey list, _) =
            merged
            |> List.map (fun key ->
                key.Best.ToString(), key.IsConflicting, [ for i in 0 .. key.Cursors - 1 -> key.HoldsBest i ])

        let whole = streams |> Array.map (fun stream -> { stream with Cuts = [||] })

        let single =
            streams |> Array.map (fun stream -> { stream with Cuts = Array.create 50 1 })

        Assert.That((describe (runMerge streams) = describe (runMerge whole)))
        Assert.That((describe (runMerge single) = describe (runMerge whole)))

    Check.One(config, holds)

[<Test>]
let ``An entry out of order stops the merge, which names the cursor and both keys`` () =
    let holds (streams: NonEmptyArray<Stream>, which: PositiveInt, at: PositiveInt, isRepeated: bool) =
        let which = which.Get % streams.Get.Length
        let stream = streams.Get[which]

        stream.Entries.Length >= 2
        ==> lazy
            let at = 1 + at.Get % (stream.Entries.Length - 1)
            let broken = Array.copy stream.Entries
            // Either the entry before it again, or the two swapped.
            if isRepeated then
                broken[at] <- broken[at - 1]
            else
                broken[at] <- stream.Entries[at - 1]
                broken[at - 1] <- stream.Entries[at]

            let merged, stop =
                streams.Get |> Array.updateAt which { stream with Entries = broken } |> runMerge

            Assert.That(stop, Is.EqualTo(OutOfOrder(which, broken[at - 1].Key, broken[at].Key)))
            Assert.That(merged |> List.map _.Key, Is.Ordered)

    Check.One(config, holds)

/// What a naive reader says of a target.
let private naive (best: Entry) (held: Entry option) =
    match held with
    | Some entry when entry.Version > best.Version -> Dominated
    | Some entry when entry.Version = best.Version -> if isSame entry best then Dominated else Differs
    | other ->
        let version =
            other |> Option.map _.Version |> Option.defaultValue DocumentVersion.Zero

        if best.IsTombstone then LacksTombstone version
        elif version.IsZero then Missing
        else Stale version

/// Each key's judgement beside a merge of the sources.
let private judgeAll (sources: Stream[]) (target: Stream) : (MergedKey * Divergence) list =
    let merged, _ = runMerge sources
    let cursor = PagedCursor()
    let pages = pagesOf target
    let domination = Domination cursor

    let rec judge (key: MergedKey) =
        match domination.Judge key.Best with
        | Judged divergence -> key, divergence
        | FeedTarget ->
            cursor.Feed(pages ())
            judge key
        | TargetOutOfOrder(previous, next) -> failwith $"{next} behind {previous}"

    merged |> List.map judge

[<Test>]
let ``A target is judged as a naive reader would`` () =
    let holds (sources: Stream[], target: Stream) =
        for key, divergence in judgeAll sources target do
            Assert.That(divergence, Is.EqualTo(naive key.Best (heldBy target key.Key)))

    Check.One(config, holds)

[<Test>]
let ``Putting what is lacking makes the target dominate every source`` () =
    let holds (sources: Stream[], target: Stream) =
        let after =
            judgeAll sources target
            |> List.filter (fun (_, divergence) -> divergence.IsLacking)
            |> List.fold
                (fun (held: Map<Key, Entry>) (key, _) -> held.Add(key.Key, key.Best))
                (Map.ofArray (target.Entries |> Array.map (fun entry -> entry.Key, entry)))

        for entry in sources |> Array.collect _.Entries do
            Assert.That(after.ContainsKey entry.Key && after[entry.Key].Version >= entry.Version, entry.ToString())

        for entry in target.Entries do
            Assert.That(after[entry.Key].Version >= entry.Version, "a target only grows")

    Check.One(config, holds)

[<Test>]
let ``A target out of order is named too`` () =
    let cursor = PagedCursor()
    let domination = Domination cursor
    cursor.Feed([| entryOf 3 0 0; entryOf 2 0 0 |], true)
    let judged = domination.Judge(entryOf 5 0 0)
    Assert.That(judged, Is.EqualTo(TargetOutOfOrder(keys[3], keys[2])))

[<Test>]
let ``Nothing merged is drained at once`` () =
    Assert.That(Merge([||]).Next(), Is.EqualTo Drained)

[<Test>]
let ``A cursor is not fed before it is starved`` () =
    let cursor = PagedCursor()
    cursor.Feed([| entryOf 1 0 0 |], false)
    Assert.That(Action(fun () -> cursor.Feed([||], true)), Throws.InvalidOperationException)

[<Test>]
let ``Equal versions with other content are a conflict only while they are the highest`` () =
    let one = {
        Entries = [| entryOf 4 1 0 |]
        Cuts = [||]
    }

    let other = {
        Entries = [| entryOf 4 1 1 |]
        Cuts = [||]
    }

    let newer = {
        Entries = [| entryOf 4 2 0 |]
        Cuts = [||]
    }

    Assert.That((runMerge [| one; other |] |> fst |> List.exactlyOne).IsConflicting)
    Assert.That((runMerge [| one; other; newer |] |> fst |> List.exactlyOne).IsConflicting, Is.False)
