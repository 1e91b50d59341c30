/// Arbitrary values of the model, well formed one by one but not with each other.
module Miroir.Core.Tests.Arbitrary

open System
open FsCheck
open FsCheck.FSharp
open Miroir.Core
open Miroir.Core.Cutover

let text: Gen<string> =
    Gen.elements [ ""; "a"; "n1"; "books"; "ü\"\\/<>&'"; "語😀"; "\u0000\t\n"; String('x', 300) ]

let name: Gen<string> = Gen.elements [ "a"; "b"; "node-3"; "ö"; "books" ]

let uint64: Gen<uint64> =
    Gen.oneof [
        Gen.elements [ 0UL; 1UL; UInt64.MaxValue; 1UL <<< 63; 0x8000_0000UL ]
        Gen.map2
            (fun (a: int) (b: int) -> (uint64 (uint32 a) <<< 32) ||| uint64 (uint32 b))
            (Gen.choose (Int32.MinValue, Int32.MaxValue))
            (Gen.choose (Int32.MinValue, Int32.MaxValue))
    ]

let int64: Gen<int64> = uint64 |> Gen.map (fun n -> int64 (n >>> 1))

let int: Gen<int> =
    Gen.oneof [ Gen.elements [ 0; 1; Int32.MaxValue ]; Gen.choose (0, 1000) ]

let bool: Gen<bool> = Gen.elements [ true; false ]

let few (item: Gen<'T>) : Gen<'T[]> =
    Gen.choose (0, 3) |> Gen.bind (fun n -> Gen.arrayOfLength n item)

let guid: Gen<Guid> =
    Gen.oneof [
        Gen.constant Guid.Empty
        Gen.choose (0, 255) |> Gen.arrayOfLength 16 |> Gen.map (Array.map byte >> Guid)
    ]

let shard: Gen<ShardId> =
    gen {
        let! index = text
        let! generation = int
        let! number = int

        return {
            Index = index
            Generation = generation
            Shard = number
        }
    }

let range: Gen<HashRange> =
    Gen.map2 (fun lo hi -> { Lo = lo; Hi = hi }) uint64 uint64

let target: Gen<TargetShard> =
    Gen.map3
        (fun shard range nodes -> {
            Shard = shard
            Range = range
            Nodes = nodes
        })
        shard
        range
        (few text)

let stage: Gen<Stage> =
    Gen.elements [ Owned; Stage.Copying; Joint; Switched; Retired ]

let route: Gen<Route> =
    gen {
        let! shard' = shard
        let! range = range
        let! epoch = int64
        let! stage = stage
        let! owners = few text
        let! targets = few target
        let! router = text
        let! incarnation = int64
        let! term = int64

        let! fences =
            few (Gen.map2 (fun shard epoch -> ({ Shard = shard; Epoch = epoch }: RouteStamp)) shard int64)

        let! migration = int64

        return {
            Shard = shard'
            Range = range
            Epoch = epoch
            Stage = stage
            Owners = owners
            Targets = targets
            Writer = {
                Router = router
                Incarnation = incarnation
                Term = term
            }
            Fences = fences
            Migration = migration
        }
    }

let index: Gen<IndexInfo> =
    gen {
        let! uid = text
        let! primaryKey = text
        let! numbers = Gen.arrayOfLength 4 int
        let! times = Gen.arrayOfLength 2 int64

        return {
            Uid = uid
            PrimaryKey = primaryKey
            Replication = numbers[0]
            Layout = {
                Generation = numbers[1]
                ShardCount = numbers[2]
            }
            LastGeneration = numbers[3]
            CreatedAtUnixMs = times[0]
            UpdatedAtUnixMs = times[1]
        }
    }

let node: Gen<NodeInfo> =
    gen {
        let! name = text
        let! address = text
        let! zone = text
        let! weight = Gen.elements [ 1.0; 0.1; 1e-300; 1e300; 1.0 / 3.0 ]
        let! capacity = int64
        let! role = Gen.elements [ Active; NodeRole.Draining ]

        return {
            Name = name
            Address = address
            Zone = zone
            Weight = weight
            CapacityBytes = capacity
            Role = role
        }
    }

let router: Gen<RouterInfo> =
    gen {
        let! name = text
        let! address = text
        let! incarnation = int64
        let! number = int

        return {
            Name = name
            Address = address
            Incarnation = incarnation
            Number = number
        }
    }

let table: Gen<TableUpdate> =
    gen {
        let! revision = int64
        let! isFull = bool
        let! indexes = few index
        let! removedIndexes = few text
        let! routes = few route
        let! removedRoutes = few shard
        let! nodes = few node
        let! removedNodes = few text
        let! routers = few router
        let! removedRouters = few text

        return {
            Revision = revision
            IsFull = isFull
            Indexes = indexes
            RemovedIndexes = removedIndexes
            Routes = routes
            RemovedRoutes = removedRoutes
            Nodes = nodes
            RemovedNodes = removedNodes
            Routers = routers
            RemovedRouters = removedRouters
        }
    }

let progress: Gen<ReconcileProgress> =
    gen {
        let! position = Gen.optionOf name
        let! counts = Gen.arrayOfLength 6 int64
        let! digest = Gen.map2 (fun a b -> { A = a; B = b }) uint64 uint64
        let! incarnation = guid
        let! isComplete = bool

        return {
            Position =
                match position with
                | Some name -> Key.Of name
                | None -> null
            Compared = counts[0]
            Copied = counts[1]
            CopiedBytes = counts[2]
            CopiedTombstones = counts[3]
            MergeDigest = digest
            Watermark = { Term = counts[4]; Clock = counts[5] }
            Incarnation = incarnation
            IsComplete = isComplete
        }
    }

let refusal: Gen<Refusal> =
    Gen.map2
        (fun code message -> { Code = code; Message = message })
        (Gen.elements (Enum.GetValues<RefusalCode>()))
        text

let answer: Gen<Answer> =
    Gen.oneof [
        Gen.elements [
            Published
            PublishConflict
            BarrierAnswered ConfirmedNotServing
            ReconcileAnswered ReconcileNotServing
            DropAnswered Dropped
            DropAnswered AlreadyGone
            DropAnswered NotTheSame
            Elapsed
        ]
        text |> Gen.map PublishUnknown
        text |> Gen.map Unreachable
        few (Gen.optionOf route) |> Gen.map Inspected
        guid |> Gen.map (Made >> MakeAnswered)
        int64 |> Gen.map (MakeStaleEpoch >> MakeAnswered)
        refusal |> Gen.map (MakeRefused >> MakeAnswered)
        guid |> Gen.map (Confirmed >> BarrierAnswered)
        int64 |> Gen.map (BarrierAbove >> BarrierAnswered)
        refusal |> Gen.map (BarrierRefused >> BarrierAnswered)
        progress |> Gen.map Progressed
        progress |> Gen.map (Progress >> ReconcileAnswered)
        int64 |> Gen.map (ReconcileStaleEpoch >> ReconcileAnswered)
        Gen.map2 (fun node why -> ReconcileAnswered(SourceFailed(node, why))) name text
        refusal |> Gen.map (ReconcileRefused >> ReconcileAnswered)
        int64 |> Gen.map (DropStaleEpoch >> DropAnswered)
        refusal |> Gen.map (DropRefused >> DropAnswered)
        Gen.map2 (fun count oldest -> WritesOpen { Count = count; OldestMs = oldest }) int int64
    ]

let private stores: Gen<(Replica * Guid)[]> =
    Gen.map3 (fun node store incarnation -> { Node = node; Store = store }, incarnation) name shard guid
    |> Gen.arrayOf

let certificate: Gen<Certificate> =
    gen {
        let! target = shard
        let! holders = stores
        let! sources = stores
        let! entries = int64
        let! a = uint64
        let! b = uint64

        return {
            Target = target
            JointEpoch = entries + 1L
            Holders = holders
            Sources = sources
            Entries = entries
            Copied = entries / 2L
            Digest = { A = a; B = b }
            Watermark = { Term = entries; Clock = entries }
        }
    }

let order: Gen<Order> =
    Gen.oneof [
        Gen.elements [ Order.Cutover; Pause; Resume ]
        text |> Gen.map Order.Abort
        Gen.map2 (fun throttle drain -> Tune(throttle, drain)) (Gen.choose (-1, 1000)) (Gen.choose (-1, 100_000))
        Gen.map2 (fun shard certificate -> Certify(shard, certificate)) shard certificate
        Gen.map3 (fun shard router incarnation -> AssignWriter(shard, router, incarnation)) shard text int64
    ]

let limits: Gen<Limits> =
    Gen.arrayOfLength 10 int
    |> Gen.map (fun n -> {
        Throttle = n[0]
        MaxCopies = n[1]
        MaxJoint = n[2]
        MaxRetiring = n[3]
        DrainTimeoutMs = n[4]
        RetainSourceMs = n[5]
        RetryMs = n[6]
        MaxRetryMs = n[7]
        MaxDeltaFailures = n[8]
        MaxDropFailures = n[9]
        AwaitWrites = n[0] % 2 = 0
        SkipDeltaPass = n[1] % 2 = 0
        AntiEntropy = n[2] % 2 = 0
    })

let plan: Gen<Plan> =
    gen {
        let! migration = int64
        let! index = index
        let! generation = int
        let! shards = int

        let! moves =
            few (Gen.map2 (fun route targets -> { Route = route; Targets = targets }) route (few target))

        let! limits = limits

        return {
            Migration = migration
            Index = index
            To = {
                Generation = generation
                ShardCount = shards
            }
            Moves = moves
            Limits = limits
        }
    }

let observation: Gen<Observation> =
    gen {
        let! at = int64

        let! event =
            Gen.frequency [
                1, plan |> Gen.map Started
                4, Gen.map2 (fun sequence answer -> Answered(sequence, answer)) int64 answer
                2, order |> Gen.map Ordered
            ]

        return { AtUnixMs = at; Event = event }
    }
