namespace Miroir.Explorer

open System
open Miroir.Core
open Miroir.Core.Cutover

/// What a node does with what it is asked: the contract of a store, the stamp rules first.
[<RequireQualifiedAccess>]
module Nodes =

    let guid (node: int) (incarnation: int) : Guid =
        Guid(incarnation, int16 node, 0s, Array.zeroCreate 8)

    let private withBarrier (node: NodeState) i epoch (told: RouteRef option) =
        if node.Barriers[i] = epoch && node.Told[i] = told then
            node
        else
            NodeState(Array.updateAt i epoch node.Barriers, Array.updateAt i told node.Told, node.Slots)

    let withSlot (node: NodeState) i (slot: Slot) =
        NodeState(node.Barriers, node.Told, Array.updateAt i slot node.Slots)

    /// The rule of every request. Some: admitted, by the node with its barrier raised where the request is newer.
    let private admit (setting: Setting) (node: NodeState) (stamp: RouteStamp) : NodeState option =
        let i = setting.ShardIndex stamp.Shard

        if stamp.Epoch < node.Barriers[i] then
            if WorldFaults.epochCheckLeftOut () then Some node else None
        elif stamp.Epoch > node.Barriers[i] && not (WorldFaults.raisingLeftOut ()) then
            Some(withBarrier node i stamp.Epoch node.Told[i])
        else
            Some node

    let private toldRoute (told: RouteRef option) = told |> Option.map _.Route

    let put (setting: Setting) (node: NodeState) (stamp: RouteStamp) (store: ShardId) (document: Document) =
        match admit setting node stamp with
        | None ->
            let i = setting.ShardIndex stamp.Shard
            struct (node, StaleEpoch(node.Barriers[i], toldRoute node.Told[i]))
        | Some node ->
            let i = setting.ShardIndex store
            let slot = node.Slots[i]

            if not slot.IsServing then
                struct (node, NotServing)
            else
                let key = setting.Keys |> Array.findIndex (fun k -> k.Equals(box document.Key))

                let apply wasLive =
                    struct (withSlot node i {
                                slot with
                                    Docs = Array.updateAt key (document: Document | null) slot.Docs
                            },
                            Applied wasLive)

                match slot.Docs[key] with
                | null -> apply false
                | stored when
                    Versions.isLater document.Version stored.Version
                    || (WorldFaults.olderOverwrites ()
                        && not (Versions.areSame document.Version stored.Version))
                    ->
                    apply (not stored.IsTombstone)
                | stored -> struct (node, Superseded stored.Version)

    let read (setting: Setting) (node: NodeState) (stamp: RouteStamp) (store: ShardId) (key: int) =
        match admit setting node stamp with
        | None ->
            let i = setting.ShardIndex stamp.Shard
            struct (node, ReadStaleEpoch(node.Barriers[i], toldRoute node.Told[i]))
        | Some node ->
            let slot = node.Slots[setting.ShardIndex store]

            if not slot.IsServing then
                struct (node, ReadNotServing)
            else
                match slot.Docs[key] with
                | null -> struct (node, Absent)
                | document -> struct (node, Found document)

    let raise' (setting: Setting) (at: int) (node: NodeState) (command: BarrierCommand) =
        let i = setting.ShardIndex command.Stamp.Shard

        if command.Stamp.Epoch < node.Barriers[i] then
            struct (node, BarrierAbove node.Barriers[i])
        else
            let told =
                match command.Route, node.Told[i] with
                | Some route, None -> Some(RouteRef.Of route)
                | Some route, Some known when route.Epoch > known.Epoch -> Some(RouteRef.Of route)
                | _, known -> known

            let node = withBarrier node i command.Stamp.Epoch told
            let slot = node.Slots[setting.ShardIndex command.Store]

            struct (node,
                    if slot.IsServing then
                        Confirmed(guid at slot.Incarnation)
                    else
                        ConfirmedNotServing)

    let make (setting: Setting) (at: int) (node: NodeState) (command: MakeCommand) =
        match admit setting node command.Stamp with
        | None -> struct (node, MakeStaleEpoch node.Barriers[setting.ShardIndex command.Stamp.Shard])
        | Some node ->
            let i = setting.ShardIndex command.Store
            let slot = node.Slots[i]

            if slot.IsServing then
                struct (node, Made(guid at slot.Incarnation))
            else
                let incarnation = slot.Incarnation + 1

                struct (withSlot node i {
                            IsServing = true
                            Incarnation = incarnation
                            Migration = command.Migration
                            Docs = Array.create setting.Keys.Length null
                            Lost = [||]
                        },
                        Made(guid at incarnation))

    let drop (setting: Setting) (at: int) (node: NodeState) (command: DropCommand) =
        let isAdmitted =
            if WorldFaults.dropsCarryNoEpoch () then
                Some node
            else
                admit setting node command.Stamp

        match isAdmitted with
        | None -> struct (node, DropStaleEpoch node.Barriers[setting.ShardIndex command.Stamp.Shard])
        | Some node ->
            let i = setting.ShardIndex command.Store
            let slot = node.Slots[i]

            if not slot.IsServing then
                struct (node, AlreadyGone)
            elif
                (command.Incarnation = Guid.Empty
                 || command.Incarnation = guid at slot.Incarnation)
                && (command.Migration = 0L || command.Migration = slot.Migration)
            then
                struct (withSlot node i {
                            slot with
                                IsServing = false
                                Docs = Array.create setting.Keys.Length null
                        },
                        Dropped)
            else
                struct (node, NotTheSame)

    /// A disk is lost: the store, never its barriers.
    let lose (setting: Setting) (node: NodeState) i =
        let slot = node.Slots[i]

        withSlot node i {
            slot with
                IsServing = false
                Docs = Array.create setting.Keys.Length null
                Lost = slot.Docs
        }

    let private failed why =
        ReconcileAnswered(SourceFailed(why, ""))

    /// The first half of a reconcile: it reads its sources. Error: how it ended already.
    let readSources (setting: Setting) (nodes: NodeState[]) (target: string) (command: ReconcileCommand) =
        let at = setting.NodeIndex target

        match admit setting nodes[at] command.Stamp with
        | None ->
            struct (nodes,
                    Error(
                        ReconcileAnswered(
                            ReconcileStaleEpoch nodes[at].Barriers[setting.ShardIndex command.Stamp.Shard]
                        )
                    ))
        | Some node ->
            let nodes = Array.updateAt at node nodes
            let slot = node.Slots[setting.ShardIndex command.Store]

            if not slot.IsServing then
                struct (nodes, Error(ReconcileAnswered ReconcileNotServing))
            else
                let merged: (Document | null)[] = Array.create setting.Keys.Length null
                let mutable nodes = nodes
                let mutable problem = None

                for source in command.Sources do
                    let s = setting.NodeIndex source.Node

                    if problem.IsNone then
                        match admit setting nodes[s] command.Stamp with
                        | None -> problem <- Some(failed source.Node)
                        | Some admitted ->
                            nodes <- Array.updateAt s admitted nodes
                            let held = admitted.Slots[setting.ShardIndex source.Store]

                            if
                                not held.IsServing
                                || (source.Incarnation <> Guid.Empty
                                    && source.Incarnation <> guid s held.Incarnation)
                            then
                                problem <- Some(failed source.Node)
                            else
                                for k in 0 .. merged.Length - 1 do
                                    if command.Range.Contains setting.Keys[k] then
                                        match held.Docs[k], merged[k] with
                                        | null, _ -> ()
                                        | found, _ when found.IsTombstone && WorldFaults.tombstonesNotCopied () -> ()
                                        | found, null -> merged[k] <- found
                                        | found, best when Versions.isLater found.Version best.Version ->
                                            merged[k] <- found
                                        | _ -> ()

                match problem with
                | Some answer -> struct (nodes, Error answer)
                | None -> struct (nodes, Ok(struct (guid at slot.Incarnation, merged)))

    let private complete (incarnation: Guid) : ReconcileProgress = {
        Position = null
        Compared = 0L
        Copied = 0L
        CopiedBytes = 0L
        CopiedTombstones = 0L
        MergeDigest = Digest.Zero
        Watermark = DocumentVersion.Zero
        Incarnation = incarnation
        IsComplete = true
    }

    /// The second half: what was read is put where the target lacks it. With it, how many documents were copied.
    let putCarried
        (setting: Setting)
        (node: NodeState)
        (at: int)
        (command: ReconcileCommand)
        (incarnation: Guid)
        (documents: (Document | null)[])
        =
        match admit setting node command.Stamp with
        | None ->
            struct (node,
                    ReconcileAnswered(ReconcileStaleEpoch node.Barriers[setting.ShardIndex command.Stamp.Shard]),
                    0)
        | Some node ->
            let slot = node.Slots[setting.ShardIndex command.Store]

            if not slot.IsServing || guid at slot.Incarnation <> incarnation then
                struct (node, ReconcileAnswered ReconcileNotServing, 0)
            else
                let mutable node = node
                let mutable copied = 0

                for document in documents do
                    match document with
                    | null -> ()
                    | document ->
                        match put setting node command.Stamp command.Store document with
                        | struct (after, Applied _) ->
                            node <- after
                            copied <- copied + 1
                        | _ -> ()

                struct (node, ReconcileAnswered(Progress(complete incarnation)), copied)
