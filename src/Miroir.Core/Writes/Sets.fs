namespace Miroir.Core

open System

/// Counting over the replica sets of a plan. A replica in two sets is asked once and counts in each.
module internal Sets =

    let same (a: Replica) (b: Replica) =
        String.Equals(a.Node, b.Node)
        && a.Store.Shard = b.Store.Shard
        && a.Store.Generation = b.Store.Generation
        && String.Equals(a.Store.Index, b.Store.Index)

    /// Position of a replica, or -1.
    let indexOf (replicas: Replica[]) (replica: Replica) =
        let mutable i = 0

        while i < replicas.Length && not (same replicas[i] replica) do
            i <- i + 1

        if i < replicas.Length then i else -1

    /// Every replica once, in the order of the sets.
    let distinct (sets: Replica[][]) (extra: Replica[]) : Replica[] =
        if sets.Length = 1 && extra.Length = 0 then
            sets[0]
        else
            let all = ResizeArray<Replica>()

            let add (replica: Replica) =
                if not (all.Exists(fun known -> same known replica)) then
                    all.Add replica

            for set in sets do
                for replica in set do
                    add replica

            for replica in extra do
                add replica

            all.ToArray()

    /// How many members of a set have a property; `replicas` are those that `has` knows by position.
    let count (set: Replica[]) (replicas: Replica[]) (has: int -> bool) : int =
        let mutable n = 0

        for replica in set do
            let i = indexOf replicas replica

            if i >= 0 && has i then
                n <- n + 1

        n

    /// Whether each set has as many members with a property as its size asks for. No sets: never.
    let everySet (sets: Replica[][]) (need: int -> int) (replicas: Replica[]) (has: int -> bool) : bool =
        sets.Length > 0
        && Array.forall (fun (set: Replica[]) -> set.Length > 0 && count set replicas has >= need set.Length) sets

/// Orders of versions, without the cost of generic comparison.
module internal Versions =

    let isLater (a: DocumentVersion) (b: DocumentVersion) =
        a.Term > b.Term || (a.Term = b.Term && a.Clock > b.Clock)

    let areSame (a: DocumentVersion) (b: DocumentVersion) = a.Term = b.Term && a.Clock = b.Clock
