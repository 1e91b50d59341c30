namespace Miroir.Core

/// A node as placement sees it.
type PlacementNode = {
    Name: string
    /// Failure domain; "" where zones are not used.
    Zone: string
    /// Share of the shards relative to the others; above 0.
    Weight: float
}

/// Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights after Schindelhauer and Schomaker 2005):
/// each shard scores every node, and the best scores own it. Adding or removing a node moves only what must move.
[<RequireQualifiedAccess>]
module Placement =

    /// A shard's score of a node: -weight / ln(u), u in (0, 1) from the hash of both names.
    val score: shard: ShardId -> node: PlacementNode -> float

    /// The `replication` owners of a shard, best first, in different zones as long as there are zones left.
    /// Error where there are fewer nodes than replicas.
    val owners: nodes: PlacementNode[] -> replication: int -> shard: ShardId -> Result<string[], string>
