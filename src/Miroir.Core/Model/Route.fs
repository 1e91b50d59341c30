namespace Miroir.Core

/// How far a shard's move is, as its route says it. protocol.md section 3 has the table of who may do what.
/// Persisted by name in routes and journals: append only.
type Stage =
    /// The owners serve alone.
    | Owned
    /// Puts go to owners and targets; the owners' quorum decides.
    | Copying
    /// Puts go to both, and both quorums decide.
    | Joint
    /// As Joint; bodies and eventual reads come from the targets.
    | Switched
    /// Ended for ever: the targets' own routes serve its keys.
    | Retired

    override this.ToString() =
        match this with
        | Owned -> "Owned"
        | Copying -> "Copying"
        | Joint -> "Joint"
        | Switched -> "Switched"
        | Retired -> "Retired"

    static member Parse(text: string) : Stage voption =
        match text with
        | "Owned" -> ValueSome Owned
        | "Copying" -> ValueSome Copying
        | "Joint" -> ValueSome Joint
        | "Switched" -> ValueSome Switched
        | "Retired" -> ValueSome Retired
        | _ -> ValueNone

/// The one router incarnation that gives versions to a shard's writes.
[<Struct>]
type Writer = {
    /// The router's name; "" where the shard has no writer yet.
    Router: string
    /// Which start of that router: a restart is another one.
    Incarnation: int64
    /// Grows with each change of writer.
    Term: int64
} with

    member this.IsNone = this.Router = ""

    member this.Is(router: string, incarnation: int64) =
        this.Router = router && this.Incarnation = incarnation

/// A shard's route at an epoch: what every request names that it follows, and what a barrier refuses when older.
[<Struct>]
type RouteStamp = {
    Shard: ShardId
    Epoch: int64
} with

    override this.ToString() = $"{this.Shard}@{this.Epoch}"

/// A shard that takes over part or all of a moving shard's range, and the nodes that hold it.
type TargetShard = {
    /// The moving shard itself where only its nodes change, else a shard of the next generation.
    Shard: ShardId
    Range: HashRange
    Nodes: string[]
}

/// One copy of a shard's data: a node and the shard whose file it is in.
[<Struct>]
type Replica = {
    Node: string
    Store: ShardId
} with

    override this.ToString() = $"{this.Node}:{this.Store}"

/// Where the writes and reads of one key go under a route.
type KeyPlan = {
    /// Each set must reach its own write quorum.
    Quorums: Replica[][]
    /// Replicas that get puts but decide nothing (targets while Copying).
    Extra: Replica[]
    /// Where eventual reads are answered from.
    Eventual: Replica[]
}

type Route = {
    Shard: ShardId
    Range: HashRange
    /// Grows with each change of this route.
    Epoch: int64
    Stage: Stage
    Owners: string[]
    /// Where the shard is going; empty while it goes nowhere. Kept in Retired: it says who serves the keys.
    Targets: TargetShard[]
    Writer: Writer
    /// Routes that ended in this one. Its writer raises these barriers too, at a barrier quorum of the
    /// owners, before it writes: nothing of theirs may complete after it has begun.
    Fences: RouteStamp[]
    /// The migration that moves it; 0 where none does.
    Migration: int64
} with

    member this.Stamp: RouteStamp = {
        Shard = this.Shard
        Epoch = this.Epoch
    }

    /// The same shard with another writer: a new epoch, and a term above the last one's.
    member this.WrittenBy(router: string, incarnation: int64) : Route = {
        this with
            Epoch = this.Epoch + 1L
            Writer = {
                Router = router
                Incarnation = incarnation
                Term = this.Writer.Term + (if Mutants.termNotRaised () then 0L else 1L)
            }
    }

    /// The owners as replicas.
    member this.OwnerReplicas: Replica[] = [| for node in this.Owners -> { Node = node; Store = this.Shard } |]

    /// The target that takes the hash over, if the shard is on its way.
    member this.TargetOf(hash: uint64) : TargetShard voption =
        match this.Targets |> Array.tryFind (fun t -> t.Range.Contains hash) with
        | Some target -> ValueSome target
        | None -> ValueNone

    static member TargetReplicas(target: TargetShard) : Replica[] = [|
        for node in target.Nodes -> { Node = node; Store = target.Shard }
    |]

    /// Where a key of this route's range goes. A Retired route serves nothing: the caller follows the target's route.
    member this.Plan(hash: uint64) : KeyPlan =
        let owners = this.OwnerReplicas

        let targets =
            match this.TargetOf hash with
            | ValueSome target -> Route.TargetReplicas target
            | ValueNone -> [||]

        match this.Stage with
        | Owned -> {
            Quorums = [| owners |]
            Extra = [||]
            Eventual = owners
          }
        | Copying -> {
            Quorums = [| owners |]
            Extra = targets
            Eventual = owners
          }
        | Joint
        | Switched when Mutants.jointAcknowledgedByOwners () -> {
            Quorums = [| owners |]
            Extra = targets
            Eventual = owners
          }
        | Joint -> {
            Quorums = [| owners; targets |]
            Extra = [||]
            Eventual = owners
          }
        | Switched -> {
            Quorums = [| owners; targets |]
            Extra = [||]
            Eventual = targets
          }
        | Retired -> {
            Quorums = [||]
            Extra = [||]
            Eventual = [||]
          }

    /// Every set whose write quorum this stage needs, over the whole range: what a change of writer must fence.
    member this.QuorumSets: Replica[][] =
        match this.Stage with
        | Owned
        | Copying -> [| this.OwnerReplicas |]
        | Joint
        | Switched -> [| this.OwnerReplicas; yield! this.Targets |> Array.map Route.TargetReplicas |]
        | Retired -> [||]
