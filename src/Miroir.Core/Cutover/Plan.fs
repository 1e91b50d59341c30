namespace Miroir.Core.Cutover

open System
open Miroir.Core

/// Bounds and choices of one migration, fixed when it starts but for what `reshard set` changes.
type Limits = {
    /// Documents per second over the whole migration; 0: unlimited.
    Throttle: int
    /// Copy streams that run at once.
    MaxCopies: int
    /// Source shards between Copying and Switched at once: the sliver of the key space in Joint.
    MaxJoint: int
    /// Source shards that retire at once.
    MaxRetiring: int
    /// Longest wait for the Joint barrier, ms.
    DrainTimeoutMs: int
    /// How long to stay in Switched after the last shard got there, ms.
    RetainSourceMs: int
    /// First pause before a failed effect is tried again, ms; doubles up to MaxRetryMs.
    RetryMs: int
    MaxRetryMs: int
    /// Failures in a row of one delta pass or check before its shard falls back to Copying.
    MaxDeltaFailures: int
    /// Failures in a row of a drop before it is left for `doctor`.
    MaxDropFailures: int
    /// Whether a drain waits for the writes that began under an older epoch as well.
    AwaitWrites: bool
    /// Switches without comparing: what the dual-writes missed is left to anti-entropy, and the source is kept until
    /// that has certified every shard.
    SkipDeltaPass: bool
    /// Whether anti-entropy runs for this migration to count on.
    AntiEntropy: bool
} with

    static member Default = {
        Throttle = 10000
        MaxCopies = 4
        MaxJoint = 2
        MaxRetiring = 4
        DrainTimeoutMs = 30000
        RetainSourceMs = 0
        RetryMs = 50
        MaxRetryMs = 2000
        MaxDeltaFailures = 12
        MaxDropFailures = 12
        AwaitWrites = true
        SkipDeltaPass = false
        AntiEntropy = true
    }

    /// What one migration begins with: `throttle` and the wish to skip come with its command.
    member this.For(throttle: int, skipDeltaPass: bool) : Limits = {
        this with
            Throttle = throttle
            SkipDeltaPass = this.SkipDeltaPass || skipDeltaPass
    }

    /// The defaults, with what an operator configures.
    static member Configured
        (drainTimeoutMs: int, retainSourceMs: int, skipDeltaPass: bool, antiEntropy: bool)
        : Limits = {
        Limits.Default with
            DrainTimeoutMs = drainTimeoutMs
            RetainSourceMs = retainSourceMs
            SkipDeltaPass = skipDeltaPass
            AntiEntropy = antiEntropy
    }

    /// Nothing compares this migration's copies before its sources are deleted.
    member this.IsUnproven = this.SkipDeltaPass && not this.AntiEntropy

    /// What an operator ought to know before it starts.
    member this.Warnings: string[] = [|
        if not this.AntiEntropy then
            "anti-entropy is off: the delta pass alone finds what the dual-writes missed, and nothing looks again afterwards"
        elif this.SkipDeltaPass then
            "the delta pass is skipped: eventual reads of the targets may miss documents until anti-entropy has compared them, and the source is kept until then"
    |]

/// One source shard's part of a plan.
type PlannedMove = {
    /// Its route when the migration began.
    Route: Route
    /// What takes its range over, in order of range.
    Targets: TargetShard[]
}

/// A migration as it was computed from what the metadata said.
type Plan = {
    Migration: int64
    Index: IndexInfo
    To: LayoutInfo
    Moves: PlannedMove[]
    Limits: Limits
} with

    /// True where only nodes change: the shards stay what they are.
    member this.KeepsLayout = this.To.Generation = this.Index.Layout.Generation

/// Why a command or an observation is refused; nothing has changed. `Code` is stable.
type Rejection = {
    Code: string
    Message: string
} with

    /// The delta pass is skipped, and anti-entropy is off.
    static member UnsafeCutover = {
        Code = "UnsafeCutoverNoAntiEntropy"
        Message =
            "without the delta pass only anti-entropy would find what a cutover missed, and it is off: leave the delta pass in, or turn anti-entropy on"
    }

[<RequireQualifiedAccess>]
module Planning =

    let private nodesOf (plan: PlannedMove[]) (pick: PlannedMove -> string seq) =
        plan
        |> Seq.collect pick
        |> Seq.distinct
        |> Seq.sortWith (fun a b -> String.CompareOrdinal(a, b))
        |> Seq.toArray

    /// Nodes that hold the shards now.
    let oldNodes (moves: PlannedMove[]) : string[] = nodesOf moves (fun m -> m.Route.Owners)

    /// Nodes that hold them afterwards.
    let newNodes (moves: PlannedMove[]) : string[] =
        nodesOf moves (fun m -> m.Targets |> Seq.collect _.Nodes)

    /// Where an index's shards go when it is cut into `newShards` (0: as many as now) over the nodes that take
    /// shards. With the same count the layout stays, and only shards whose owners change move (rebalancing).
    let compute
        (migration: int64)
        (index: IndexInfo)
        (routes: Route[])
        (nodes: NodeInfo[])
        (newShards: int)
        (limits: Limits)
        : Result<Plan, Rejection> =
        let shardCount = if newShards = 0 then index.Layout.ShardCount else newShards

        let takers = NodeInfo.Takers nodes

        let layout =
            if shardCount = index.Layout.ShardCount then
                index.Layout
            else
                {
                    Generation = index.LastGeneration + 1
                    ShardCount = shardCount
                }

        let target (shard: int) =
            let id = {
                Index = index.Uid
                Generation = layout.Generation
                Shard = shard
            }

            Placement.owners takers index.Replication id
            |> Result.map (fun nodes -> {
                Shard = id
                Range = Layout.range shardCount shard
                Nodes = nodes
            })

        let rec all shard acc =
            if shard = shardCount then
                Ok(acc |> List.rev |> Array.ofList)
            else
                match target shard with
                | Ok t -> all (shard + 1) (t :: acc)
                | Error why -> Error why

        if newShards < 0 || newShards > Layout.MaxShards then
            Error {
                Code = "invalid_shard_count"
                Message = $"new shards must be 1 to {Layout.MaxShards}, not {newShards}"
            }
        elif limits.IsUnproven && not (Mutants.skipDeltaGateLeftOut ()) then
            Error Rejection.UnsafeCutover
        elif routes |> Array.exists (fun r -> r.Stage <> Owned || r.Migration <> 0L) then
            Error {
                Code = "migration_overlap"
                Message =
                    $"index '{index.Uid}' is moving already: wait for that migration, or abort it ('reshard list' shows it)"
            }
        else
            match all 0 [] with
            | Error why -> Error { Code = "no_placement"; Message = why }
            | Ok targets ->
                let moves =
                    routes
                    |> Array.choose (fun route ->
                        let struct (first, last) = Layout.overlapping shardCount route.Range
                        let taken = targets[first..last]

                        let stays =
                            taken.Length = 1
                            && taken[0].Shard = route.Shard
                            && Set.ofArray taken[0].Nodes = Set.ofArray route.Owners

                        if stays then
                            None
                        else
                            Some { Route = route; Targets = taken })

                if Array.isEmpty moves then
                    Error {
                        Code = "nothing_to_move"
                        Message =
                            $"index '{index.Uid}' already has {shardCount} shards, each on the nodes that placement picks: nothing would move"
                    }
                else
                    Ok {
                        Migration = migration
                        Index = index
                        To = layout
                        Moves = moves
                        Limits = limits
                    }
