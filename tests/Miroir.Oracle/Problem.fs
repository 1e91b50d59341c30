namespace Miroir.Oracle

open System
open System.Collections.Generic

/// One operation of a problem, with names and values as small integers.
[<Sealed>]
type internal Op
    (entry: HistoryEntry, index: int, certain: bool, fields: int[], values: int[], token: int, expected: int) =
    let isRead = not entry.Operation.IsWrite
    let rejected = certain && entry.Outcome = Outcome.ConditionFailed

    member _.Entry = entry
    member _.Index = index
    member _.Inv = entry.InvokedAt

    /// MaxValue where it is open for ever.
    member val Ret = (if certain then entry.CompletedAt else Int64.MaxValue)

    /// Whether it has to be in the linearization; an operation of unknown fate may be left out.
    member _.Certain = certain

    /// Written or observed fields, ascending; `Values` runs along.
    member _.Fields = fields
    member _.Values = values

    /// The version token it gave or saw, 0 where none.
    member _.Token = token

    /// The version token it asked for, 0 where none.
    member _.Expected = expected

    member val Kind = entry.Operation.Kind
    member val Condition = entry.Operation.Condition
    member _.IsRead = isRead

    /// A conditional write whose condition was found false.
    member _.Rejected = rejected

    member val SawAbsent =
        isRead
        && (match entry.Reply with
            | null -> false
            | reply -> isNull reply.Document)

    /// A write that has, or may have, its effect.
    member _.Writes = not isRead && not rejected

    /// Whether its effect leaves nothing of what was there.
    member this.Wipes = this.Writes && this.Kind <> OperationKind.Merge

    /// The value it wrote or saw at a field, 0 where none.
    member _.At(field: int) =
        let at = Array.BinarySearch(fields, field)
        if at < 0 then 0 else values[at]

/// The operations on one document that a linearization has to explain, up to some moment.
[<Sealed>]
type internal Problem(ops: Op[], fieldNames: string[], valueCount: int, tokenCount: int) =
    let writer: (Op | null)[] = Array.zeroCreate valueCount
    let writerCounts: int[] = Array.zeroCreate valueCount
    let observers = Array.init valueCount (fun _ -> ResizeArray<Op>(0))
    let tokenOwner: (Op | null)[] = Array.zeroCreate tokenCount
    let tokenReader: (Op | null)[] = Array.zeroCreate tokenCount
    let tokenPasser: (Op | null)[] = Array.zeroCreate tokenCount

    do
        for op in ops do
            if op.Writes then
                for value in op.Values do
                    writer[value] <- op
                    writerCounts[value] <- writerCounts[value] + 1

                if op.Certain && op.Token > 0 then
                    tokenOwner[op.Token] <- op

                if op.Certain && op.Expected > 0 then
                    tokenPasser[op.Expected] <- op
            elif op.IsRead then
                for value in op.Values do
                    observers[value].Add op

                if op.Token > 0 then
                    tokenReader[op.Token] <- op

    /// Ascending by invocation.
    member _.Ops = ops
    member _.FieldNames = fieldNames
    member _.ValueCount = valueCount
    member _.TokenCount = tokenCount

    /// Some operation that writes the value, or null.
    member _.Writer(value: int) : Op | null = writer[value]

    /// Whether just one operation writes the value: only then does the value tell its writer.
    member _.IsUnique(value: int) = writerCounts[value] = 1

    member _.Observers(value: int) = observers[value]

    /// The acknowledged write that was given this token, or null.
    member _.TokenOwner(token: int) : Op | null = tokenOwner[token]

    /// A read that saw the token, and so tells its content, or null.
    member _.TokenReader(token: int) : Op | null = tokenReader[token]

    /// An acknowledged write that asked for the token, and so was the one that replaced it, or null.
    member _.TokenPasser(token: int) : Op | null = tokenPasser[token]

    /// No merges and no conditions: each write leaves a state that doesn't depend on the one before.
    member val OnlyOverwrites =
        ops
        |> Array.forall (fun op ->
            op.IsRead
            || (op.Kind <> OperationKind.Merge && op.Condition = ConditionKind.Always))

module internal Problem =

    /// An unknown write that nobody can have seen explains nothing, and is left out: nothing read any value
    /// of it, no condition could have noticed it, and no merges could have covered all of its fields.
    let private withoutUnseen (problem: Problem) (rebuild: Op[] -> Problem) =
        let conditional =
            problem.Ops |> Array.exists (fun op -> op.Condition <> ConditionKind.Always)

        if conditional || problem.Ops |> Array.forall _.Certain then
            problem
        else
            let merged = HashSet<int>()

            for op in problem.Ops do
                if op.Writes && op.Kind = OperationKind.Merge then
                    merged.UnionWith op.Fields

            let unseen (op: Op) =
                not op.Certain
                && op.Values.Length > 0
                && op.Values
                   |> Array.forall (fun value -> problem.IsUnique value && problem.Observers(value).Count = 0)
                && (op.Kind = OperationKind.Merge
                    || op.Fields |> Array.exists (fun field -> not (merged.Contains field)))

            if Array.exists unseen problem.Ops then
                rebuild (Array.filter (unseen >> not) problem.Ops)
            else
                problem

    let private renumber (ops: Op[]) =
        ops
        |> Array.mapi (fun i op -> Op(op.Entry, i, op.Certain, op.Fields, op.Values, op.Token, op.Expected))

    /// The problem that the entries of one document pose at a moment: whatever has no reply by then is open.
    let build (entries: HistoryEntry[]) (until: int64) : Problem =
        let fieldIds = Dictionary<string, int>(StringComparer.Ordinal)
        let valueIds = Dictionary<struct (int * string), int>()
        let tokenIds = Dictionary<string, int>(StringComparer.Ordinal)
        let names = ResizeArray<string>()

        let fieldId (name: string) =
            match fieldIds.TryGetValue name with
            | true, id -> id
            | _ ->
                names.Add name
                fieldIds[name] <- fieldIds.Count
                names.Count - 1

        let valueId (key: struct (int * string)) =
            match valueIds.TryGetValue key with
            | true, id -> id
            | _ ->
                valueIds[key] <- valueIds.Count + 1
                valueIds.Count

        let tokenId (token: string | null) =
            match token with
            | null -> 0
            | known ->
                match tokenIds.TryGetValue known with
                | true, id -> id
                | _ ->
                    tokenIds[known] <- tokenIds.Count + 1
                    tokenIds.Count

        let relevant (entry: HistoryEntry) =
            entry.InvokedAt <= until
            && entry.Operation.Kind <> OperationKind.EventualRead
            && entry.Outcome <> Outcome.Failed
            && ((entry.Outcome <> Outcome.Unknown && entry.CompletedAt <= until)
                || (entry.Operation.IsWrite && entry.Outcome <> Outcome.ConditionFailed))

        let toOp index (entry: HistoryEntry) =
            let certain = entry.Outcome <> Outcome.Unknown && entry.CompletedAt <= until

            let document, version =
                match entry.Reply with
                | null -> entry.Operation.Fields, null
                | reply when entry.Operation.IsWrite ->
                    entry.Operation.Fields, (if certain then reply.Version else null)
                // The token of a read that found nothing says nothing: a purge may change it.
                | reply -> reply.Document, (if isNull reply.Document then null else reply.Version)

            let fields =
                match document with
                | null -> [||]
                | known ->
                    known.Items
                    |> Array.map (fun field ->
                        let id = fieldId field.Key
                        struct (id, valueId (struct (id, field.Value))))
                    |> Array.sortBy (fun struct (field, _) -> field)

            Op(
                entry,
                index,
                certain,
                (fields |> Array.map (fun struct (field, _) -> field)),
                (fields |> Array.map (fun struct (_, value) -> value)),
                tokenId version,
                tokenId entry.Operation.ExpectedVersion
            )

        let ops = entries |> Array.filter relevant
        // Stable, so that a history gives the same search each time.
        let ordered =
            ops
            |> Array.sortWith (fun a b ->
                match compare a.InvokedAt b.InvokedAt with
                | 0 -> compare a.Id b.Id
                | order -> order)
            |> Array.mapi toOp

        let make ops =
            Problem(ops, names.ToArray(), valueIds.Count + 1, tokenIds.Count + 1)

        withoutUnseen (make ordered) (renumber >> make)
