namespace Miroir.Oracle

open System
open System.Collections.Generic
open System.Diagnostics

[<RequireQualifiedAccess>]
type internal Found =
    | Linearizable
    | NotLinearizable
    /// The budget ran out.
    | Undecided

/// The search for a linearization of one document's operations: depth first over the operations that may come
/// next (Wing and Gong, "Testing and verifying concurrent objects", 1993), remembering the configurations that
/// were tried (Lowe, "Testing for linearizability", 2017). A configuration is the set of operations taken and the
/// state; the set is kept as the sum of 128-bit random numbers, one for each operation. Where no operation
/// is open this remembers just the states in which the document can be, so history before such a moment is
/// searched once for each of them.
[<Sealed>]
type internal Search(problem: Problem, maxSteps: int64, maxMilliseconds: int64) =
    let ops = problem.Ops
    let count = ops.Length
    let states = States problem

    // A doubly linked list of the operations not yet taken, in order of invocation; `count` is its head.
    let next = Array.init (count + 1) (fun i -> if i = count then 0 else i + 1)
    let previous = Array.init (count + 1) (fun i -> if i = 0 then count else i - 1)

    let mutable certainLeft = ops |> Seq.filter _.Certain |> Seq.length
    let mutable absentReadsLeft = ops |> Seq.filter _.SawAbsent |> Seq.length

    /// For each value, how many reads not yet taken saw it.
    let readsLeft =
        Array.init problem.ValueCount (fun value -> problem.Observers(value).Count)

    /// Tokens that a conditional write has replaced: no state has them any more.
    let spent: bool[] = Array.zeroCreate problem.TokenCount

    let random (seed: uint64) =
        // SplitMix64 (Steele, Lea, Flood, 2014).
        let mutable z = seed * 0x9E3779B97F4A7C15UL
        z <- (z ^^^ (z >>> 30)) * 0xBF58476D1CE4E5B9UL
        z <- (z ^^^ (z >>> 27)) * 0x94D049BB133111EBUL
        z ^^^ (z >>> 31)

    let low i = random (uint64 (2 * i + 1))
    let high i = random (uint64 (2 * i + 2))
    let mutable sumLow = 0UL
    let mutable sumHigh = 0UL
    let tried = HashSet<struct (uint64 * uint64 * int)>()
    let mutable steps = 0L

    let take (op: Op) =
        let i = op.Index
        next[previous[i]] <- next[i]
        previous[next[i]] <- previous[i]
        sumLow <- sumLow + low i
        sumHigh <- sumHigh + high i

        if op.Writes then
            spent[op.Expected] <- op.Expected > 0

        if op.Certain then
            certainLeft <- certainLeft - 1

        if op.IsRead then
            if op.SawAbsent then
                absentReadsLeft <- absentReadsLeft - 1

            for value in op.Values do
                readsLeft[value] <- readsLeft[value] - 1

    let giveBack (op: Op) =
        let i = op.Index
        next[previous[i]] <- i
        previous[next[i]] <- i
        sumLow <- sumLow - low i
        sumHigh <- sumHigh - high i

        if op.Writes then
            spent[op.Expected] <- false

        if op.Certain then
            certainLeft <- certainLeft + 1

        if op.IsRead then
            if op.SawAbsent then
                absentReadsLeft <- absentReadsLeft + 1

            for value in op.Values do
                readsLeft[value] <- readsLeft[value] + 1

    let isTaken (op: Op) = next[previous[op.Index]] <> op.Index

    /// Whether going from one state to the other takes away a value, which can't come back, from a read to come.
    let starves state after =
        if state = after || state = 0 then
            false
        else
            let old = states.Values state
            let mine = states.Values after
            let mutable starved = false
            let mutable field = 0

            while not starved && field < old.Length do
                let value = old[field]

                starved <-
                    value > 0
                    && value <> mine[field]
                    && readsLeft[value] > 0
                    && problem.IsUnique value

                field <- field + 1

            starved

    /// Whether an acknowledged write to come asked for the version that this one would replace.
    let robs (op: Op) state =
        match problem.TokenPasser(states.Token state) with
        | null -> false
        | passer -> passer.Index <> op.Index && not (isTaken passer)

    /// Whether a read to come needs what this write has just written, but without a field that is there now: a wipe
    /// would take the written value away as well.
    let misfits (op: Op) after =
        after <> 0
        && op.Values
           |> Array.exists (fun value ->
               readsLeft[value] > 0
               && problem.IsUnique value
               && (let values = states.Values after

                   problem.Observers value
                   |> Seq.exists (fun read ->
                       not (isTaken read)
                       && (let mutable extra = false

                           for field in 0 .. values.Length - 1 do
                               if values[field] > 0 && read.At field = 0 then
                                   extra <- true

                           extra))))

    let isUnobserved (op: Op) =
        match op.Kind with
        | OperationKind.Delete -> absentReadsLeft = 0
        | _ ->
            op.Values.Length > 0
            && op.Values
               |> Array.forall (fun value -> problem.IsUnique value && problem.Observers(value).Count = 0)

    /// What may come next, the most promising last. One operation alone where nothing can be lost by taking it.
    let candidates state : Op[] =
        let open' = ResizeArray<Op>()
        let mutable earliest = Int64.MaxValue
        let mutable urgent: Op | null = null
        let mutable at = next[count]

        while at < count && ops[at].Inv <= earliest do
            let op = ops[at]
            open'.Add op

            if op.Ret < earliest then
                earliest <- op.Ret
                urgent <- op

            at <- next[at]

        // What fits and changes nothing can be taken at once: if it fits anywhere later, it fits here too. A read that
        // tells the version token changes something, but only one state ever has that content and that token.
        let free =
            open'.Find(fun op ->
                (op.IsRead && states.After(op, state) >= 0)
                || (op.Rejected && states.After(op, state) = state))

        let dead =
            // With nothing but overwrites, a write that nobody sees can come at once: what comes next is a write as well.
            if isNull free && problem.OnlyOverwrites then
                open'.Find(fun op -> op.Certain && op.Writes && isUnobserved op)
            else
                null

        match free, dead with
        | op, _ when not (isNull op) -> [| nonNull op |]
        | _, op when not (isNull op) -> [| nonNull op |]
        | _ ->
            // Of deletes that are open together, the first to reply may as well be the first.
            let mutable delete: Op | null = null

            for op in open' do
                if
                    op.Writes
                    && op.Kind = OperationKind.Delete
                    && op.Condition = ConditionKind.Always
                then
                    match delete with
                    | null -> delete <- op
                    | known when op.Ret < known.Ret -> delete <- op
                    | _ -> ()

            // Where the operation that has to come first is a read, the writers of what it saw come before others; where it asked
            // for a version, the write that made it.
            let wanted (op: Op) =
                match urgent with
                | null -> false
                | read when read.IsRead -> op.Values.Length > 0 && read.At op.Fields[0] = op.Values[0]
                | write -> write.Expected > 0 && op.Certain && op.Token = write.Expected

            let kept =
                open'.FindAll(fun op ->
                    not op.IsRead
                    && (op.Kind <> OperationKind.Delete
                        || op.Condition <> ConditionKind.Always
                        || obj.ReferenceEquals(op, delete)))

            let ordered = kept.ToArray()

            let rank =
                ordered
                |> Array.map (fun op ->
                    if wanted op then
                        struct (0, op.Ret, op.Index)
                    else
                        struct (1, op.Ret, op.Index))

            Array.Sort(rank, ordered)
            Array.Reverse ordered
            ordered

    member _.Steps = steps

    member _.Run() : Found =
        let clock = Stopwatch.StartNew()
        let choices = Stack<struct (Op[] * int * int)>()
        let path = Stack<struct (Op * int)>()
        let mutable state = 0

        let mutable result =
            if certainLeft = 0 then
                ValueSome Found.Linearizable
            else
                ValueNone

        // A frame: the candidates, how many of them are still to be tried, and the state that they start from.
        let push () =
            let open' = candidates state
            choices.Push(struct (open', open'.Length, state))

        if result.IsNone then
            push ()

        while result.IsNone do
            let struct (open', left, from) = choices.Pop()

            if left = 0 then
                if path.Count = 0 then
                    result <- ValueSome Found.NotLinearizable
                else
                    let struct (op, before) = path.Pop()
                    giveBack op
                    state <- before
            else
                choices.Push(struct (open', left - 1, from))
                let op = open'[left - 1]
                let after = states.After(op, from)
                steps <- steps + 1L

                // Nothing is explained by an optional write that changes nothing.
                let useless = not op.Certain && after = from

                let impossible =
                    after < 0
                    || op.Writes && (spent[op.Expected] || robs op from || starves from after)

                if not useless && not impossible then
                    take op

                    if op.Writes && misfits op after then
                        giveBack op
                    elif certainLeft = 0 then
                        result <- ValueSome Found.Linearizable
                    elif not op.IsRead && not (tried.Add(struct (sumLow, sumHigh, after))) then
                        giveBack op
                    else
                        path.Push(struct (op, from))
                        state <- after
                        push ()

                if result.IsNone then
                    if steps >= maxSteps then
                        result <- ValueSome Found.Undecided
                    elif
                        maxMilliseconds > 0L
                        && steps &&& 4095L = 0L
                        && clock.ElapsedMilliseconds >= maxMilliseconds
                    then
                        result <- ValueSome Found.Undecided

        result.Value

module internal Search =

    /// Decides a problem, quickly where a shortcut can.
    let decide (problem: Problem) (maxSteps: int64) (maxMilliseconds: int64) : Found =
        match Shortcuts.contradiction problem with
        | Some _ -> Found.NotLinearizable
        | None -> Search(problem, maxSteps, maxMilliseconds).Run()
