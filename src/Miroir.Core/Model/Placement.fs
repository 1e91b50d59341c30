namespace Miroir.Core

open System
open System.Text

type PlacementNode = {
    Name: string
    Zone: string
    Weight: float
}

[<RequireQualifiedAccess>]
module Placement =

    let score (shard: ShardId) (node: PlacementNode) : float =
        // The generation is left out, so that a layout of the same count keeps its shards where they are.
        let name =
            Encoding.UTF8.GetBytes $"{node.Name.Length}:{node.Name}|{shard.Index}|{shard.Shard}"

        let hash = XxHash64.hash 0x706C616365UL (ReadOnlySpan name)
        let u = (float (hash >>> 11) + 0.5) / float (1UL <<< 53)
        -node.Weight / Math.Log u

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
