namespace Miroir.Scripting

open System
open System.Threading
open System.Threading.Tasks
open Miroir.Ports

/// Passes of anti-entropy, begun and followed to their end, and what their views say. Shards are those of the layout
/// in force, first and last; None: all.
[<RequireQualifiedAccess>]
module AntiEntropy =

    /// Between two looks at a pass.
    let pollInterval = TimeSpan.FromMilliseconds 250.0

    /// The longest wait for a pass, which goes on by itself.
    let limit = TimeSpan.FromDays 7.0

    let isOver (pass: PassView) = pass.Status <> "Running"

    /// Shards that were not compared whole, those that the pass never came to included.
    let notCompared (pass: PassView) : int =
        let failed =
            pass.Shards |> Array.filter (fun s -> s.State = "Failed") |> Array.length

        failed + max 0 (pass.ShardsTotal - pass.Shards.Length)

    /// Whether it compared each of its shards whole. Then its divergences are all there were.
    let isWhole (pass: PassView) =
        pass.Status = "Done" && notCompared pass = 0

    /// Documents that differ, where the pass can know; None where something was not compared.
    let dataLoss (pass: PassView) : int64 option =
        if isWhole pass then
            Some pass.Divergences.Divergences
        else
            None

    /// Documents that differed, and that the pass did not repair. Counted by shard, and held to those that are listed:
    /// where a lost replica was filled, its documents count as repaired too, though none of them was found different.
    let unrepaired (pass: PassView) : int64 =
        let counted =
            pass.Shards
            |> Array.sumBy (fun s -> max 0L (s.Divergences.Divergences - s.Repaired))

        let listed =
            pass.Documents
            |> Array.filter (fun d -> d.Outcome <> "Repaired")
            |> Array.length

        max counted (int64 listed)

    /// Documents that a dry run found, listed, and has no repair for, such as corruption without a majority.
    let unplanned (pass: PassView) : int =
        pass.Documents
        |> Array.filter (fun d -> d.Outcome <> "Planned" || d.Kind = "Corrupt" && d.Keep = "")
        |> Array.length

    /// Whether a pass of its kind found, or left, everything as it should be: verify no difference, a dry run none
    /// without a repair, any other none that is not repaired; and nothing that it could not compare.
    let isClean (pass: PassView) : bool =
        isWhole pass
        && match pass.Kind with
           | "verify" -> pass.Divergences.Divergences = 0L
           | "dry-run" -> unplanned pass = 0
           | _ ->
               unrepaired pass = 0L
               && pass.Shards |> Array.forall (fun s -> s.State <> "Divergent")

    /// Looks at a pass until it has ended; `onView` sees each look. The last view has its documents.
    let follow
        (client: MiroirClient)
        (id: int64)
        (interval: TimeSpan)
        (limit: TimeSpan)
        (onView: PassView -> unit)
        (cancel: CancellationToken)
        : Task<Result<PassView, ClientError>> =
        task {
            let! ended =
                Polling.until
                    (fun () -> client.Pass(id, false, cancel))
                    interval
                    limit
                    isOver
                    onView
                    (fun view ->
                        $"pass {view.Id} has compared {view.Shards.Length} of {view.ShardsTotal} shards after {limit}; it goes on by itself")
                    cancel

            match ended with
            | Ok _ -> return! client.Pass(id, true, cancel)
            | Error problem -> return Error problem
        }

    /// What a pass of `kind` over `shards` is asked by.
    let request (kind: string) (index: string) (shards: (int * int) option) : PassRequest =
        let first, last = Option.defaultValue (0, -1) shards

        {
            Index = index
            Kind = kind
            FirstShard = first
            LastShard = last
            Plan = [||]
        }

    let private complete (client: MiroirClient) (request: PassRequest) cancel : Task<Result<PassView, ClientError>> =
        task {
            match! client.StartPass(request, cancel) with
            | Error problem -> return Error problem
            | Ok started -> return! follow client started.Id pollInterval limit ignore cancel
        }

    /// Compares, and changes nothing.
    let verify client index shards cancel =
        complete client (request "verify" index shards) cancel

    /// Compares and repairs.
    let run client index shards cancel =
        complete client (request "run" index shards) cancel

    /// Compares, and lists what `run` would repair.
    let dryRun client index shards cancel =
        complete client (request "dry-run" index shards) cancel

    /// Takes every digest anew from the stored bodies.
    let scrub client index shards cancel =
        complete client (request "scrub" index shards) cancel

    /// Error: what keeps a plan from being applied to its index as it is now.
    let checkPlan (client: MiroirClient) (plan: RepairPlan) cancel : Task<Result<unit, ClientError>> =
        task {
            match! client.Cluster cancel with
            | Error problem -> return Error problem
            | Ok cluster ->
                match cluster.Indexes |> Array.tryFind (fun i -> i.Uid = plan.Index) with
                | None -> return Error(Refused(404, "index_not_found", $"there is no index {plan.Index}"))
                | Some index when index.Layout.Generation <> plan.Layout.Generation ->
                    return
                        Error(
                            Refused(
                                409,
                                "plan_outdated",
                                $"the plan was made in layout {plan.Layout.Generation} of {plan.Index}, which is in layout {index.Layout.Generation} now; make a new one with a dry run"
                            )
                        )
                | Some _ -> return Ok()
        }

    /// Repairs the documents of a plan that was kept. None: the plan has no documents, so that there is nothing to do.
    let apply (client: MiroirClient) (plan: RepairPlan) cancel : Task<Result<PassView option, ClientError>> =
        task {
            match! checkPlan client plan cancel with
            | Error problem -> return Error problem
            | Ok() when plan.Documents.Length = 0 -> return Ok None
            | Ok() ->
                let! ended =
                    complete
                        client
                        {
                            request "run" plan.Index None with
                                Plan = plan.Documents
                        }
                        cancel

                return ended |> Result.map Some
        }

    /// Finished passes, the newest last, without their documents. `limit`: 1 to 1000.
    let history (client: MiroirClient) (index: string option) (limit: int) cancel =
        client.AntiEntropyHistory(index, limit, cancel)
