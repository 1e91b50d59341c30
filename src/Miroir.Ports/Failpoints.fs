namespace Miroir.Ports

open System
open Miroir.Core.Cutover

/// Places right before and right after an effect is performed, at which a test harness may stop the process. They
/// exist only in the test build: elsewhere the compiler removes them.
[<RequireQualifiedAccess>]
module Failpoints =

#if MUTANTS
    let mutable private reached: Action<string, Effect> =
        Action<string, Effect>(fun _ _ -> ())

    /// Calls this at each failpoint with "before" or "after", and the effect.
    let onReached (action: Action<string, Effect>) = reached <- action

    /// The effect is about to be performed.
    let before (effect: Effect) = reached.Invoke("before", effect)

    /// The effect was performed, and its answer is not journalled yet.
    let after (effect: Effect) = reached.Invoke("after", effect)
#else
    /// The effect is about to be performed.
    let inline before (_: Effect) = ()

    /// The effect was performed, and its answer is not journalled yet.
    let inline after (_: Effect) = ()
#endif
