namespace Miroir.Explorer

open Miroir.Core

/// Whether what clients saw of one key has a sequential explanation (Wing and Gong's search; with Lowe's cut it would
/// remember what it tried, which a handful of operations does not need).
[<RequireQualifiedAccess>]
module History =

    let private after (script: Script) (value: int) =
        match script.Kind with
        | Put -> 1 <<< script.Mark
        | Merge -> value ||| (1 <<< script.Mark)
        | Delete -> 0
        | Read -> value

    /// Completed operations must all fit; those that are open or unknown may have happened or not. `last`: what a read
    /// that begins now, after everything, would answer (-1: none is asked for).
    let isLinearizable (setting: Setting) (ops: Op[]) (key: int) (last: int) : bool =
        let mine = ResizeArray<int>()
        let mutable mustHave = 0

        for i in 0 .. ops.Length - 1 do
            let op = ops[i]

            if setting.Operations[i].Key = key && op.Phase <> Phase.Idle then
                let isRead = setting.Operations[i].Kind = Read

                if op.Phase = Phase.Acknowledged || op.Phase = Phase.Answered then
                    mine.Add i
                    mustHave <- mustHave ||| (1 <<< i)
                elif not isRead then
                    mine.Add i

        let rec search (placed: int) (value: int) : bool =
            if placed &&& mustHave = mustHave && (last < 0 || last = value) then
                true
            else
                let mutable found = false
                let mutable m = 0

                while not found && m < mine.Count do
                    let i = mine[m]
                    m <- m + 1

                    if placed &&& (1 <<< i) = 0 then
                        let op = ops[i]

                        // Everything answered before this one began comes before it.
                        let mayBeNext = op.Before &&& mustHave &&& ~~~placed = 0

                        if mayBeNext then
                            let script = setting.Operations[i]

                            if script.Kind <> Read || op.Value = value then
                                found <- search (placed ||| (1 <<< i)) (after script value)

                found

        search 0 setting.Before

    /// What a confirmed read that began now under the published route could answer, asking those alone who agree:
    /// its marks, or -1 where nothing is confirmed.
    let confirmedNow (setting: Setting) (nodes: NodeState[]) (route: Route) (key: int) : int =
        let plan = route.Plan setting.Keys[key].Hash

        let serving (r: Replica) =
            nodes[setting.NodeIndex r.Node].Slots[setting.ShardIndex r.Store]

        let isUnder (r: Replica) =
            nodes[setting.NodeIndex r.Node].Barriers[setting.ShardIndex route.Shard]
            <= route.Epoch

        let versionOf (d: Document | null) =
            match d with
            | null -> DocumentVersion.Zero
            | d -> d.Version

        let mutable answer = -1

        if plan.Quorums.Length > 0 then
            for candidate in plan.Quorums[0] do
                let slot = serving candidate

                if answer < 0 && slot.IsServing && isUnder candidate then
                    let document = slot.Docs[key]
                    let version = versionOf document

                    let holds (r: Replica) =
                        let s = serving r
                        s.IsServing && isUnder r && Versions.areSame (versionOf s.Docs[key]) version

                    if
                        plan.Quorums
                        |> Array.forall (fun set -> (set |> Array.filter holds).Length >= Quorum.write set.Length)
                    then
                        answer <-
                            match document with
                            | null -> 0
                            | d -> Encode.marks d

        answer

    /// The route that serves a key by the metadata.
    let servedBy (setting: Setting) (published: RouteRef option[]) (key: int) : RouteRef option =
        let hash = setting.Keys[key].Hash

        // Old layouts come first in the list of shards.
        published
        |> Array.tryPick (fun p ->
            match p with
            | Some r when r.Route.Stage <> Retired && r.Route.Range.Contains hash -> p
            | _ -> None)
