namespace Miroir.Core

/// What orders the writes of one document: the term of the shard's writer first, its hybrid clock second.
/// A term grows with each change of writer, so no wall clock, however wrong, decides between two writers.
/// `DocumentVersion.Zero` is "never written".
[<Struct>]
type DocumentVersion = {
    /// The writer's term; 1 or more in a real version.
    Term: int64
    /// A hybrid clock reading: 48 bits of Unix milliseconds above 16 bits of counter (Kulkarni et al.,
    /// "Logical Physical Clocks", 2014). Strictly growing within a term.
    Clock: int64
} with

    static member Zero = { Term = 0L; Clock = 0L }

    /// Above every version that is given.
    static member Highest = {
        Term = System.Int64.MaxValue
        Clock = System.Int64.MaxValue
    }

    member this.IsZero = this.Term = 0L && this.Clock = 0L
    override this.ToString() = $"{this.Term}.{this.Clock}"

    /// From `ToString`'s form, "term.clock".
    static member TryParse(text: string) : DocumentVersion voption =
        match text.Split '.' with
        | [| term; clock |] ->
            match System.Int64.TryParse term, System.Int64.TryParse clock with
            | (true, t), (true, c) when t >= 0L && c >= 0L -> ValueSome { Term = t; Clock = c }
            | _ -> ValueNone
        | _ -> ValueNone

/// The hybrid clock as a function: what it reads next is decided by what it read last and by the wall.
[<RequireQualifiedAccess>]
module HybridClock =

    /// The latest wall-clock time that a reading follows, in Unix milliseconds (the year 4199): half of what fits, so
    /// that a wall clock at the end of time leaves the counter the other half to grow in.
    [<Literal>]
    let private LatestUnixMs = 0x3FFF_FFFF_FFFFL

    /// Unix milliseconds as the lowest reading of that millisecond.
    let ofUnixMs (unixMs: int64) : int64 =
        (max 0L (min unixMs LatestUnixMs)) <<< 16

    /// The wall-clock part of a reading, in Unix milliseconds.
    let unixMs (reading: int64) : int64 = reading >>> 16

    /// The next reading: later than `last`, and not before the wall clock. A wall clock that runs
    /// backwards only makes the counter grow; 65,536 readings within a millisecond borrow from the next.
    let next (last: int64) (wallUnixMs: int64) : int64 = max (last + 1L) (ofUnixMs wallUnixMs)
