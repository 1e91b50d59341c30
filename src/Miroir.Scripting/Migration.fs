namespace Miroir.Scripting

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open Miroir.Ports

/// What a script wants done: nodes to add first, then a reshard of an index.
type MigrationPlan = {
    Server: string
    ApiKey: string option
    Index: string
    /// 0: as many as now.
    NewShards: int
    /// Documents per second; 0: unlimited.
    Throttle: int
    Nodes: AddNodeRequest list
    /// Between two looks at the migration.
    PollInterval: TimeSpan
    /// The longest wait for the whole of it.
    Limit: TimeSpan
}

/// `migration { index "packages"; newShards 64 }`
type MigrationBuilder() =
    member _.Yield(_: unit) : MigrationPlan = {
        Server = "http://127.0.0.1:7700"
        ApiKey = None
        Index = ""
        NewShards = 0
        Throttle = 10_000
        Nodes = []
        PollInterval = TimeSpan.FromMilliseconds 250.0
        Limit = TimeSpan.FromHours 24.0
    }

    [<CustomOperation "server">]
    member _.Server(plan, url: string) : MigrationPlan = { plan with Server = url }

    [<CustomOperation "apiKey">]
    member _.ApiKey(plan, key: string) : MigrationPlan = { plan with ApiKey = Some key }

    [<CustomOperation "index">]
    member _.Index(plan, uid: string) : MigrationPlan = { plan with Index = uid }

    [<CustomOperation "newShards">]
    member _.NewShards(plan, count: int) : MigrationPlan = { plan with NewShards = count }

    [<CustomOperation "throttle">]
    member _.Throttle(plan, documentsPerSecond: int) : MigrationPlan = {
        plan with
            Throttle = documentsPerSecond
    }

    /// A node to add before the migration starts; one that is there already, at the same address, is left alone.
    [<CustomOperation "addNode">]
    member _.AddNode(plan: MigrationPlan, name: string, address: string) : MigrationPlan = {
        plan with
            Nodes =
                plan.Nodes
                @ [
                    {
                        Name = name
                        Address = address
                        Zone = ""
                        Weight = 1.0
                        CapacityBytes = 0L
                    }
                ]
    }

    [<CustomOperation "pollEvery">]
    member _.PollEvery(plan, interval: TimeSpan) : MigrationPlan = { plan with PollInterval = interval }

    [<CustomOperation "limit">]
    member _.Limit(plan, limit: TimeSpan) : MigrationPlan = { plan with Limit = limit }

[<RequireQualifiedAccess>]
module Migration =

    let isOver (view: MigrationView) =
        match view.Status with
        | "Running"
        | "Paused"
        // Its targets are still being dropped.
        | "Aborting" -> false
        | _ -> true

    /// Looks at a migration until `isEnough`, within `limit`; `onView` sees each look.
    let follow
        (client: MiroirClient)
        (selector: Selector)
        (interval: TimeSpan)
        (limit: TimeSpan)
        (isEnough: MigrationView -> bool)
        (onView: MigrationView -> unit)
        (cancel: CancellationToken)
        : Task<Result<MigrationView, ClientError>> =
        Polling.until
            (fun () -> client.Migration(selector, cancel))
            interval
            limit
            isEnough
            onView
            (fun view -> $"migration {view.Id} is in {view.Phase} after {limit}; it goes on by itself")
            cancel

    let private addNodes
        (client: MiroirClient)
        (plan: MigrationPlan)
        (out: TextWriter)
        cancel
        : Task<Result<unit, ClientError>> =
        task {
            let! nodes = client.Nodes cancel
            let mutable result = nodes |> Result.map ignore

            let isThere (wanted: AddNodeRequest) =
                match nodes with
                | Ok nodes ->
                    nodes
                    |> Array.exists (fun n -> n.Name = wanted.Name && n.Address = wanted.Address)
                | Error _ -> false

            for wanted in plan.Nodes do
                if result.IsOk && not (isThere wanted) then
                    let! added = client.AddNode(wanted, cancel)
                    result <- added |> Result.map ignore

                    if added.IsOk then
                        out.WriteLine $"Node added: {wanted.Name} at {wanted.Address}"

            return result
        }

    /// As `run`, without blocking; progress goes to `out`.
    let runAsync
        (out: TextWriter)
        (plan: MigrationPlan)
        (cancel: CancellationToken)
        : Task<Result<MigrationView, ClientError>> =
        task {
            use client =
                new MiroirClient(Uri plan.Server, plan.ApiKey, TimeSpan.FromSeconds 100.0)

            let mutable last = ""

            let show (view: MigrationView) =
                let line =
                    $"Phase: {view.Phase}, {view.DocumentsCopied} documents copied, {view.DeltaCopied} in the delta pass"

                if line <> last then
                    last <- line
                    out.WriteLine line

            let follow id isEnough =
                follow client (ById id) plan.PollInterval plan.Limit isEnough show cancel

            match! addNodes client plan out cancel with
            | Error problem -> return Error problem
            | Ok() ->
                let request = {
                    Index = plan.Index
                    NewShards = plan.NewShards
                    Throttle = plan.Throttle
                    DryRun = false
                    SkipDeltaPass = false
                }

                match! client.StartReshard(request, cancel) with
                | Error problem -> return Error problem
                | Ok started ->
                    out.WriteLine $"Migration started: ID={started.Id}"

                    match! follow started.Id (fun v -> isOver v || v.ReadyForCutover || v.CutoverRequested) with
                    | Error problem -> return Error problem
                    | Ok copied when isOver copied -> return Ok copied
                    | Ok _ ->
                        match! client.Cutover(ById started.Id, cancel) with
                        | Error problem -> return Error problem
                        | Ok _ ->
                            let! ended = follow started.Id isOver

                            match ended with
                            | Ok view ->
                                let loss =
                                    if view.DataLoss < 0L then
                                        "unknown"
                                    else
                                        $"{view.DataLoss} documents"

                                out.WriteLine $"Status: {view.Status}"
                                out.WriteLine $"Data loss: {loss}"
                            | Error _ -> ()

                            return ended
        }

    /// Adds the nodes, starts the migration, waits for the copy, cuts over and waits for the end; progress goes to
    /// the terminal. Ok is the last view, whatever its `Status` is.
    let run (plan: MigrationPlan) : Result<MigrationView, ClientError> =
        (runAsync Console.Out plan CancellationToken.None).GetAwaiter().GetResult()

[<AutoOpen>]
module MigrationSyntax =

    let migration = MigrationBuilder()
