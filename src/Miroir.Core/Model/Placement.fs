namespace Miroir.Core

open System
open System.Text

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
    let score (shard: ShardId) (node: PlacementNode) : float =
        // The generation is left out, so that a layout of the same count keeps its shards where they are.
        let name =
            Encoding.UTF8.GetBytes $"{node.Name.Length}:{node.Name}|{shard.Index}|{shard.Shard}"

        let hash = XxHash64.hash 0x706C616365UL (ReadOnlySpan name)
        let u = (float (hash >>> 11) + 0.5) / float (1UL <<< 53)
        -node.Weight / Math.Log u

    /// The `replication` owners of a shard, best first, in different zones as long as there are zones left.
    /// Error where there are fewer nodes than replicas.
    let owners (nodes: PlacementNode[]) (replication: int) (shard: ShardId) : Result<string[], string> =
        if replication < 1 then
            Error $"replication must be 1 or more, not {replication}"
        elif nodes.Length < replication then
            Error
                $"replication {replication} needs {replication} nodes that take shards, and there are {nodes.Length}: add nodes or lower it"
        else
            let ranked =
                nodes
                |> Array.sortWith (fun a b ->
                    match compare (score shard b) (score shard a) with
                    | 0 -> String.CompareOrdinal(a.Name, b.Name)
                    | order -> order)

            let chosen = ResizeArray<PlacementNode>()

            // First pass takes the best node of each zone not yet used, the second whoever is best of the rest.
            for node in ranked do
                if
                    chosen.Count < replication
                    && (node.Zone = "" || chosen.TrueForAll(fun c -> c.Zone <> node.Zone))
                then
                    chosen.Add node

            for node in ranked do
                if chosen.Count < replication && not (chosen.Contains node) then
                    chosen.Add node

            Ok [| for node in chosen -> node.Name |]
