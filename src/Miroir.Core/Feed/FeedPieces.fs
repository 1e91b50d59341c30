namespace Miroir.Core

/// How far a reader of a change feed is in one part of the hash space.
[<Struct>]
type FeedPiece = {
    Range: HashRange
    /// It has everything up to and with this position. Zero: nothing, it begins with the oldest that is retained.
    Position: DocumentVersion
}

/// A position for each part of the hash space: in hash order, without gaps, no two neighbours with the same one.
module internal FeedPieces =

    let everywhere (position: DocumentVersion) = [|
        {
            Range = HashRange.Full
            Position = position
        }
    |]

    /// Neighbours with the same position become one.
    let joined (pieces: FeedPiece seq) : FeedPiece[] =
        let all = ResizeArray<FeedPiece>()

        for piece in pieces do
            if all.Count > 0 && all[all.Count - 1].Position = piece.Position then
                all[all.Count - 1] <- {
                    Range = {
                        Lo = all[all.Count - 1].Range.Lo
                        Hi = piece.Range.Hi
                    }
                    Position = piece.Position
                }
            else
                all.Add piece

        all.ToArray()

    /// Another position in a range, made of the one that is there.
    let change (range: HashRange) (another: DocumentVersion -> DocumentVersion) (pieces: FeedPiece[]) : FeedPiece[] =
        joined [|
            for piece in pieces do
                match piece.Range.Intersect range with
                | ValueNone -> piece
                | ValueSome part ->
                    if piece.Range.Lo < part.Lo then
                        {
                            piece with
                                Range = { Lo = piece.Range.Lo; Hi = part.Lo }
                        }

                    {
                        Range = part
                        Position = another piece.Position
                    }

                    if part.Last < piece.Range.Last then
                        {
                            piece with
                                Range = { Lo = part.Hi; Hi = piece.Range.Hi }
                        }
        |]
