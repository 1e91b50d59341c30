/// A linearizable document that answers many clients at once, to make histories that are right by construction.
module Miroir.Core.Tests.OracleSimulation

open System
open System.Collections.Generic
open Miroir.Oracle

type State = {
    Fields: Map<string, string>
    Version: string
}

type Settings = {
    Clients: int
    Operations: int
    /// Of 100 writes, how many get no answer.
    UnknownPercent: int
    Conditional: bool
    Merging: bool
    /// Whether replies carry version tokens.
    Versions: bool
}

type private Phase =
    | Open
    | Done of Reply

type private Call = {
    Token: HistoryEntry
    Client: int
    mutable Phase: Phase
    /// The client was told `Unknown` already.
    mutable GivenUp: bool
}

let pairs (fields: (string * string) list) =
    fields |> List.map (fun (name, value) -> KeyValuePair(name, value))

let documentOf (fields: Map<string, string>) = pairs (Map.toList fields)

/// One document under simulated concurrency. The history can be added to between runs, when no call is open.
type Simulated(history: History, key: string, seed: int) =
    let random = Random seed
    let mutable state: State option = None
    let mutable writes = 0
    let mutable versions = 0
    let known = ResizeArray<string>()
    let abandoned = ResizeArray<Call>()

    let freshVersion () =
        versions <- versions + 1
        $"v{versions}"

    let value () =
        writes <- writes + 1
        $"{key}.{writes}"

    let fieldNames = [ "a"; "b"; "c" ]

    let someFields () =
        let written = value ()

        match fieldNames |> List.filter (fun _ -> random.Next 2 = 0) with
        | [] -> [ "a", written ]
        | names -> names |> List.map (fun name -> name, written)

    let operation (settings: Settings) =
        let plain =
            match random.Next 10 with
            | 0 -> Operation.Delete key
            | 1
            | 2
            | 3 when settings.Merging -> Operation.Merge(key, pairs (someFields ()))
            | 1
            | 2
            | 3
            | 4
            | 5 -> Operation.Replace(key, pairs (someFields ()))
            | _ -> Operation.Read key

        if settings.Conditional && plain.IsWrite then
            match random.Next 4 with
            | 0 when known.Count > 0 -> plain.IfVersion(known[max 0 (known.Count - 1 - random.Next 4)])
            | 1 -> plain.IfAbsent()
            | _ -> plain
        else
            plain

    let apply (settings: Settings) (operation: Operation) : Reply =
        let holds =
            match operation.Condition, state with
            | ConditionKind.IfAbsent, _ -> state.IsNone
            | ConditionKind.IfVersion, Some current -> String.Equals(current.Version, operation.ExpectedVersion)
            | ConditionKind.IfVersion, None -> false
            | _ -> true

        let acknowledged version =
            if settings.Versions && random.Next 4 > 0 then
                known.Add version
                Reply.Ok version
            else
                Reply.Ok()

        if not holds then
            Reply.ConditionFailed()
        else
            match operation.Kind, operation.Fields with
            | OperationKind.Delete, _ ->
                state <- None
                Reply.Ok()
            | OperationKind.Read, _ ->
                match state with
                | None -> Reply.Absent()
                | Some current when settings.Versions && random.Next 4 > 0 ->
                    known.Add current.Version
                    Reply.Found(documentOf current.Fields, current.Version)
                | Some current -> Reply.Found(documentOf current.Fields, null)
            | _, null -> failwith "a write has fields"
            | kind, fields ->
                let before =
                    match kind, state with
                    | OperationKind.Merge, Some current -> current.Fields
                    | _ -> Map.empty

                let after =
                    fields.Fields
                    |> Seq.fold (fun all field -> Map.add field.Key field.Value all) before

                let version = freshVersion ()
                state <- Some { Fields = after; Version = version }
                acknowledged version

    member _.State = state
    member _.NewValue() = value ()

    /// One call with nothing else open (but for abandoned ones), answered as it should be.
    member _.Alone(settings: Settings, operation: Operation) =
        let token = history.Invoke(1000, operation)
        history.Complete(token, apply settings operation)

    /// One call with nothing else open, answered as the test says, and without effect.
    member _.Lie(operation: Operation, reply: Reply) =
        let token = history.Invoke(1001, operation)
        history.Complete(token, reply)

    member _.Run(settings: Settings) =
        let calls = Dictionary<int, Call>()
        let mutable started = 0

        let start client =
            started <- started + 1
            let token = history.Invoke(client, operation settings)

            calls[client] <- {
                Token = token
                Client = client
                Phase = Open
                GivenUp = false
            }

        let finish (call: Call) =
            let fate = random.Next 100

            match call.Phase with
            | Open when call.Token.Operation.IsWrite && fate < settings.UnknownPercent ->
                history.Complete(call.Token, Reply.Unknown())
                call.GivenUp <- true
                calls.Remove call.Client |> ignore
                // Half of what was given up takes effect some time.
                if random.Next 2 = 0 then
                    abandoned.Add call
            | Open when fate < settings.UnknownPercent + 2 ->
                history.Complete(call.Token, Reply.Failed())
                calls.Remove call.Client |> ignore
            | Open -> call.Phase <- Done(apply settings call.Token.Operation)
            | Done _ when call.Token.Operation.IsWrite && fate < settings.UnknownPercent ->
                history.Complete(call.Token, Reply.Unknown())
                calls.Remove call.Client |> ignore
            | Done reply ->
                history.Complete(call.Token, reply)
                calls.Remove call.Client |> ignore

        while started < settings.Operations || calls.Count > 0 do
            let client = random.Next settings.Clients

            match calls.TryGetValue client with
            | true, call -> finish call
            | _ when started < settings.Operations -> start client
            | _ -> ()

            if abandoned.Count > 0 && random.Next 8 = 0 then
                let late = abandoned[0]
                abandoned.RemoveAt 0
                apply settings late.Token.Operation |> ignore
