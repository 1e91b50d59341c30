/// Contradictions that can be seen without a search. Each is a necessary condition, so what is found here is
/// certain; what isn't found here is left to the search. For one field, whose values tell their writers, it is the
/// zone test of Gibbons and Korach ("Testing shared memories", SIAM J. Comput. 26(4), 1997).
module internal Miroir.Oracle.Shortcuts

open System
open System.Collections.Generic

/// A write, and what is known about when its value stood there.
[<Struct>]
type private Zone = {
    Writer: Op
    /// The first reply among the write and its reads.
    First: int64
    /// The last invocation among them.
    Last: int64
}

let private tell (read: Op) (why: string) =
    $"client {read.Entry.Client}'s call {read.Entry}: {why}"

let private badValue (problem: Problem) =
    problem.Ops
    |> Seq.filter _.IsRead
    |> Seq.tryPick (fun read ->
        Seq.zip read.Fields read.Values
        |> Seq.tryPick (fun (field, value) ->
            let name = problem.FieldNames[field]

            match problem.Writer value with
            | null -> Some(tell read $"no write that can have been applied by then wrote this value of {name}")
            | writer when problem.IsUnique value && writer.Inv > read.Ret ->
                Some(tell read $"the value of {name} is written only later: {writer.Entry}")
            | _ -> None))

/// A token names one state, and is given by one write.
let private badToken (problem: Problem) =
    let seen = Dictionary<int, Op>()

    problem.Ops
    |> Seq.filter (fun op -> op.Token > 0 && op.Certain)
    |> Seq.tryPick (fun op ->
        if op.IsRead then
            match seen.TryGetValue op.Token with
            | true, other when other.Values.AsSpan().SequenceEqual(ReadOnlySpan op.Values) |> not ->
                Some(tell op $"the same version was seen with other content: {other.Entry}")
            | _ ->
                seen[op.Token] <- op
                None
        else
            match problem.TokenOwner op.Token with
            | null -> None
            | owner when obj.ReferenceEquals(owner, op) -> None
            | owner -> Some(tell op $"its version was given to another write as well: {owner.Entry}"))

/// All writes that change a field, with what is known of their values' lifetimes.
let private zones (problem: Problem) (field: int) =
    problem.Ops
    |> Array.filter (fun op -> op.Writes && (op.Certain || op.At field > 0) && (op.Wipes || op.At field > 0))
    |> Array.choose (fun op ->
        let value = op.At field

        if value = 0 then
            Some {
                Writer = op
                First = op.Ret
                Last = op.Inv
            }
        elif not (problem.IsUnique value) then
            None
        else
            let reads = problem.Observers value

            if not op.Certain && reads.Count = 0 then
                None
            else
                let mutable first = op.Ret
                let mutable last = op.Inv

                for read in reads do
                    first <- min first read.Ret
                    last <- max last read.Inv

                Some {
                    Writer = op
                    First = first
                    Last = last
                })

let private badZone (problem: Problem) (field: int) =
    let all = zones problem field

    let forward =
        all |> Array.filter (fun zone -> zone.First < zone.Last) |> Array.sortBy _.First

    let clash (a: Zone) (b: Zone) =
        Some
            $"in field {problem.FieldNames[field]}, neither of these can come before the other: what {a.Writer.Entry} wrote stood there all the time from {a.First} to {a.Last}, and what {b.Writer.Entry} wrote stood there at some time within {min b.First b.Last} to {max b.First b.Last}"

    let overlap =
        forward
        |> Seq.pairwise
        |> Seq.tryPick (fun (a, b) -> if b.First < a.Last then clash a b else None)

    match overlap with
    | Some _ -> overlap
    | None when forward.Length = 0 -> None
    | None ->
        // Forward zones are disjoint here, so the one that could hold [Last, First] is the last to begin before it.
        let starts = forward |> Array.map _.First

        all
        |> Seq.filter (fun zone -> zone.First >= zone.Last)
        |> Seq.tryPick (fun zone ->
            let found = Array.BinarySearch(starts, zone.Last)
            let before = (if found >= 0 then found else ~~~found) - 1

            if
                before >= 0
                && forward[before].First < zone.Last
                && zone.First < forward[before].Last
            then
                clash forward[before] zone
            else
                None)

/// A field (or the document) is missing though an acknowledged write put it there and nothing can have taken it away.
let private badMissing (problem: Problem) (field: int) =
    let wipes = problem.Ops |> Array.filter (fun op -> op.Wipes && op.At field = 0)

    let puts =
        problem.Ops
        |> Array.filter (fun op -> op.Writes && op.Certain && op.At field > 0)
        |> Array.sortBy _.Ret

    if puts.Length = 0 then
        None
    else
        // latest[i]: the write among the first i + 1 to reply that was invoked last; the strictest to explain away.
        let latest =
            puts
            |> Array.scan
                (fun (best: Op | null) put ->
                    match best with
                    | null -> put
                    | known when put.Inv > known.Inv -> put
                    | known -> known)
                null
            |> Array.tail

        let lastWipeReply = ResizeArray<struct (int64 * int64)>()
        // Wipes by invocation, with the greatest reply so far: is there one invoked by `ret` and open after `inv`?
        let mutable greatest = Int64.MinValue

        for wipe in wipes do
            greatest <- max greatest wipe.Ret
            lastWipeReply.Add(struct (wipe.Inv, greatest))

        let rec countUpTo (holds: int -> bool) low high =
            if low = high then
                low
            else
                let middle = (low + high) / 2

                if holds middle then
                    countUpTo holds (middle + 1) high
                else
                    countUpTo holds low middle

        problem.Ops
        |> Seq.filter (fun op -> op.IsRead && op.At field = 0)
        |> Seq.tryPick (fun read ->
            let before = countUpTo (fun i -> puts[i].Ret < read.Inv) 0 puts.Length

            if before = 0 then
                None
            else
                match latest[before - 1] with
                | null -> None
                | put ->
                    let until =
                        countUpTo
                            (fun i -> (let struct (inv, _) = lastWipeReply[i] in inv <= read.Ret))
                            0
                            lastWipeReply.Count

                    let explained =
                        until > 0
                        && (let struct (_, reply) = lastWipeReply[until - 1] in reply >= put.Inv)

                    if explained then
                        None
                    else
                        Some(
                            tell
                                read
                                $"nothing can have taken away what {put.Entry} put into {problem.FieldNames[field]}"
                        ))

/// Says why the problem has no solution, or None where these tests can't tell.
let contradiction (problem: Problem) : string option =
    let perField test =
        Seq.init problem.FieldNames.Length id |> Seq.tryPick (test problem)

    badValue problem
    |> Option.orElseWith (fun () -> badToken problem)
    |> Option.orElseWith (fun () -> perField badMissing)
    |> Option.orElseWith (fun () -> perField badZone)
