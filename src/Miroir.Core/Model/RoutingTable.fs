namespace Miroir.Core

open System
open System.Collections.Generic

/// A cut of an index into shards, by generation.
[<Struct>]
type LayoutInfo = { Generation: int; ShardCount: int }

/// An index as the metadata know it.
type IndexInfo = {
    Uid: string
    /// The field that holds a document's id; "" until the first document decides it.
    PrimaryKey: string
    /// Nodes that hold each shard.
    Replication: int
    /// The layout that keys are looked up in first.
    Layout: LayoutInfo
    /// The highest generation ever used, aborted migrations included: never used again.
    LastGeneration: int
    CreatedAtUnixMs: int64
    UpdatedAtUnixMs: int64
} with

    /// Cut otherwise. A generation once spent stays spent.
    member this.WithLayout(layout: LayoutInfo, lastGeneration: int, atUnixMs: int64) : IndexInfo = {
        this with
            Layout = layout
            LastGeneration = max this.LastGeneration lastGeneration
            UpdatedAtUnixMs = atUnixMs
    }

    /// A generation is spent, whatever becomes of it.
    member this.Spending(generation: int) : IndexInfo =
        this.WithLayout(this.Layout, generation, this.UpdatedAtUnixMs)

    member this.WithPrimaryKey(field: string, atUnixMs: int64) : IndexInfo = {
        this with
            PrimaryKey = field
            UpdatedAtUnixMs = atUnixMs
    }

/// Whether a node takes shards.
type NodeRole =
    | Active
    /// Takes no new shards.
    | Draining

    override this.ToString() =
        match this with
        | Active -> "Active"
        | Draining -> "Draining"

type NodeInfo = {
    Name: string
    /// Base address of its wire, such as http://127.0.0.1:7001.
    Address: string
    Zone: string
    Weight: float
    /// Bytes it may hold; 0 where none is given.
    CapacityBytes: int64
    Role: NodeRole
} with

    /// The nodes that new shards may be placed on.
    static member Takers(nodes: NodeInfo[]) : PlacementNode[] =
        nodes
        |> Array.filter (fun node -> node.Role = Active)
        |> Array.map (fun node -> {
            Name = node.Name
            Zone = node.Zone
            Weight = node.Weight
        })

type RouterInfo = {
    Name: string
    Address: string
    /// Which start of it is the live one.
    Incarnation: int64
    /// A small number that is its own for ever: task ids carry it.
    Number: int
}

/// A change of the table since a revision, or all of it.
type TableUpdate = {
    /// The revision that the table has with this update.
    Revision: int64
    /// True: forget everything older.
    IsFull: bool
    Indexes: IndexInfo[]
    RemovedIndexes: string[]
    Routes: Route[]
    RemovedRoutes: ShardId[]
    Nodes: NodeInfo[]
    RemovedNodes: string[]
    Routers: RouterInfo[]
    RemovedRouters: string[]
}

/// What a router knows of the cluster: an immutable snapshot, replaced whole (copy on write).
[<Sealed>]
type RoutingTable
    private
    (
        revision: int64,
        indexes: Dictionary<string, IndexInfo>,
        routes: Dictionary<ShardId, Route>,
        nodes: Dictionary<string, NodeInfo>,
        routers: Dictionary<string, RouterInfo>
    ) =

    static member Empty =
        RoutingTable(
            0L,
            Dictionary(StringComparer.Ordinal),
            Dictionary(),
            Dictionary(StringComparer.Ordinal),
            Dictionary(StringComparer.Ordinal)
        )

    member _.Revision = revision

    /// In ordinal order of their names.
    member _.Indexes: IndexInfo[] =
        indexes.Values
        |> Seq.sortWith (fun a b -> String.CompareOrdinal(a.Uid, b.Uid))
        |> Seq.toArray

    /// In order of index, generation and shard.
    member _.Routes: Route[] =
        routes.Values
        |> Seq.sortWith (fun a b ->
            match String.CompareOrdinal(a.Shard.Index, b.Shard.Index) with
            | 0 -> compare (a.Shard.Generation, a.Shard.Shard) (b.Shard.Generation, b.Shard.Shard)
            | order -> order)
        |> Seq.toArray

    member _.Nodes: NodeInfo[] =
        nodes.Values
        |> Seq.sortWith (fun a b -> String.CompareOrdinal(a.Name, b.Name))
        |> Seq.toArray

    member _.Routers: RouterInfo[] =
        routers.Values
        |> Seq.sortWith (fun a b -> String.CompareOrdinal(a.Name, b.Name))
        |> Seq.toArray

    member _.TryIndex(uid: string) : IndexInfo voption =
        match indexes.TryGetValue uid with
        | true, index -> ValueSome index
        | _ -> ValueNone

    member _.TryRoute(shard: ShardId) : Route voption =
        match routes.TryGetValue shard with
        | true, route -> ValueSome route
        | _ -> ValueNone

    member _.TryNode(name: string) : NodeInfo voption =
        match nodes.TryGetValue name with
        | true, node -> ValueSome node
        | _ -> ValueNone

    member _.TryRouter(name: string) : RouterInfo voption =
        match routers.TryGetValue name with
        | true, router -> ValueSome router
        | _ -> ValueNone

    /// The route that serves a key hash of an index now: its shard's in the current layout, or, where that one
    /// has retired, the route of the target that took the hash over. ValueNone: not known (yet) at this revision.
    member this.Resolve(uid: string, hash: uint64) : Route voption =
        let rec follow (shard: ShardId) (hops: int) =
            match routes.TryGetValue shard with
            | true, route when route.Stage <> Retired -> ValueSome route
            | true, route when hops > 0 ->
                match route.TargetOf hash with
                | ValueSome target -> follow target.Shard (hops - 1)
                | ValueNone -> ValueNone
            | _ -> ValueNone

        match indexes.TryGetValue uid with
        | true, index ->
            follow
                {
                    Index = uid
                    Generation = index.Layout.Generation
                    Shard = Layout.shardOf index.Layout.ShardCount hash
                }
                // A migration ends before the next one of the same shards begins: one hop is the rule.
                2
        | _ -> ValueNone

    /// The table with an update applied. A route is never replaced by one of an older epoch.
    member _.Apply(update: TableUpdate) : RoutingTable =
        let copy (source: Dictionary<'k, 'v>) =
            if update.IsFull then
                Dictionary<'k, 'v>(source.Comparer)
            else
                Dictionary<'k, 'v>(source, source.Comparer)

        let indexes' = copy indexes
        let routes' = copy routes
        let nodes' = copy nodes
        let routers' = copy routers

        for removed in update.RemovedIndexes do
            indexes'.Remove removed |> ignore

        for index in update.Indexes do
            indexes'[index.Uid] <- index

        for removed in update.RemovedRoutes do
            routes'.Remove removed |> ignore

        for route in update.Routes do
            match routes'.TryGetValue route.Shard with
            | true, known when known.Epoch > route.Epoch -> ()
            | _ -> routes'[route.Shard] <- route

        for removed in update.RemovedNodes do
            nodes'.Remove removed |> ignore

        for node in update.Nodes do
            nodes'[node.Name] <- node

        for removed in update.RemovedRouters do
            routers'.Remove removed |> ignore

        for router in update.Routers do
            routers'[router.Name] <- router

        RoutingTable(max revision update.Revision, indexes', routes', nodes', routers')
