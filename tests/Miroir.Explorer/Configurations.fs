namespace Miroir.Explorer

open Miroir.Core
open Miroir.Core.Cutover

/// The small worlds that are searched.
[<RequireQualifiedAccess>]
module Configurations =

    let private shard generation number : ShardId = {
        Index = "i"
        Generation = generation
        Shard = number
    }

    /// A key in the lower (false) or upper half of the hash space.
    let private keyIn (upper: bool) (skip: string) : Key =
        Seq.initInfinite (fun i -> Key.Of $"k{i}")
        |> Seq.find (fun k -> (k.Hash >= (1UL <<< 63)) = upper && k.Text <> skip)

    let private lower = keyIn false ""
    let private upper = keyIn true ""

    let private limits = {
        Limits.Default with
            Throttle = 0
            MaxCopies = 3
            MaxDeltaFailures = 2
            MaxDropFailures = 2
            // Waiting for writes only takes steps away that the barrier's answers, which may be late, take away too.
            AwaitWrites = false
    }

    let private whole (nodes: string list) : TargetShard[] = [|
        {
            Shard = shard 1 0
            Range = Layout.range 1 0
            Nodes = Array.ofList nodes
        }
    |]

    let private op (kind: OpKind) (mark: int) : Script = { Kind = kind; Key = 0; Mark = mark }

    let private basis = {
        Name = ""
        About = ""
        Nodes = [| "a"; "b" |]
        Routers = [| "r0" |]
        Keys = [| lower |]
        Shards = [| shard 1 0 |]
        Owners = [| "a" |]
        Goals = [| whole [ "b" ] |]
        Operations = [| op OpKind.Put 0; op OpKind.Read 1 |]
        Budget = Budget.None
        Limits = limits
        Before = 0
        IsReduced = true
    }

    let private at (key: int) (script: Script) : Script = { script with Key = key }
    let private none = Budget.None

    /// From one shard on `first` to two on `nodes`.
    let private split (nodes: string list list) : TargetShard[] =
        nodes
        |> List.mapi (fun i names -> {
            Shard = shard 2 i
            Range = Layout.range 2 i
            Nodes = Array.ofList names
        })
        |> Array.ofList

    let private disjoint = {
        basis with
            Name = "disjoint"
            About = "one copy, to another node"
            Operations = [| op OpKind.Put 0; op OpKind.Read 1 |]
            Budget = { none with Timeouts = 1 }
    }

    let private deletes = {
        basis with
            Name = "deletes"
            About = "a document that is there before is deleted while it moves"
            Operations = [| op OpKind.Delete 0; op OpKind.Put 1 |]
            Before = 4
            Budget = { none with Delays = 1 }
    }

    let private crash = {
        basis with
            Name = "crash"
            About = "the coordinator is lost, and an answer comes late"
            Operations = [| op OpKind.Put 0 |]
            Budget = { none with Crashes = 1; Delays = 1 }
    }

    let private abort = {
        basis with
            Name = "abort"
            About = "undone at every stage, or fallen back from when the drain timeout runs out"
            Operations = [| op OpKind.Put 0 |]
            Budget = { none with Aborts = 1; Drains = 1 }
    }

    let private abortLoss = {
        abort with
            Name = "abort-loss"
            About = "the same, and a target's store is lost"
            Budget = {
                none with
                    Aborts = 1
                    Drains = 1
                    Losses = 1
            }
    }

    let private loss = {
        abort with
            Name = "loss"
            About = "a target's store is lost, and made again"
            Budget = { none with Losses = 1 }
    }

    let private rebuilt = {
        loss with
            Name = "rebuilt"
            About = "the same, without a write"
            Operations = [||]
    }

    let private lossLate = {
        loss with
            Name = "loss-late"
            About = "a target's store is lost, and made again; an answer comes late"
            Budget = { none with Losses = 1; Delays = 1 }
    }

    let private attempts = {
        basis with
            Name = "attempts"
            About = "an attempt fails, and its answer comes when the next one waits for its own"
            Operations = [| op OpKind.Put 0 |]
            Limits = { limits with MaxDeltaFailures = 1 }
            Budget = { none with Timeouts = 1; Delays = 1 }
    }

    let private thereAndBack = {
        basis with
            Name = "there-and-back"
            About = "to another node and back, with a coordinator lost on the way"
            Goals = [| whole [ "b" ]; whole [ "a" ] |]
            Operations = [| op OpKind.Put 0 |]
            Budget = { none with Crashes = 1 }
    }

    let private change = {
        basis with
            Name = "change"
            About = "another writer while the shard moves"
            Routers = [| "r0"; "r1" |]
            Operations = [| op OpKind.Put 0; op OpKind.Merge 1 |]
            Budget = { none with Writers = 1 }
    }

    let private overlap = {
        basis with
            Name = "overlap"
            About = "two copies, one of which stays"
            Nodes = [| "a"; "b"; "c" |]
            Owners = [| "a"; "b" |]
            Goals = [| whole [ "b"; "c" ] |]
            Operations = [| op OpKind.Put 0 |]
    }

    let private splits = {
        basis with
            Name = "split"
            About = "one shard becomes two, one of them on the same node; another writer meanwhile"
            Keys = [| lower; upper |]
            Routers = [| "r0"; "r1" |]
            Shards = [| shard 1 0; shard 2 0; shard 2 1 |]
            Goals = [| split [ [ "b" ]; [ "a" ] ] |]
            Operations = [| op OpKind.Put 0; op OpKind.Merge 1 |]
            Budget = { none with Writers = 1 }
    }

    let private relayout = {
        splits with
            Name = "relayout"
            About = "one shard becomes another of the next layout; another writer meanwhile"
            Keys = [| lower |]
            Shards = [| shard 1 0; shard 2 0 |]
            Goals = [|
                [|
                    {
                        Shard = shard 2 0
                        Range = Layout.range 1 0
                        Nodes = [| "b" |]
                    }
                |]
            |]
    }

    let private inspect = {
        relayout with
            Name = "inspect"
            About = "puts whose term ends under them, and what others see meanwhile"
            Routers = [| "r0" |]
            Operations = [| op OpKind.Put 0; op OpKind.Merge 1; op OpKind.Read 2 |]
            Budget = none
    }

    let private splitKeys = {
        splits with
            Name = "split-keys"
            About = "one shard becomes two; a key in each"
            Routers = [| "r0" |]
            Operations = [| op OpKind.Put 0; op OpKind.Put 1 |> at 1 |]
            Budget = none
    }

    let private reads = {
        basis with
            Name = "reads"
            About = "three copies that stay where they are; reads through two routers"
            Nodes = [| "a"; "b"; "c" |]
            Routers = [| "r0"; "r1" |]
            Owners = [| "a"; "b"; "c" |]
            Goals = [||]
            Operations = [| op OpKind.Put 0; op OpKind.Read 1; op OpKind.Read 2 |]
            Budget = none
    }

    let private handover = {
        reads with
            Name = "handover"
            About = "three copies that stay where they are; another writer"
            Operations = [| op OpKind.Put 0; op OpKind.Merge 1 |]
            Budget = { none with Writers = 1 }
    }

    let private handoverRead = {
        handover with
            Name = "handover-read"
            About = "three copies; another writer, and a read through either router"
            Operations = [| op OpKind.Put 0; op OpKind.Merge 1; op OpKind.Read 2 |]
    }

    let private unknown = {
        handoverRead with
            Name = "unknown"
            About = "three copies; a client's time is over before its put is acknowledged"
            Routers = [| "r0" |]
            Budget = { none with Deadlines = 1 }
    }

    let private three = {
        basis with
            Name = "three"
            About = "three copies, two of which stay"
            Nodes = [| "a"; "b"; "c"; "d" |]
            Owners = [| "a"; "b"; "c" |]
            Goals = [| whole [ "b"; "c"; "d" ] |]
            Operations = [| op OpKind.Put 0 |]
    }

    let private twice = {
        disjoint with
            Name = "twice"
            About = "one copy, to another node; a put arrives twice"
            Operations = [| op OpKind.Put 0; op OpKind.Put 1; op OpKind.Read 2 |]
            Budget = { none with Duplicates = 1 }
    }

    let private pause = {
        basis with
            Name = "pause"
            About = "paused, and taken up again; the coordinator is lost"
            Operations = [| op OpKind.Put 0 |]
            Budget = { none with Pauses = 1; Crashes = 1 }
    }

    /// Of the test run.
    let usual = [
        disjoint
        deletes
        crash
        abort
        rebuilt
        thereAndBack
        overlap
        splitKeys
        reads
        handover
        unknown
        pause
        loss
        lossLate
        attempts
        inspect
        twice
        three
        abortLoss
        relayout
        change
        handoverRead
    ]

    let private wide = {
        basis with
            Name = "wide"
            Keys = [| lower; upper |]
            Routers = [| "r0"; "r1" |]
            Operations = [| op OpKind.Put 0; op OpKind.Read 1 |> at 1 |]
    }

    let private there = whole [ "b" ]
    let private back = whole [ "a" ]

    let private wideCrash = {
        wide with
            Name = "wide-crash"
            About = "two keys, two routers, there and back, a coordinator lost on the way"
            Goals = [| there; back |]
            Budget = { none with Crashes = 1 }
    }

    let private wideLoss = {
        wideCrash with
            Name = "wide-loss"
            About = "two keys, two routers, there and back, a target's store lost on the way"
            Budget = { none with Losses = 1 }
    }

    let private wideRetry = {
        wide with
            Name = "wide-retry"
            About = "two keys, two routers, undone at every stage, and tried again"
            Goals = [| there; there |]
            Budget = { none with Aborts = 1 }
    }

    let private retryCrash = {
        wideRetry with
            Name = "retry-crash"
            About = "the same, and a coordinator lost on the way"
            Budget = { none with Aborts = 1; Crashes = 1 }
    }

    let private crashLoss = {
        basis with
            Name = "crash-loss"
            About = "two routers, a coordinator and a target's store lost in one run"
            Routers = [| "r0"; "r1" |]
            Operations = [| op OpKind.Put 0; op OpKind.Read 1 |]
            Budget = { none with Crashes = 1; Losses = 1 }
    }

    let private allAtOnce = {
        basis with
            Name = "all-at-once"
            About = "undone and tried again, a coordinator and a target's store lost, all in one run"
            Goals = [| there; there |]
            Operations = [| op OpKind.Put 0 |]
            Budget = {
                none with
                    Crashes = 1
                    Aborts = 1
                    Losses = 1
            }
    }

    let private changeCrash = {
        change with
            Name = "change-crash"
            About = "another writer while the shard moves, and a coordinator lost"
            Budget = { none with Writers = 1; Crashes = 1 }
    }

    let private pair = {
        overlap with
            Name = "pair"
            About = "two copies, one of which stays; two routers, a read beside the write"
            Routers = [| "r0"; "r1" |]
            Operations = [| op OpKind.Put 0; op OpKind.Read 1 |]
    }

    let private pairBack = {
        overlap with
            Name = "pair-back"
            About = "two copies, one of which stays; there and back, a coordinator lost on the way"
            Goals = [| whole [ "b"; "c" ]; whole [ "a"; "b" ] |]
            Budget = { none with Crashes = 1 }
    }

    let private pairRetry = {
        pairBack with
            Name = "pair-retry"
            About = "two copies, one of which stays; undone at every stage, and tried again"
            Goals = [| whole [ "b"; "c" ]; whole [ "b"; "c" ] |]
            Budget = { none with Aborts = 1 }
    }

    let private pairLoss = {
        overlap with
            Name = "pair-loss"
            About = "two copies, one of which stays; a target's store is lost"
            Budget = { none with Losses = 1 }
    }

    let private threeCrash = {
        three with
            Name = "three-crash"
            About = "three copies, two of which stay; a coordinator is lost"
            Budget = { none with Crashes = 1 }
    }

    let private threeLoss = {
        three with
            Name = "three-loss"
            About = "three copies, two of which stay; any store is lost"
            Operations = [||]
            // A member that fails is gone on without after three failures; before that the migration would fall back.
            Limits = { limits with MaxDeltaFailures = 4 }
            Budget = { none with Losses = 1 }
    }

    /// Beside the usual ones.
    let larger = [
        wideCrash
        wideRetry
        pairRetry
        pairLoss
        allAtOnce
        pair
        pairBack
        crashLoss
        splits
        retryCrash
        wideLoss
        changeCrash
        threeCrash
    ]

    let large = usual @ larger

    /// Too many states to see them all: for `--config` with a limit.
    let endless = [
        threeLoss
        {
            wideCrash with
                Name = "endless"
                About = "two keys, two routers, there and back, with an abort, a crash and a loss in one run"
                Budget = {
                    none with
                        Crashes = 1
                        Aborts = 1
                        Losses = 1
                }
        }
    ]

    let all: Setting list = large @ endless

    /// In these the reduced search is held against an unreduced one.
    let smallest = [
        rebuilt
        crash
        abort
        pause
        deletes
        thereAndBack
        reads
        handover
        unknown
        loss
        overlap
    ]
