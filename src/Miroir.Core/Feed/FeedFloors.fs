namespace Miroir.Core

open System

[<Struct>]
type FeedFloor = {
    Range: HashRange
    Floor: DocumentVersion
}

[<Sealed>]
type FeedFloors private (parts: FeedFloor[]) =

    static let none = FeedFloors [||]

    /// From each of these hashes to the next, floors are the same.
    let cuts (range: HashRange) = [|
        0UL
        range.Lo
        range.Hi
        for part in parts do
            part.Range.Lo
            part.Range.Hi
    |]

    static member None = none

    static member Of(parts: FeedFloor seq) =
        parts
        |> Seq.fold (fun (floors: FeedFloors) part -> floors.Raise(part.Range, part.Floor)) none

    member _.Parts = parts

    member _.At(hash: uint64) =
        match parts |> Array.tryFind _.Range.Contains(hash) with
        | Some part -> part.Floor
        | None -> DocumentVersion.Zero

    member _.Over(range: HashRange) =
        let mutable highest = DocumentVersion.Zero

        for part in parts do
            if (range.Intersect part.Range).IsSome then
                highest <- max highest part.Floor

        highest

    member this.Raise(range: HashRange, floor: DocumentVersion) =
        let lows = cuts range |> Array.distinct |> Array.sort

        let raised = [|
            for i in 0 .. lows.Length - 1 do
                let lo = lows[i]
                // The last one goes up to the end of the hash space, which is written as zero.
                let hi = if i + 1 < lows.Length then lows[i + 1] else 0UL

                let floor =
                    if range.Contains lo then
                        max floor (this.At lo)
                    else
                        this.At lo

                if not floor.IsZero then
                    {
                        Range = { Lo = lo; Hi = hi }
                        Floor = floor
                    }
        |]

        let joined = ResizeArray<FeedFloor>()

        for part in raised do
            let last = joined.Count - 1

            if
                last >= 0
                && joined[last].Range.Hi = part.Range.Lo
                && joined[last].Floor = part.Floor
            then
                joined[last] <- {
                    joined[last] with
                        Range = {
                            Lo = joined[last].Range.Lo
                            Hi = part.Range.Hi
                        }
                }
            else
                joined.Add part

        this.Or(joined.ToArray())

    member this.Above(floor: DocumentVersion) =
        this.Or(parts |> Array.filter (fun part -> part.Floor > floor))

    member private this.Or(changed: FeedFloor[]) =
        if changed = parts then this else FeedFloors changed

    interface IEquatable<FeedFloors> with
        member this.Equals(other) = this.Equals(box other)

    override _.Equals(other) =
        match other with
        | :? FeedFloors as floors -> parts = floors.Parts
        | _ -> false

    override _.GetHashCode() = hash parts

    override _.ToString() =
        parts
        |> Array.map (fun part -> $"{part.Range} {part.Floor}")
        |> String.concat ", "
