namespace Miroir.Oracle

open System
open System.Collections.Generic

/// The content of a document and what is known of its version token: a positive number is a known one, the
/// others stand for sets of tokens that it has been found not to have.
[<CustomEquality; NoComparison>]
type internal Content = {
    Values: int[]
    Version: int
} with

    override this.Equals(other: obj) =
        match other with
        | :? Content as that ->
            this.Version = that.Version
            && this.Values.AsSpan().SequenceEqual(ReadOnlySpan that.Values)
        | _ -> false

    override this.GetHashCode() =
        let mutable hash = 17 + this.Version

        for value in this.Values do
            hash <- hash * 31 + value

        hash

/// The states that a document goes through, as small integers, and what each operation makes of each.
/// State 0 is absence. An existing document is an array of values by field, 0 where it lacks the field.
[<Sealed>]
type internal States(problem: Problem) =
    let absent = 0
    let contents = ResizeArray<Content>()
    let ids = Dictionary<Content, int>()
    let steps = Dictionary<int64, int>()
    let exclusions = ResizeArray<int[]>([ [||] ])
    let fields = problem.FieldNames.Length

    do
        contents.Add {
            Values = Array.zeroCreate fields
            Version = 0
        }

    let idOf (content: Content) =
        match ids.TryGetValue content with
        | true, id -> id
        | _ ->
            contents.Add content
            ids[content] <- contents.Count - 1
            contents.Count - 1

    /// Whether a read saw just this content.
    let shows (read: Op) (content: Content) =
        let mutable same = true
        let mutable present = 0

        for value in content.Values do
            if value > 0 then
                present <- present + 1

        if present <> read.Fields.Length then
            same <- false

        let mutable i = 0

        while same && i < read.Fields.Length do
            same <- content.Values[read.Fields[i]] = read.Values[i]
            i <- i + 1

        same

    /// Whether a document whose token is only known not to be some others may turn out to have this one.
    let mayBe (content: Content) (token: int) =
        isNull (problem.TokenOwner token)
        && Array.BinarySearch(exclusions[-content.Version], token) < 0
        && (match problem.TokenReader token with
            | null -> true
            | read -> shows read content)

    let without (version: int) (token: int) =
        let excluded = Array.sort (Array.append exclusions[-version] [| token |])

        match exclusions.FindIndex(fun known -> known.AsSpan().SequenceEqual(ReadOnlySpan excluded)) with
        | -1 ->
            exclusions.Add excluded
            -(exclusions.Count - 1)
        | known -> -known

    let conditionMayHold (op: Op) state =
        match op.Condition with
        | ConditionKind.IfAbsent -> state = absent
        | ConditionKind.IfVersion ->
            state <> absent
            && (let content = contents[state]

                if content.Version > 0 then
                    content.Version = op.Expected
                else
                    mayBe content op.Expected)
        | _ -> true

    /// The state in which the condition is false, or -1.
    let conditionFails (op: Op) state =
        match op.Condition with
        | ConditionKind.IfAbsent -> if state <> absent then state else -1
        | ConditionKind.IfVersion ->
            if state = absent then
                state
            else
                let content = contents[state]

                if content.Version > 0 then
                    if content.Version <> op.Expected then state else -1
                elif mayBe content op.Expected then
                    idOf {
                        content with
                            Version = without content.Version op.Expected
                    }
                else
                    state
        | _ -> -1

    let observe (op: Op) state =
        if op.SawAbsent then
            if state = absent then state else -1
        elif state = absent then
            -1
        else
            let content = contents[state]

            if not (shows op content) then
                -1
            elif op.Token = 0 || op.Token = content.Version then
                state
            elif content.Version <= 0 && mayBe content op.Token then
                idOf { content with Version = op.Token }
            else
                -1

    let write (op: Op) state =
        match op.Kind with
        | OperationKind.Delete -> absent
        | kind ->
            let values =
                if kind = OperationKind.Merge then
                    Array.copy contents[state].Values
                else
                    Array.zeroCreate fields

            for i in 0 .. op.Fields.Length - 1 do
                values[op.Fields[i]] <- op.Values[i]

            idOf {
                Values = values
                Version = (if op.Certain then op.Token else 0)
            }

    let compute (op: Op) state =
        if op.IsRead then observe op state
        elif op.Rejected then conditionFails op state
        elif conditionMayHold op state then write op state
        else -1

    /// The values of a state, by field.
    member _.Values(state: int) : int[] = contents[state].Values

    /// The known version token of a state, or 0.
    member _.Token(state: int) : int = max 0 contents[state].Version

    /// The state after the operation, or -1 where it can't have had its reply in this state.
    member _.After(op: Op, state: int) : int =
        let key = (int64 state <<< 32) ||| int64 op.Index

        match steps.TryGetValue key with
        | true, next -> next
        | _ ->
            let next = compute op state
            steps[key] <- next
            next
