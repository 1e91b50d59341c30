namespace Miroir.Core

/// Sizes of the sets that must answer. `rf` is the number of nodes of the set, 1 or more.
[<RequireQualifiedAccess>]
module Quorum =

    /// W: nodes that must hold a write before it is acknowledged, or a version before a read is confirmed.
    let write (rf: int) : int = rf / 2 + 1

    /// RF - W + 1: nodes that must confirm a barrier so that fewer than W still admit anything older.
    let barrier (rf: int) : int = rf - write rf + 1
