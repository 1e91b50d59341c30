/// What anti-entropy does for shards whose delta pass was skipped, all at once: confirmed owners are merged, targets are
/// given what they lack, and the certificate says who was compared.
module Miroir.Core.Tests.AntiEntropyPass

open System
open Miroir.Core
open Miroir.Core.Cutover
open Miroir.Core.Tests.WorldParts
open Miroir.Core.Tests.World

let private heldAt (world: World) (m: Member) (key: Key) =
    match world.Nodes[m.Replica.Node].Stores[m.Replica.Store].Held.TryGetValue key with
    | true, version -> version
    | _ -> DocumentVersion.Zero

/// It is up, admits the epoch, and has the store that the migration knows.
let private answers (world: World) (stamp: RouteStamp) (m: Member) =
    let node = world.Nodes[m.Replica.Node]

    m.Incarnation <> Guid.Empty
    && node.IsUp
    && node.Admits stamp
    && (match node.Stores.TryGetValue m.Replica.Store with
        | true, store -> store.Incarnation = m.Incarnation
        | _ -> false)

let private certificate (world: World) (keys: Key[]) (state: State) (move: Move) (at: int) : Certificate option =
    let route = state.Routes[move.Source]
    let target = move.Targets[at]
    let there = Array.filter (answers world route.Stamp)
    let sources = move.Owners |> Array.filter (fun m -> m.Is(Fencing, Done)) |> there
    let holders = there move.Takers[at]

    if
        sources.Length < Quorum.barrier move.Owners.Length
        || holders.Length < Quorum.write move.Takers[at].Length
    then
        None
    else
        let mutable copied = 0L

        for key in keys do
            if route.Range.Contains key && target.Range.Contains key then
                let merged = sources |> Array.map (fun m -> heldAt world m key) |> Array.max

                for m in holders do
                    if merged > heldAt world m key then
                        world.Nodes[m.Replica.Node].Stores[m.Replica.Store].Held[ key ] <- merged
                        copied <- copied + 1L

        let named = Array.map (fun (m: Member) -> m.Replica, m.Incarnation)

        Some {
            Target = target.Shard
            JointEpoch = move.JointEpoch
            Holders = named holders
            Sources = named sources
            Entries = int64 keys.Length
            Copied = copied
            Digest = Digest.Zero
            Watermark = DocumentVersion.Zero
        }

/// The orders that release what can be compared now.
let run (world: World) (keys: Key[]) (state: State) : Order list = [
    for move in state.Moves do
        if move.Step = Holding && move.Certificates.Length < move.Targets.Length then
            for at in 0 .. move.Targets.Length - 1 do
                match certificate world keys state move at with
                | Some proof -> Certify(move.Source, proof)
                | None -> ()
]

/// The same order with a certificate that proves nothing: of an earlier Joint, of too few on either side, or of a store
/// that is another one by now.
let forgeries (order: Order) : Order list =
    match order with
    | Certify(source, proof) -> [
        for forged in
            [
                {
                    proof with
                        JointEpoch = proof.JointEpoch - 1L
                }
                { proof with Holders = [||] }
                { proof with Sources = [||] }
                {
                    proof with
                        Holders =
                            proof.Holders
                            |> Array.map (fun (holder, _) -> holder, Guid(1, 2s, 3s, Array.zeroCreate 8))
                }
            ] do
            Certify(source, forged)
      ]
    | _ -> []
