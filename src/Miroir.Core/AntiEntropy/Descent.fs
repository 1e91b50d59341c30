namespace Miroir.Core

open System

type DescentStep = {
    Equal: RangeDigest
    Descend: HashRange[]
    Merge: HashRange[]
}

[<RequireQualifiedAccess>]
module Descent =

    let step (ranges: HashRange[]) (replies: RangeDigest[][]) (mergeEntries: int64) : DescentStep =
        for reply in replies do
            if reply.Length <> ranges.Length then
                invalidArg (nameof replies) $"{reply.Length} digests for {ranges.Length} ranges"

        let mutable equal = RangeDigest.Zero
        let descend = ResizeArray<HashRange>()
        let merge = ResizeArray<HashRange>()

        for i in 0 .. ranges.Length - 1 do
            let first = replies[0][i]

            let isEqual (reply: RangeDigest[]) =
                if Mutants.countsComparedAlone () then
                    reply[i].Entries = first.Entries
                else
                    reply[i] = first

            if Array.forall isEqual replies then
                equal <- equal + first
            elif
                DigestGrid.isWithinLeaf ranges[i]
                || replies |> Array.forall (fun reply -> reply[i].Entries <= mergeEntries)
            then
                merge.Add ranges[i]
            else
                descend.AddRange(DigestGrid.childrenOf ranges[i])

        {
            Equal = equal
            Descend = descend.ToArray()
            Merge = merge.ToArray()
        }

    let join (ranges: HashRange[]) : HashRange[] =
        let joined = ResizeArray<HashRange>()

        for range in ranges do
            if joined.Count > 0 && joined[joined.Count - 1].Hi = range.Lo && range.Lo <> 0UL then
                joined[joined.Count - 1] <- {
                    joined[joined.Count - 1] with
                        Hi = range.Hi
                }
            else
                joined.Add range

        joined.ToArray()
