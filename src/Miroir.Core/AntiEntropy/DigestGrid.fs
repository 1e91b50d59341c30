namespace Miroir.Core

open System

[<RequireQualifiedAccess>]
module DigestGrid =

    [<Literal>]
    let Leaves = 65536

    [<Literal>]
    let Fanout = 16

    let private leafBits = 16
    let private leafShift = 64 - leafBits
    let private fanoutBits = 4

    let leafOf (hash: uint64) = int (hash >>> leafShift)

    /// The aligned range of `bits` leading bits that holds the hash.
    let private aligned (bits: int) (hash: uint64) : HashRange =
        if bits = 0 then
            HashRange.Full
        else
            let shift = 64 - bits
            let lo = (hash >>> shift) <<< shift
            { Lo = lo; Hi = lo + (1UL <<< shift) }

    let rangeOf (leaf: int) =
        aligned leafBits (uint64 leaf <<< leafShift)

    let isWithinLeaf (range: HashRange) = leafOf range.Lo = leafOf range.Last

    let childrenOf (range: HashRange) : HashRange[] =
        if isWithinLeaf range then
            [| range |]
        else
            // The widest level at which the range's ends differ: there it is cut.
            let rec level bits =
                if (range.Lo >>> (64 - bits)) <> (range.Last >>> (64 - bits)) then
                    bits
                else
                    level (bits + fanoutBits)

            let bits = level fanoutBits

            [|
                let mutable at = range.Lo
                let mutable isDone = false

                while not isDone do
                    let part = aligned bits at

                    match part.Intersect range with
                    | ValueSome within -> yield within
                    | ValueNone -> ()

                    if part.Last >= range.Last then
                        isDone <- true
                    else
                        at <- part.Hi
            |]

[<Sealed>]
type LeafDigests(range: HashRange) =
    let first = DigestGrid.leafOf range.Lo
    let last = DigestGrid.leafOf range.Last
    let leaves: RangeDigest[] = Array.create (last - first + 1) RangeDigest.Zero

    member _.First = first
    member _.Last = last

    member _.Item
        with get (leaf: int) =
            if leaf < first || leaf > last then
                RangeDigest.Zero
            else
                leaves[leaf - first]
        and set (leaf: int) (value: RangeDigest) = leaves[leaf - first] <- value

    member _.Sum(from: int, upTo: int) : RangeDigest =
        let mutable a = 0UL
        let mutable b = 0UL
        let mutable entries = 0L

        for i in max from first - first .. min upTo last - first do
            let leaf = leaves[i]
            a <- a + leaf.Sum.A
            b <- b + leaf.Sum.B
            entries <- entries + leaf.Entries

        {
            Sum = { A = a; B = b }
            Entries = entries
        }

    member this.Cover(asked: HashRange) : struct (RangeDigest * HashRange[]) =
        match asked.Intersect range with
        | ValueNone -> struct (RangeDigest.Zero, [||])
        | ValueSome within ->
            // A leaf that the store's own end cuts is whole, as far as the store goes.
            let isWhole leaf =
                match (DigestGrid.rangeOf leaf).Intersect range with
                | ValueSome owned -> owned.Lo >= within.Lo && owned.Last <= within.Last
                | ValueNone -> true

            let from = DigestGrid.leafOf within.Lo
            let upTo = DigestGrid.leafOf within.Last

            let part leaf : HashRange[] =
                match (DigestGrid.rangeOf leaf).Intersect within with
                | ValueSome cut -> [| cut |]
                | ValueNone -> [||]

            match isWhole from, isWhole upTo with
            | true, true -> struct (this.Sum(from, upTo), [||])
            | false, _ when from = upTo -> struct (RangeDigest.Zero, part from)
            | false, true -> struct (this.Sum(from + 1, upTo), part from)
            | true, false -> struct (this.Sum(from, upTo - 1), part upTo)
            | false, false -> struct (this.Sum(from + 1, upTo - 1), Array.append (part from) (part upTo))
