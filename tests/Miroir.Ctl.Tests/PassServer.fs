/// A server that runs one pass, and commands against it.
module Miroir.Ctl.Tests.PassServer

open Miroir.Ports
open Miroir.Scripting
open Miroir.Ctl.Tests.PassGen

let private cluster =
    """{"healthy":true,"nodes":[],"routers":[],"indexes":[{"uid":"packages","primaryKey":"package","replication":3,"layout":{"generation":2,"shardCount":16},"lastGeneration":2,"createdAtUnixMs":0,"updatedAtUnixMs":0}],"problems":[],"coordinatorTerm":3,"revision":120}"""

let private moved =
    """{"results":[{"id":42,"index":"packages","from":{"generation":1,"shardCount":4},"to":{"generation":2,"shardCount":16},"phase":"Complete","status":"Complete","reason":"","cutoverRequested":true,"readyForCutover":true,"startedAtUnixMs":0,"finishedAtUnixMs":1,"throttle":0,"oldNodes":[],"newNodes":[],"shards":[],"documentsCopied":0,"deltaCopied":0,"dataLoss":0,"warnings":[],"timeline":[]}]}"""

let private running (pass: PassView) = {
    pass with
        Status = "Running"
        FinishedAtUnixMs = 0L
        RemainingMs = 1500L
        Shards = Array.truncate 1 pass.Shards
        Documents = [||]
}

let private state (pass: PassView) : AntiEntropyView = {
    Enabled = true
    Schedule = "0 */6 * * *"
    AutoRepair = true
    NextRunAtUnixMs = 1772474400000L
    Running = [||]
    Last = [| pass.WithoutDocuments() |]
    Totals = pass.Divergences
    Repaired = pass.Repaired
    BytesRead = pass.BytesRead
}

/// A server whose pass is `ended` at the second look.
let serving (ended: PassView) =
    let mutable looks = 0

    new FakeServer(fun request _ ->
        match request with
        | "GET /_miroir/cluster" -> 200, cluster
        | "GET /_miroir/reshards" -> 200, moved
        | "POST /_miroir/anti-entropy/passes" ->
            201,
            Json.print {
                running ended with
                    Shards = [||]
                    RemainingMs = -1L
            }
        | "GET /_miroir/anti-entropy/passes/7?documents=false" ->
            looks <- looks + 1

            200,
            Json.print (
                if looks = 1 then
                    running ended
                else
                    ended.WithoutDocuments()
            )
        | "GET /_miroir/anti-entropy/passes/7" -> 200, Json.print ended
        | r when r.StartsWith "GET /_miroir/anti-entropy/passes?" ->
            200,
            Json.print {
                Results = [| clean "scheduled" 2; ended.WithoutDocuments() |]
            }
        | r when r.StartsWith "GET /_miroir/anti-entropy" -> 200, Json.print (state ended)
        | other ->
            404, $$"""{"message":"nothing at {{other}}","code":"not_found","type":"invalid_request","link":""}""")

let runWith files ended (command: string) =
    use server = serving ended
    let ran = Ctl.runWith files "" server.Url (List.ofArray (command.Split ' '))
    ran, server.Asked

let run ended command = fst (runWith [] ended command)

let lines (text: string list) = String.concat "\n" text + "\n"

/// A plan for the layout that the fake cluster is in.
let planned count =
    clean "dry-run" 16
    |> withMissing count "Planned"
    |> PlanFile.ofPass { layout with Generation = 2 }
    |> PlanFile.write
