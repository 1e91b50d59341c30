namespace Miroir.Core

/// Sizes of the sets that must answer. `rf` is the number of nodes of the set, 1 or more.
[<RequireQualifiedAccess>]
module Quorum =

    /// W: nodes that must hold a write before it is acknowledged, or a version before a read is confirmed.
    val write: rf: int -> int

    /// RF - W + 1: nodes that must confirm a barrier so that fewer than W still admit anything older.
    val barrier: rf: int -> int
