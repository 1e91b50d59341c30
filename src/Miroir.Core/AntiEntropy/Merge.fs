namespace Miroir.Core

open System

[<Struct>]
type CursorHead =
    | At of Entry: Entry
    | Starved
    | Ended

type IEntryCursor =
    abstract Peek: unit -> CursorHead
    abstract Pop: unit -> unit

[<Sealed>]
type PagedCursor() =
    let mutable page: Entry[] = [||]
    let mutable next = 0
    let mutable wasLast = false

    member _.IsStarved = next = page.Length && not wasLast

    member this.Feed(entries: Entry[], isLast: bool) =
        if not this.IsStarved then
            invalidOp "a cursor is fed when it is starved, not before"

        page <- entries
        next <- 0
        wasLast <- isLast

    interface IEntryCursor with
        member _.Peek() =
            if next < page.Length then At page[next]
            elif wasLast then Ended
            else Starved

        member _.Pop() =
            if next = page.Length then
                invalidOp "there is no entry to step over"

            next <- next + 1

[<Sealed>]
type MergedKey(best: Entry, held: (Entry | null)[], isConflicting: bool, isEqual: bool) =
    member _.Key = best.Key
    member _.Best = best
    member _.Cursors = held.Length
    member _.Held(cursor: int) : Entry | null = held[cursor]
    member _.IsConflicting = isConflicting
    member _.IsEqual = isEqual

    member _.HoldsBest(cursor: int) =
        match held[cursor] with
        | null -> false
        | entry ->
            entry.Version = best.Version
            && entry.IsTombstone = best.IsTombstone
            && entry.Digest = best.Digest

type MergeStep =
    | Merged of MergedKey
    | Feed of Cursor: int
    | OutOfOrder of Cursor: int * Previous: Key * Next: Key
    | Drained

[<Sealed>]
type Merge(cursors: IEntryCursor[]) =
    // The key that each cursor showed last, and the head it shows now.
    let previous: (Key | null)[] = Array.zeroCreate cursors.Length
    let heads: (Entry | null)[] = Array.zeroCreate cursors.Length
    let mutable failure: MergeStep voption = ValueNone

    /// Looks at cursor i where its head was taken: the step that stops the merge there, if one does.
    let refill i : MergeStep voption =
        match heads[i] with
        | null ->
            match cursors[i].Peek() with
            | Starved -> ValueSome(Feed i)
            | Ended -> ValueNone
            | At entry ->
                match previous[i] with
                | null ->
                    heads[i] <- entry
                    ValueNone
                | before when before.CompareTo entry.Key < 0 || Mutants.orderNotChecked () ->
                    heads[i] <- entry
                    ValueNone
                | before ->
                    failure <- ValueSome(OutOfOrder(i, before, entry.Key))
                    failure
        | _ -> ValueNone

    // For every key of every stream: comparing the records as such would put one on the heap each time.
    let compareVersions (x: DocumentVersion) (y: DocumentVersion) =
        match x.Term.CompareTo y.Term with
        | 0 -> x.Clock.CompareTo y.Clock
        | order -> order

    let rec refillFrom i =
        if i = cursors.Length then
            ValueNone
        else
            match refill i with
            | ValueNone -> refillFrom (i + 1)
            | stop -> stop

    let lowest () : Key | null =
        let mutable low: Key | null = null

        for head in heads do
            match head with
            | null -> ()
            | entry ->
                match low with
                | null -> low <- entry.Key
                | key when entry.Key.CompareTo key < 0 -> low <- entry.Key
                | _ -> ()

        low

    /// Takes the key from every cursor that shows it.
    let take (key: Key) : MergedKey =
        let held: (Entry | null)[] = Array.zeroCreate cursors.Length
        let mutable best: Entry | null = null
        let mutable isConflicting = false
        let mutable isEqual = true

        for i in 0 .. cursors.Length - 1 do
            match heads[i] with
            | null -> isEqual <- false
            | entry when entry.Key.CompareTo key <> 0 -> isEqual <- false
            | entry ->
                held[i] <- entry
                heads[i] <- null
                previous[i] <- entry.Key
                cursors[i].Pop()

                match best with
                | null -> best <- entry
                | known ->
                    match compareVersions entry.Version known.Version with
                    | 0 ->
                        if entry.IsTombstone <> known.IsTombstone || entry.Digest <> known.Digest then
                            isConflicting <- true
                            isEqual <- false
                    | order ->
                        isEqual <- false

                        if order > 0 then
                            best <- entry
                            isConflicting <- false

        MergedKey(nonNull best, held, isConflicting, isEqual)

    member _.Next() : MergeStep =
        match failure with
        | ValueSome step -> step
        | ValueNone ->
            match refillFrom 0 with
            | ValueSome step -> step
            | ValueNone ->
                match lowest () with
                | null -> Drained
                | key -> Merged(take key)
