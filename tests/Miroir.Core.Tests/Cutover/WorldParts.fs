/// What the pure world of a migration is made of.
module Miroir.Core.Tests.WorldParts


open System
open System.Collections.Generic
open Miroir.Core
open Miroir.Core.Cutover

type Store = {
    Incarnation: Guid
    Migration: int64
    Held: Dictionary<Key, DocumentVersion>
}

type Node(name: string) =
    member _.Name = name
    member val Barriers = Dictionary<ShardId, int64>()
    member val Stores = Dictionary<ShardId, Store>()
    member val IsUp = true with get, set

    /// The rule of every request: refused under an older epoch than the barrier's, raising it under a newer one.
    member this.Admits(stamp: RouteStamp) =
        match this.Barriers.TryGetValue stamp.Shard with
        | true, epoch when epoch > stamp.Epoch -> false
        | _ ->
            this.Barriers[stamp.Shard] <- stamp.Epoch
            true

    member this.Barrier(shard: ShardId) =
        match this.Barriers.TryGetValue shard with
        | true, epoch -> epoch
        | _ -> 0L

/// A client's write of one version, with the answers it has had.
[<ReferenceEquality>]
type Write = {
    Route: Route
    Key: Key
    Version: DocumentVersion
    Holding: HashSet<Replica>
    mutable IsAcknowledged: bool
}

/// A copy or a delta pass as a node performs it: key by key, with everything else going on in between.
[<ReferenceEquality>]
type Stream = {
    Command: ReconcileCommand
    Target: string
    Incarnation: Guid
    Keys: Queue<Key>
    mutable Last: Key | null
    mutable Compared: int64
    mutable Copied: int64
}

/// Something on its way.
[<ReferenceEquality>]
type Flight =
    | Request of Effect
    | Pass of sequence: int64 * Stream
    | Reply of sequence: int64 * Answer
    | Put of Write * Replica

type Faults = {
    /// Percent of flights that are repeated.
    Repeat: int
    /// Percent of requests and replies that are lost: the answer is Unreachable.
    Lose: int
}
