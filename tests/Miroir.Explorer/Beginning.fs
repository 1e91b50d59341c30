namespace Miroir.Explorer

open Miroir.Core
open Miroir.Core.Cutover

/// How a world begins, and how a migration begins in it.
[<RequireQualifiedAccess>]
module Beginning =

    let plan (setting: Setting) (w: World) (migration: int) : Plan =
        let goal = setting.Goals[migration]

        let routes =
            w.Published
            |> Array.choose (fun p -> p |> Option.map _.Route)
            |> Array.filter (fun r -> r.Stage = Owned)

        let generation = routes[0].Shard.Generation

        let moves =
            routes
            |> Array.map (fun route -> {
                Route = route
                Targets = goal |> Array.filter (fun t -> (route.Range.Intersect t.Range).IsSome)
            })

        {
            Migration = int64 migration + 1L
            Index = {
                Uid = "i"
                PrimaryKey = "id"
                Replication = routes[0].Owners.Length
                Layout = {
                    Generation = generation
                    ShardCount = routes.Length
                }
                LastGeneration = generation
                CreatedAtUnixMs = 0L
                UpdatedAtUnixMs = 0L
            }
            To = {
                Generation = goal[0].Shard.Generation
                ShardCount = goal.Length
            }
            Moves = moves
            Limits = setting.Limits
        }

    let withStarted (w: World) (started: Stepped) (migrations: int) : World = {
        w with
            Coordinator = started.Next
            Migrations = migrations
            Broken = started.Broken
            Flights =
                Array.append w.Flights [| for sequence, action in started.Sent -> Flight(Request(sequence, action)) |]
    }

    let initial (setting: Setting) : World =
        let source = setting.Shards[0]

        let route = {
            Shard = source
            Range = Layout.range 1 0
            Epoch = 1L
            Stage = Owned
            Owners = setting.Owners
            Targets = [||]
            Writer = {
                Router = setting.Routers[0]
                Incarnation = 1L
                Term = 1L
            }
            Fences = [||]
            Migration = 0L
        }

        let first = RouteRef.Of route
        let count = setting.Shards.Length
        let none = Array.create<Document | null> setting.Keys.Length null

        let before =
            Array.init setting.Keys.Length (fun k ->
                if setting.Before = 0 then
                    (null: Document | null)
                else
                    Documents.get setting k { Term = 1L; Clock = 1L } setting.Before)

        let itself: TargetShard = {
            Shard = source
            Range = route.Range
            Nodes = setting.Owners
        }

        let w = {
            Coordinator = Unchecked.defaultof<Coordinator>
            Migrations = 0
            Published = Array.init count (fun s -> if s = 0 then Some first else None)
            Nodes =
                setting.Nodes
                |> Array.map (fun name ->
                    NodeState(
                        Array.init count (fun s -> if s = 0 then 1L else 0L),
                        Array.create count None,
                        Array.init count (fun s ->
                            if s = 0 && Array.contains name setting.Owners then
                                {
                                    IsServing = true
                                    Incarnation = 1
                                    Migration = 0L
                                    Docs = before
                                    Lost = [||]
                                }
                            else
                                {
                                    IsServing = false
                                    Incarnation = 0
                                    Migration = 0L
                                    Docs = none
                                    Lost = [||]
                                })
                    ))
            Routers =
                setting.Routers
                |> Array.mapi (fun r _ ->
                    RouterState(
                        Array.init count (fun s -> if s = 0 then Some first else None),
                        Array.init count (fun s ->
                            if s = 0 && r = 0 then
                                Some {
                                    Term = 1L
                                    Activation = None
                                    Clock = 1L
                                    Issued = Issued.Empty 8
                                }
                            else
                                None)
                    ))
            Ops = setting.Operations |> Array.map (fun _ -> Op.Idle)
            Flights = [||]
            Left = setting.Budget
            Broken = ""
        }

        if setting.Goals.Length = 0 then
            {
                w with
                    Coordinator =
                        Coordination.idle (
                            plan
                                {
                                    setting with
                                        Goals = [| [| itself |] |]
                                }
                                w
                                0
                        )
            }
        else
            let first = withStarted w (Coordination.start (plan setting w 0)) 1

            if setting.IsReduced then
                Reduction.apply setting first
            else
                Network.inOrder first
