namespace Miroir.Core

open System

/// A half-open range of the hash space, [Lo, Hi); Hi = 0 stands for 2^64. Never empty.
[<Struct>]
type HashRange = {
    Lo: uint64
    Hi: uint64
} with

    /// The whole hash space.
    static member Full = { Lo = 0UL; Hi = 0UL }

    member this.Contains(hash: uint64) =
        hash >= this.Lo && (this.Hi = 0UL || hash < this.Hi)

    member this.Contains(key: Key) = this.Contains key.Hash

    /// The greatest hash in the range.
    member this.Last = this.Hi - 1UL

    /// How many hashes it holds: 1 to 2^64.
    member this.Width: UInt128 =
        (if this.Hi = 0UL then
             UInt128.op_LeftShift (UInt128.One, 64)
         else
             UInt128.op_Implicit this.Hi)
        - UInt128.op_Implicit this.Lo

    /// What two ranges share, if anything.
    member this.Intersect(other: HashRange) : HashRange voption =
        let lo = max this.Lo other.Lo
        let last = min this.Last other.Last

        if lo <= last then
            ValueSome { Lo = lo; Hi = last + 1UL }
        else
            ValueNone

    override this.ToString() = $"[{this.Lo:x16},{this.Last:x16}]"
