namespace Miroir.Core

[<RequireQualifiedAccess>]
module Quorum =

    let write (rf: int) : int = rf / 2 + 1

    let barrier (rf: int) : int =
        let all = rf - write rf + 1
        if Mutants.barrierOneTooFew () then all - 1 else all
