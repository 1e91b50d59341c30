module Miroir.Ctl.ClusterCommands

open System.Threading.Tasks
open Argu
open Miroir.Ports
open Miroir.Scripting

type ClusterArgs =
    | [<CliPrefix(CliPrefix.None); SubCommand>] Health

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Health -> "each node's state, failed shards; exit status 1 when not healthy."

type AddArgs =
    | [<Mandatory>] Node of NAME: string
    | [<Mandatory>] Address of URL: string
    | Zone of NAME: string
    | Weight of NUMBER: float
    | Capacity of SIZE: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Node _ -> "the node's name."
            | Address _ -> "base address of its wire, such as http://10.0.0.4:7701."
            | Zone _ -> "its zone: copies of a shard are spread over zones."
            | Weight _ -> "its share of the shards against the others'; 1 where not given."
            | Capacity _ -> "bytes it may hold, with a unit, such as 100gib."

type NodeStatsArgs =
    | [<Mandatory>] Node of NAME: string

    interface IArgParserTemplate with
        member _.Usage = "the node's name."

type NodesArgs =
    | [<CliPrefix(CliPrefix.None); SubCommand>] List
    | [<CliPrefix(CliPrefix.None)>] Add of ParseResults<AddArgs>
    | [<CliPrefix(CliPrefix.None)>] Stats of ParseResults<NodeStatsArgs>

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | List -> "state, zone, address, shards, documents and bytes of each node."
            | Add _ -> "adds a node; `reshard start --index I` then moves shards onto it."
            | Stats _ -> "a node with every store on it."

let private nodeTable (context: Context) (nodes: NodeView[]) =
    context.Output.Table(
        [
            "NODE"
            "STATE"
            "ROLE"
            "ZONE"
            "ADDRESS"
            "SHARDS"
            "DOCUMENTS"
            "BYTES"
            "LATENCY"
            "LAST ERROR"
        ],
        [
            for n in nodes ->
                [
                    n.Name
                    n.State
                    n.Role
                    Text.dash n.Zone
                    n.Address
                    Text.count n.Shards
                    Text.count n.Documents
                    Text.bytes n.Bytes
                    $"{n.LatencyMs:F1} ms"
                    Text.dash n.LastError
                ]
        ]
    )

let private health (context: Context) : Task<int> =
    task {
        use client = context.Client()
        let! cluster = client.Cluster context.Cancel
        let cluster = Exit.orFail cluster
        context.Output.Json cluster
        context.Output.Line(if cluster.Healthy then "Healthy" else "Not healthy")

        for problem in cluster.Problems do
            context.Output.Line $"Problem: {problem}"

        nodeTable context cluster.Nodes

        if cluster.Routers.Length > 0 then
            context.Output.Table(
                [ "ROUTER"; "STATE"; "ADDRESS"; "WRITER OF" ],
                [
                    for r in cluster.Routers -> [ r.Name; r.State; r.Address; string r.WriterOf ]
                ]
            )

        return if cluster.Healthy then Exit.Done else Exit.Refused
    }

let private add (context: Context) (args: ParseResults<AddArgs>) : Task<int> =
    task {
        let capacity =
            match args.TryGetResult AddArgs.Capacity with
            | None -> 0L
            | Some text ->
                match Miroir.Core.Units.parseSize text with
                | Ok bytes -> bytes
                | Error why -> Exit.usage "--capacity" why

        let weight = args.GetResult(AddArgs.Weight, 1.0)

        if not (weight > 0.0 && weight <= 1000.0) then
            Exit.usage "--weight" $"expected a number above 0, at most 1000, not {weight}"

        use client = context.Client()

        let! added =
            client.AddNode(
                {
                    Name = args.GetResult AddArgs.Node
                    Address = args.GetResult AddArgs.Address
                    Zone = args.GetResult(AddArgs.Zone, "")
                    Weight = weight
                    CapacityBytes = capacity
                },
                context.Cancel
            )

        let added = Exit.orFail added
        context.Output.Json added
        context.Output.Line $"Node added: {added.Name} at {added.Address}"
        context.Output.Line "It holds nothing yet: `reshard start --index I` moves shards onto it."
        return Exit.Done
    }

let private stats (context: Context) (name: string) : Task<int> =
    task {
        use client = context.Client()
        let! node = client.Node(name, context.Cancel)
        let node = Exit.orFail node
        context.Output.Json node
        context.Output.Line $"Node: {node.Name}, version {node.Version}"
        context.Output.Line $"Last error: {Text.dash node.LastError}"

        context.Output.Table(
            [
                "STORE"
                "RANGE"
                "DOCUMENTS"
                "TOMBSTONES"
                "BYTES"
                "FAILED PUTS"
                "MIGRATION"
            ],
            [
                for s in node.Stores ->
                    [
                        $"{s.Store.Index}/{s.Store.Generation}/{s.Store.Shard}"
                        $"{s.Range.Lo}-{s.Range.Last}"
                        Text.count s.Documents
                        Text.count s.Tombstones
                        Text.bytes s.Bytes
                        Text.count s.FailedPuts
                        (if s.Migration = 0L then "-" else string s.Migration)
                    ]
            ]
        )

        return Exit.Done
    }

let cluster (context: Context) (args: ParseResults<ClusterArgs>) : Task<int> =
    match args.GetSubCommand() with
    | Health -> health context

let nodes (context: Context) (args: ParseResults<NodesArgs>) : Task<int> =
    match args.GetSubCommand() with
    | Add args -> add context args
    | Stats args -> stats context (args.GetResult NodeStatsArgs.Node)
    | List ->
        task {
            use client = context.Client()
            let! nodes = client.Nodes context.Cancel
            let nodes = Exit.orFail nodes
            context.Output.Json { Results = nodes }
            nodeTable context nodes
            return Exit.Done
        }
