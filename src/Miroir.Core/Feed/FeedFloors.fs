namespace Miroir.Core

[<Struct>]
type FeedFloor = {
    Range: HashRange
    Floor: DocumentVersion
}

[<Sealed>]
type FeedFloors private (pieces: FeedPiece[]) =

    static let none = FeedFloors(FeedPieces.everywhere DocumentVersion.Zero)

    static member None = none

    static member Of(parts: FeedFloor seq) =
        parts
        |> Seq.fold (fun (floors: FeedFloors) part -> floors.Raise(part.Range, part.Floor)) none

    member _.Parts = [|
        for piece in pieces do
            if not piece.Position.IsZero then
                {
                    Range = piece.Range
                    Floor = piece.Position
                }
    |]

    member _.At(hash: uint64) =
        let mutable at = 0

        while not (pieces[at].Range.Contains hash) do
            at <- at + 1

        pieces[at].Position

    member _.Over(range: HashRange) =
        let mutable highest = DocumentVersion.Zero

        for piece in pieces do
            if (range.Intersect piece.Range).IsSome then
                highest <- max highest piece.Position

        highest

    member this.Raise(range: HashRange, floor: DocumentVersion) = this.Change(range, max floor)

    member this.Above(floor: DocumentVersion) =
        this.Change(HashRange.Full, (fun it -> if it > floor then it else DocumentVersion.Zero))

    member private this.Change(range, another) =
        let changed = FeedPieces.change range another pieces
        if changed = pieces then this else FeedFloors changed
