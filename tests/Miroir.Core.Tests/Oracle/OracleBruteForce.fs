/// Says by trying every order whether a small history of one document can be explained: written apart from the
/// checker, with other means, so that the two can be held against each other.
module Miroir.Core.Tests.OracleBruteForce

open Miroir.Oracle

/// What is known of the version that a write made: the token it is, and those that it isn't.
type private Facts = {
    Is: Map<int64, string>
    IsNot: Set<int64 * string>
}

type private Document = {
    Writer: int64
    Fields: Map<string, string>
}

let private consistent facts =
    let tokens = facts.Is |> Map.toList |> List.map snd

    List.length (List.distinct tokens) = List.length tokens
    && facts.Is
       |> Map.forall (fun writer token -> not (facts.IsNot.Contains(writer, token)))

let private learn writer token facts =
    match facts.Is.TryFind writer with
    | Some other when other <> token -> None
    | _ ->
        let more = {
            facts with
                Is = facts.Is.Add(writer, token)
        }

        if consistent more then Some more else None

let private fieldsOf (document: Miroir.Oracle.Document) =
    document.Fields |> Seq.map (fun field -> field.Key, field.Value) |> Map.ofSeq

/// All that an operation can have found and left, given what it was told.
let private outcomes (entry: HistoryEntry) (state: Document option) (facts: Facts) =
    let operation = entry.Operation

    let expected =
        match operation.ExpectedVersion with
        | null -> ""
        | token -> token

    let whenTrue =
        match operation.Condition, state with
        | ConditionKind.IfAbsent, None -> Some facts
        | ConditionKind.IfAbsent, Some _ -> None
        | ConditionKind.IfVersion, None -> None
        | ConditionKind.IfVersion, Some current -> learn current.Writer expected facts
        | _ -> Some facts

    let whenFalse =
        match operation.Condition, state with
        | ConditionKind.IfAbsent, Some _ -> Some facts
        | ConditionKind.IfVersion, None -> Some facts
        | ConditionKind.IfVersion, Some current ->
            let more = {
                facts with
                    IsNot = facts.IsNot.Add(current.Writer, expected)
            }

            if consistent more then Some more else None
        | _ -> None

    let written facts =
        match operation.Fields with
        | null -> Some(None, facts)
        | fields ->
            let before =
                match operation.Kind, state with
                | OperationKind.Merge, Some current -> current.Fields
                | _ -> Map.empty

            let after =
                fieldsOf fields
                |> Map.fold (fun all name value -> Map.add name value all) before

            let told =
                match entry.Reply with
                | null -> Some facts
                | reply ->
                    match reply.Version with
                    | null -> Some facts
                    | token -> learn entry.Id token facts

            told
            |> Option.map (fun facts -> Some { Writer = entry.Id; Fields = after }, facts)

    match operation.Kind, entry.Reply with
    | OperationKind.Read, answer when isNull answer -> None
    | OperationKind.Read, answer ->
        let reply = nonNull answer

        match reply.Document, state with
        | null, None -> Some(state, facts)
        | null, Some _
        | _, None -> None
        | seen, Some current when fieldsOf (nonNull seen) = current.Fields ->
            match reply.Version with
            | null -> Some(state, facts)
            | token -> learn current.Writer token facts |> Option.map (fun facts -> state, facts)
        | _ -> None
    | _ when entry.Outcome = Outcome.ConditionFailed -> whenFalse |> Option.map (fun facts -> state, facts)
    | _ -> whenTrue |> Option.bind written

let isLinearizable (entries: HistoryEntry[]) =
    let relevant =
        entries
        |> Array.filter (fun entry ->
            entry.Outcome <> Outcome.Failed
            && (entry.Operation.IsWrite || entry.Outcome = Outcome.Ok))
        |> Array.toList

    let rec search (left: HistoryEntry list) state facts =
        left |> List.forall (fun entry -> entry.Outcome = Outcome.Unknown)
        || left
           |> List.exists (fun entry ->
               left
               |> List.forall (fun other -> other.Id = entry.Id || other.CompletedAt >= entry.InvokedAt)
               && (match outcomes entry state facts with
                   | None -> false
                   | Some(after, more) -> search (left |> List.filter (fun other -> other.Id <> entry.Id)) after more))

    // A token given in a reply is that write's, whenever the reply is looked at.
    let given =
        relevant
        |> List.fold
            (fun facts entry ->
                match facts, entry.Reply with
                | Some facts, reply when entry.Operation.IsWrite && not (isNull reply) ->
                    match (nonNull reply).Version with
                    | null -> Some facts
                    | token -> learn entry.Id token facts
                | facts, _ -> facts)
            (Some { Is = Map.empty; IsNot = Set.empty })

    match given with
    | None -> false
    | Some facts -> search relevant None facts
