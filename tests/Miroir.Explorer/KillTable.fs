namespace Miroir.Explorer

open System
open Miroir.Core

/// A fault seeded into the protocol: which configurations are to find it, or why none can.
type Fault = {
    Name: string
    About: string
    /// The configurations that are tried, in order.
    In: string list
    /// Why nothing finds it; "" where something must.
    Survives: string
}

[<RequireQualifiedAccess>]
module KillTable =
    let faults: Fault list = []

    let activate (names: string[]) =
        WorldFaults.activate names
#if MUTANTS
        Mutants.activate names
#endif

    let run (bounds: SearchBounds) : int = 0
