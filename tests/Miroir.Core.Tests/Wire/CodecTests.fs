/// What is stored and sent comes back as it was, in every build to come.
module Miroir.Core.Tests.CodecTests

open System
open System.Text
open NUnit.Framework
open FsCheck
open FsCheck.FSharp
open FsCheck.NUnit
open Miroir.Core
open Miroir.Core.Cutover

let private comesBack (values: Gen<'T>) (toBytes: 'T -> byte[]) (ofBytes: ReadOnlyMemory<byte> -> 'T) =
    Prop.forAll (Arb.fromGen values) (fun value -> ofBytes (ReadOnlyMemory(toBytes value)) = value)

[<Property>]
let ``routes come back`` () =
    comesBack Arbitrary.route Codec.routeToBytes Codec.routeOfBytes

[<Property>]
let ``indexes come back`` () =
    comesBack Arbitrary.index Codec.indexToBytes Codec.indexOfBytes

[<Property>]
let ``nodes come back`` () =
    comesBack Arbitrary.node Codec.nodeToBytes Codec.nodeOfBytes

[<Property>]
let ``routers come back`` () =
    comesBack Arbitrary.router Codec.routerToBytes Codec.routerOfBytes

[<Property>]
let ``tables come back`` () =
    comesBack Arbitrary.table Codec.tableToBytes Codec.tableOfBytes

[<Property(MaxTest = 500)>]
let ``journalled observations come back`` () =
    comesBack Arbitrary.observation Journal.toBytes Journal.ofBytes

let private utf8 (text: string) =
    ReadOnlyMemory(Encoding.UTF8.GetBytes text)

// Stored in metadata and journals: append only. A text here is never edited; a new form gets a new one beside it.

let private storedRoute =
    """{"v":1,"shard":{"index":"books","generation":2,"shard":3},"lo":"c000000000000000","hi":"0000000000000000","epoch":7,"stage":"Joint","owners":["n1","n2"],"targets":[{"shard":{"index":"books","generation":3,"shard":9},"lo":"c000000000000000","hi":"d000000000000000","nodes":["n2","n3"]}],"writer":"r1","incarnation":5,"term":4,"fences":[{"shard":{"index":"books","generation":1,"shard":0},"epoch":12}],"migration":6}"""

let private storedIndex =
    """{"v":1,"uid":"books","primaryKey":"isbn","replication":2,"generation":2,"shards":4,"lastGeneration":3,"createdAtUnixMs":1700000000000,"updatedAtUnixMs":1700000000001}"""

let private theRoute = {
    Shard = {
        Index = "books"
        Generation = 2
        Shard = 3
    }
    Range = { Lo = 0xC000000000000000UL; Hi = 0UL }
    Epoch = 7L
    Stage = Joint
    Owners = [| "n1"; "n2" |]
    Targets = [|
        {
            Shard = {
                Index = "books"
                Generation = 3
                Shard = 9
            }
            Range = {
                Lo = 0xC000000000000000UL
                Hi = 0xD000000000000000UL
            }
            Nodes = [| "n2"; "n3" |]
        }
    |]
    Writer = {
        Router = "r1"
        Incarnation = 5L
        Term = 4L
    }
    Fences = [|
        {
            Shard = {
                Index = "books"
                Generation = 1
                Shard = 0
            }
            Epoch = 12L
        }
    |]
    Migration = 6L
}

let private theIndex = {
    Uid = "books"
    PrimaryKey = "isbn"
    Replication = 2
    Layout = { Generation = 2; ShardCount = 4 }
    LastGeneration = 3
    CreatedAtUnixMs = 1700000000000L
    UpdatedAtUnixMs = 1700000000001L
}

[<Test>]
let ``stored routes and indexes are still read`` () =
    Assert.That((Codec.routeOfBytes (utf8 storedRoute) = theRoute), Is.True)
    Assert.That((Codec.indexOfBytes (utf8 storedIndex) = theIndex), Is.True)

let private observed event = {
    AtUnixMs = 1700000000000L
    Event = event
}

let private guid = Guid "00112233-4455-6677-8899-aabbccddeeff"

let private ended = {
    Position = Key.Of "k1"
    Compared = 10L
    Copied = 2L
    CopiedBytes = 64L
    CopiedTombstones = 1L
    MergeDigest = { A = 0xFFUL; B = 0xFEDCBA9876543210UL }
    Watermark = { Term = 4L; Clock = 99L }
    Incarnation = guid
    IsComplete = true
}

let private storedObservations = [
    """{"v":1,"atUnixMs":1700000000000,"event":"started","plan":{"migration":6,"index":"""
    + storedIndex
    + ""","generation":3,"shards":16,"moves":[{"route":"""
    + storedRoute
    + ""","targets":[{"shard":{"index":"books","generation":3,"shard":9},"lo":"c000000000000000","hi":"d000000000000000","nodes":["n2","n3"]}]}],"limits":{"throttle":10000,"maxCopies":4,"maxJoint":2,"maxRetiring":4,"drainTimeoutMs":30000,"retainSourceMs":0,"retryMs":50,"maxRetryMs":2000,"maxDeltaFailures":12,"maxDropFailures":12}}}""",
    Started {
        Migration = 6L
        Index = theIndex
        To = { Generation = 3; ShardCount = 16 }
        Moves = [|
            {
                Route = theRoute
                Targets = theRoute.Targets
            }
        |]
        // Written before drains waited for writes.
        Limits = {
            Limits.Default with
                AwaitWrites = false
        }
    }

    """{"v":1,"atUnixMs":1700000000000,"event":"answered","sequence":3,"answer":"published"}""", Answered(3L, Published)
    """{"v":1,"atUnixMs":1700000000000,"event":"answered","sequence":3,"answer":"inspected","routes":["""
    + storedRoute
    + ""","""
    + "null]}",
    Answered(3L, Inspected [| Some theRoute; None |])
    """{"v":1,"atUnixMs":1700000000000,"event":"answered","sequence":4,"answer":"made","incarnation":"00112233-4455-6677-8899-aabbccddeeff"}""",
    Answered(4L, MakeAnswered(Made guid))
    """{"v":1,"atUnixMs":1700000000000,"event":"answered","sequence":5,"answer":"confirmed","incarnation":"00112233-4455-6677-8899-aabbccddeeff"}""",
    Answered(5L, BarrierAnswered(Confirmed guid))
    """{"v":1,"atUnixMs":1700000000000,"event":"answered","sequence":6,"answer":"reconciled","position":"azE=","compared":10,"copied":2,"copiedBytes":64,"copiedTombstones":1,"digestA":"00000000000000ff","digestB":"fedcba9876543210","term":4,"clock":99,"incarnation":"00112233-4455-6677-8899-aabbccddeeff","complete":true}""",
    Answered(6L, ReconcileAnswered(Progress ended))
    """{"v":1,"atUnixMs":1700000000000,"event":"answered","sequence":7,"answer":"dropRefused","code":1,"message":"full"}""",
    Answered(
        7L,
        DropAnswered(
            DropRefused {
                Code = RefusalCode.DiskFull
                Message = "full"
            }
        )
    )
    """{"v":1,"atUnixMs":1700000000000,"event":"answered","sequence":8,"answer":"unreachable","why":"gone"}""",
    Answered(8L, Unreachable "gone")
    """{"v":1,"atUnixMs":1700000000000,"event":"answered","sequence":9,"answer":"writesOpen","count":2,"oldestMs":1500}""",
    Answered(9L, WritesOpen { Count = 2; OldestMs = 1500L })
    """{"v":1,"atUnixMs":1700000000000,"event":"ordered","order":"cutover"}""", Ordered Order.Cutover
    """{"v":1,"atUnixMs":1700000000000,"event":"ordered","order":"abort","reason":"no"}""", Ordered(Order.Abort "no")
    """{"v":1,"atUnixMs":1700000000000,"event":"ordered","order":"tune","throttle":5,"drainTimeoutMs":-1}""",
    Ordered(Tune(5, -1))
    """{"v":1,"atUnixMs":1700000000000,"event":"ordered","order":"assignWriter","shard":{"index":"books","generation":2,"shard":3},"router":"r2","incarnation":8}""",
    Ordered(AssignWriter(theRoute.Shard, "r2", 8L))
    """{"v":1,"atUnixMs":1700000000000,"event":"ordered","order":"certify","shard":{"index":"books","generation":2,"shard":3},"certificate":{"target":{"index":"books","generation":3,"shard":9},"jointEpoch":4,"holders":[{"node":"n2","store":{"index":"books","generation":3,"shard":9},"incarnation":"00112233-4455-6677-8899-aabbccddeeff"}],"sources":[],"entries":10,"copied":2,"digestA":"00000000000000ff","digestB":"fedcba9876543210","term":4,"clock":99}}""",
    Ordered(
        Certify(
            theRoute.Shard,
            {
                Target = theRoute.Targets[0].Shard
                JointEpoch = 4L
                Holders = [|
                    {
                        Node = "n2"
                        Store = theRoute.Targets[0].Shard
                    },
                    guid
                |]
                Sources = [||]
                Entries = 10L
                Copied = 2L
                Digest = ended.MergeDigest
                Watermark = ended.Watermark
            }
        )
    )
]

[<Test>]
let ``stored observations are still read`` () =
    for stored, event in storedObservations do
        Assert.That((Journal.ofBytes (utf8 stored) = observed event), Is.True, stored)

[<Test>]
let ``a form of a later version, and one with a field missing, are refused`` () =
    for text in
        [
            storedRoute.Replace("\"v\":1", "\"v\":2")
            storedRoute.Replace("\"epoch\":7,", "")
            storedRoute.Replace("Joint", "Sideways")
        ] do
        Assert.That(Action(fun () -> Codec.routeOfBytes (utf8 text) |> ignore), Throws.InstanceOf<FormatException>())

[<Test>]
let ``fields that this build does not know are passed over`` () =
    let text = storedRoute.Replace("\"v\":1", "\"v\":1,\"colour\":{\"deep\":[1]}")
    Assert.That((Codec.routeOfBytes (utf8 text) = theRoute), Is.True)
