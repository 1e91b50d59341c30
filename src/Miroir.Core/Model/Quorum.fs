namespace Miroir.Core

[<RequireQualifiedAccess>]
module Quorum =

    let write (rf: int) : int = rf / 2 + 1

    let barrier (rf: int) : int = rf - write rf + 1
